"""Open what a user names: recognize each file by its content and put the files together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.transcripts.layouts import Layout, plain_name
from ftm_core.transcripts.sources.base import PREVIEW_HINT, Source, readable
from ftm_core.transcripts.sources.call_files import CallFilesSource
from ftm_core.transcripts.sources.csv_file import CsvSource
from ftm_core.transcripts.sources.dates import DatesTable, is_dates_table
from ftm_core.transcripts.sources.files import InputFile, Inputs, find_files
from ftm_core.transcripts.sources.frame_files import FrameSource
from ftm_core.transcripts.sources.joined import JoinedSource
from ftm_core.transcripts.sources.json_file import (
    JsonArraySource,
    JsonLinesSource,
    is_json_lines,
)
from ftm_core.transcripts.sources.maec_folder import MaecFolderSource, is_maec_folder
from ftm_core.transcripts.sources.parquet_file import ParquetSource
from ftm_core.transcripts.sources.parts import PartsSource
from ftm_core.transcripts.staging import MEMORY_LIMIT

_SAMPLES = Path(__file__).parents[2] / "sample"
_TABLE_SUFFIXES = {".csv", ".tsv", ".tab", ".psv"}
# Columns that hold what was said: a table without one belongs to another table.
_TEXTS = {
    plain_name(name)
    for name in (
        "raw_text componenttext text content transcript transcript_text structured_content "
        "transcript_split speakers prepared_remarks"
    ).split()
}
# Tab, line feed, form feed and carriage return.
_TEXT_CONTROLS = b"\t\n\x0c\r"
_PLACES = {"position", "componentorder"}


@dataclass(frozen=True)
class OpenOptions:
    """How to open a source: ``with_tables`` are joined to it, ``dates`` tells the days of calls."""

    encoding: str | None = None
    name_pattern: str | None = None
    with_tables: Sequence[str | Path] = ()
    dates: str | Path | None = None
    memory_limit: str = MEMORY_LIMIT


@dataclass(frozen=True)
class OpenedSource:
    """A source, the layout that its files have by themselves, if any, and the table of dates."""

    source: Source
    where: str
    layout: Layout | None = None
    dates: DatesTable | None = None
    first_file: str = ""
    warnings: tuple[str, ...] = field(default=())


def open_source(
    given: Sequence[str | Path], workplace: Path, options: OpenOptions | None = None
) -> OpenedSource:
    """The source at the given paths; archives are unpacked into ``workplace``.

    Raises InputError when there is none, or when no file of it can be read.
    """
    options = options or OpenOptions()
    if len(given) == 1 and is_maec_folder(Path(given[0])) and options.name_pattern is None:
        path = Path(given[0])
        dates = _dates(options, workplace)
        return OpenedSource(MaecFolderSource(path), str(path), dates=dates, first_file=path.name)
    inputs = find_files(given, workplace)
    kinds = [(file, _kind(file)) for file in _without_empty(inputs)]
    texts = [file for file, kind in kinds if kind == "text"]
    unknown = [(file, kind) for file, kind in kinds if kind in _REFUSED]
    tables = [
        (file, _open_table(file, kind, options.encoding))
        for file, kind in kinds
        if kind != "text" and kind not in _REFUSED
    ]
    warnings = tuple(f"{file.name} is not read: it {_REFUSED[kind][0]}." for file, kind in unknown)
    if not texts and not tables:
        file, kind = unknown[0]
        cause, hint = _REFUSED[kind]
        raise InputError(str(file.path), cause, hint.format(name=Path(file.name).stem))
    dates = _dates(options, workplace)
    if texts:
        return _open_texts(inputs, texts, tables, dates, options, warnings)
    return _open_tables(inputs, tables, dates, options, workplace, warnings)


def sample_corpus(quarter: Quarter) -> Path:
    """The sample corpus shipped for a quarter; raises InputError when there is none."""
    path = _SAMPLES / f"{quarter}.csv"
    if not path.is_file():
        shipped = sorted(item.stem for item in _SAMPLES.glob("*Q[1-4].csv"))
        raise InputError(
            f"sample {quarter}",
            "is not shipped",
            f"The sample corpus is of {', '.join(shipped) or 'no quarter'}.",
        )
    return path


def _open_texts(
    inputs: Inputs,
    texts: Sequence[InputFile],
    tables: Sequence[tuple[InputFile, Source]],
    dates: DatesTable | None,
    options: OpenOptions,
    warnings: tuple[str, ...],
) -> OpenedSource:
    """A file a call; a table beside them that tells days is the table of dates."""
    for file, table in tables:
        if dates is None and is_dates_table(table.columns):
            dates = DatesTable(table, file.name)
        else:
            warnings += (f"{file.name} is not read: it is a table beside files of one call.",)
    source = CallFilesSource(
        texts, pattern=options.name_pattern, encoding=options.encoding, where=inputs.where
    )
    return OpenedSource(
        source, inputs.where, source.layout, dates, first_file=texts[0].name, warnings=warnings
    )


def _open_tables(
    inputs: Inputs,
    tables: Sequence[tuple[InputFile, Source]],
    dates: DatesTable | None,
    options: OpenOptions,
    workplace: Path,
    warnings: tuple[str, ...],
) -> OpenedSource:
    """One table, its parts, or a table of turns and the tables that belong to it."""
    with_text = [pair for pair in tables if _has_text(pair[1])]
    main = with_text or list(tables[:1])
    others = [(file.name, table) for file, table in tables if (file, table) not in main]
    source = main[0][1]
    if len(main) > 1:
        source = PartsSource(
            [table for _, table in main], [file.name for file, _ in main], inputs.where
        )
    for given in options.with_tables:
        # Archives of these tables lie apart from those of the source.
        place = workplace / f"with-{len(others)}"
        place.mkdir(exist_ok=True)
        for file in find_files([given], place).files:
            others.append((file.name, _open_table(file, _kind(file), options.encoding)))
    is_turns = bool(_PLACES & {plain_name(column) for column in source.columns})
    joined = []
    for name, table in others:
        if dates is None and not is_turns and is_dates_table(table.columns):
            dates = DatesTable(table, name)
        else:
            joined.append((name, table))
    if joined:
        source = JoinedSource(source, joined, workplace, options.memory_limit)
    return OpenedSource(
        source, inputs.where, None, dates, first_file=main[0][0].name, warnings=warnings
    )


def _dates(options: OpenOptions, workplace: Path) -> DatesTable | None:
    if options.dates is None:
        return None
    place = workplace / "dates"
    place.mkdir(exist_ok=True)
    [file, *more] = find_files([options.dates], place).files
    if more:
        raise InputError(str(options.dates), "holds several files", "Name one table.")
    return DatesTable(_open_table(file, _kind(file), options.encoding), str(options.dates))


def _without_empty(inputs: Inputs) -> list[InputFile]:
    """The files that have content; all of them when none has, so that the error names one."""
    full = [file for file in inputs.files if file.path.stat().st_size]
    return full or list(inputs.files)


def _has_text(source: Source) -> bool:
    return bool(_TEXTS & {plain_name(column) for column in source.columns})


def _open_table(file: InputFile, kind: str, encoding: str | None) -> Source:
    if kind in _REFUSED:
        cause, hint = _REFUSED[kind]
        raise InputError(str(file.path), cause, hint.format(name=Path(file.name).stem))
    if kind == "parquet":
        return ParquetSource(file.path, file.name)
    if kind == "jsonl":
        return JsonLinesSource(file.path, file.name, encoding)
    if kind == "json":
        return JsonArraySource(file.path, file.name, encoding)
    if kind in {"dta", "xlsx", "sas", "feather"}:
        return FrameSource(file.path, kind, file.name)
    return CsvSource(file.path, file.name, encoding)


# What cannot be read, and the way out.
_REFUSED = {
    "pickle": (
        "is a pickle, which can run any code when it is opened",
        "If you trust it, convert it: pandas.read_pickle('{name}.pkl').to_parquet("
        "'{name}.parquet'), then ingest {name}.parquet.",
    ),
    "rds": (
        "is a data file of R",
        'In R, arrow::write_parquet(readRDS("{name}.rds"), "{name}.parquet") writes a file that '
        "can be ingested.",
    ),
    "pdf": (
        "is a PDF, which holds no text in reading order",
        "Make text of it first, for example with pdftotext -layout, and check that each speaker's "
        "name stands on a line of its own or before a colon.",
    ),
    "docx": (
        "is a document of Word",
        "Save it as plain text, for example with pandoc {name}.docx -t plain -o {name}.txt.",
    ),
    "xls": ("is a workbook or document of old Office", "Save it as .xlsx or as CSV."),
    "html": ("is a web page", "Save its text as .txt, or its table as CSV."),
    "nlp": (
        "is a transcript of single words (Earnings-21/22) or of audio clips (SPGISpeech)",
        "It tells neither firm nor day of a call, so it cannot be ingested.",
    ),
    "binary": (
        "is a binary file of no known form",
        "Known are CSV, TSV, JSON, JSON Lines, Parquet, Feather, Stata, SAS, Excel, text and XML, "
        f"also in gzip or zip. {PREVIEW_HINT}",
    ),
}


def _kind(file: InputFile) -> str:
    """What a file is by its first bytes, and by its ending where they leave it open."""
    with readable(file.path), file.path.open("rb") as opened:
        start = opened.read(4096)
    suffix = Path(file.name).suffix.lower()
    magic = _by_magic(file.path, start, suffix)
    if magic is not None:
        return magic
    if suffix in {".parquet", ".pq"}:
        return "parquet"
    if suffix in {".jsonl", ".ndjson"}:
        return "jsonl"
    text = _start_of_text(start)
    if text is None:
        return _open_binary(suffix)
    plain = text.lstrip("\ufeff \t\r\n")
    if plain.startswith(("<!DOCTYPE html", "<!doctype html", "<html", "<HTML")):
        return "html"
    if plain.startswith(("<?xml", "<Event", "<transcript")):
        return "text"
    if suffix in _TABLE_SUFFIXES:
        first = plain.splitlines()[0].lower() if plain else ""
        return "nlp" if first.startswith(("token|speaker", "wav_filename|")) else "csv"
    if suffix == ".nlp":
        return "nlp"
    if suffix == ".json" or re.match(r"\{\s*\"|\[\s*\{", plain):
        return "jsonl" if is_json_lines(file.path) else "json"
    return "csv" if _is_delimited(plain) else "text"


def _open_binary(suffix: str) -> str:
    """A text form whose bytes are no text: its reader names the fault."""
    return "csv" if suffix in _TABLE_SUFFIXES else "json" if suffix == ".json" else "binary"


def _by_magic(path: Path, start: bytes, suffix: str) -> str | None:
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith((b"ARROW1", b"FEA1")):
        return "feather"
    if start.startswith(b"PK\x03\x04"):
        return "xlsx" if suffix in {".xlsx", ".xlsm"} or _names_workbook(path) else "docx"
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        return "xls"
    if start.startswith(b"<stata_dta>") or (suffix == ".dta" and start[:1] in b"lmnopqrst"):
        return "dta"
    if start[12:16] == b"\xc2\xea\x81\x60" or start.startswith(b"HEADER RECORD*******LIB"):
        return "sas"
    if len(start) > 1 and start[0] == 0x80 and 2 <= start[1] <= 5:
        return "pickle"
    if suffix in {".pkl", ".pickle"}:
        return "pickle"
    if start.startswith((b"X\n\x00\x00", b"RDX", b"RDA")) or suffix in {".rds", ".rdata"}:
        return "rds"
    if start.startswith(b"%PDF"):
        return "pdf"
    return None


def _names_workbook(path: Path) -> bool:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except zipfile.BadZipFile:
        return False


def _start_of_text(start: bytes) -> str | None:
    """The first characters, whatever the encoding; None for bytes that are no text."""
    for codec in ("utf-8-sig", "utf-16" if start[:2] in {b"\xff\xfe", b"\xfe\xff"} else ""):
        if codec:
            try:
                return start.decode(codec)
            except UnicodeDecodeError:
                pass
    if 8 * start.count(0) > len(start):
        plain = start.replace(b"\x00", b"")
        return plain.decode("latin-1") if plain.isascii() and plain else None
    controls = sum(byte < 32 and byte not in _TEXT_CONTROLS for byte in start)
    return start.decode("latin-1") if 20 * controls <= len(start) else None


def _is_delimited(text: str) -> bool:
    """Whether the first lines of a text are a table's: as many separators in each of them."""
    lines = text.splitlines()[:2]
    if not lines or len(lines[0]) > 4000:
        return False
    for separator in "\t|;":
        if lines[0].count(separator) >= 2 and all(line.count(separator) >= 2 for line in lines):
            return True
    names = lines[0].split(",")
    return len(names) >= 3 and all(re.fullmatch(r"[\w.\-\"]{0,60}", name) for name in names)
