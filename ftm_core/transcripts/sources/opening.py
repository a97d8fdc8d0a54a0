"""Open what a user names: recognize each file by its content and put the files together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.transcripts.layouts import Layout, plain_name
from ftm_core.transcripts.sources.base import Source
from ftm_core.transcripts.sources.call_files import CallFilesSource
from ftm_core.transcripts.sources.csv_file import CsvSource
from ftm_core.transcripts.sources.dates import DatesTable, is_dates_table
from ftm_core.transcripts.sources.files import InputFile, Inputs, find_files
from ftm_core.transcripts.sources.frame_files import FrameSource
from ftm_core.transcripts.sources.joined import JoinedSource
from ftm_core.transcripts.sources.json_file import JsonArraySource, JsonLinesSource
from ftm_core.transcripts.sources.maec_folder import MaecFolderSource, is_maec_folder
from ftm_core.transcripts.sources.parquet_file import ParquetSource
from ftm_core.transcripts.sources.parts import PartsSource
from ftm_core.transcripts.sources.recognizing import REFUSED, kind_of, refusal
from ftm_core.transcripts.staging import MEMORY_LIMIT

_SAMPLES = Path(__file__).parents[2] / "sample"
# Columns that hold what was said: a table without one belongs to another table.
_TEXTS = {
    plain_name(name)
    for name in (
        "raw_text componenttext text content transcript transcript_text structured_content "
        "transcript_split speakers prepared_remarks"
    ).split()
}
_PLACES = {"position", "componentorder"}


@dataclass(frozen=True)
class OpenOptions:
    """How to open a source: ``with_tables`` are joined to it, ``dates`` gives the days of calls."""

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
    kinds = [(file, kind_of(file)) for file in _without_empty(inputs)]
    texts = [file for file, kind in kinds if kind == "text"]
    unknown = [(file, kind) for file, kind in kinds if kind in REFUSED]
    tables = [
        (file, _open_table(file, kind, options.encoding))
        for file, kind in kinds
        if kind != "text" and kind not in REFUSED
    ]
    warnings = tuple(f"{file.name} is not read: it {REFUSED[kind][0]}." for file, kind in unknown)
    # Tables beside files that cannot be read, such as their metadata, are no calls by themselves.
    if unknown and not texts and not any(_has_text(table) for _, table in tables):
        raise refusal(*unknown[0])
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
            f"The sample {quarter}",
            "does not exist",
            f"The quarters of the sample corpus are {', '.join(shipped) or 'missing'}.",
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
    """A file a call; a table beside them with days is the table of dates."""
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
            others.append((file.name, _open_table(file, kind_of(file), options.encoding)))
    is_turns = bool(_PLACES & {plain_name(column) for column in source.columns})
    joined = []
    for name, table in others:
        if not is_turns and is_dates_table(table.columns):
            if dates is None:
                dates = DatesTable(table, name)
            elif Path(dates.name).name != name:
                warnings += (f"{name} is not read: the days come from {dates.name}.",)
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
        raise InputError(
            f"The path {options.dates}",
            "holds several files",
            "Name the one file that holds the table.",
        )
    return DatesTable(_open_table(file, kind_of(file), options.encoding), str(options.dates))


def _without_empty(inputs: Inputs) -> list[InputFile]:
    """The files that have content; all of them when none has, so that the error names one."""
    full = [file for file in inputs.files if file.path.stat().st_size]
    return full or list(inputs.files)


def _has_text(source: Source) -> bool:
    return bool(_TEXTS & {plain_name(column) for column in source.columns})


def _open_table(file: InputFile, kind: str, encoding: str | None) -> Source:
    if kind in REFUSED:
        raise refusal(file, kind)
    if kind == "parquet":
        return ParquetSource(file.path, file.name)
    if kind == "jsonl":
        return JsonLinesSource(file.path, file.name, encoding)
    if kind == "json":
        return JsonArraySource(file.path, file.name, encoding)
    if kind in {"dta", "xlsx", "feather"}:
        return FrameSource(file.path, kind, file.name)
    return CsvSource(file.path, file.name, encoding)
