"""What a file is: recognized by its first bytes, and by its name where they leave it open."""

from __future__ import annotations

import re
from pathlib import Path

from ftm_core.contracts.errors import InputError
from ftm_core.transcripts.sources.base import PREVIEW_HINT, readable
from ftm_core.transcripts.sources.files import InputFile
from ftm_core.transcripts.sources.json_file import is_json_lines

_TABLE_SUFFIXES = {".csv", ".tsv", ".tab", ".psv"}
# Tab, line feed, form feed and carriage return.
_TEXT_CONTROLS = b"\t\n\x0c\r"

# Files that cannot be read: what each is, and the way out.
REFUSED = {
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
    "sas7bdat": (
        "is a SAS data set",
        "Convert it in SAS (proc export data={name} outfile='{name}.csv' dbms=csv;) or in Python "
        "(pandas.read_sas('{name}.sas7bdat', encoding='infer').to_parquet('{name}.parquet')).",
    ),
    "xpt": (
        "is a SAS transport file, a form that keeps 200 characters of a text in most versions",
        "Export the data set again as CSV: proc export data={name} outfile='{name}.csv' dbms=csv;",
    ),
    "pdf": (
        "is a PDF, which holds no text in reading order",
        "Make text of it first, for example with pdftotext -layout, and check that each speaker's "
        "name stands on a line of its own or before a colon.",
    ),
    "docx": (
        "is a Word document",
        "Save it as plain text, for example with pandoc --wrap=none {name}.docx -t plain -o "
        "{name}.txt.",
    ),
    "doc": (
        "is a document of an old version of Word",
        "Open it in Word or LibreOffice and save it as plain text, or run soffice --headless "
        "--convert-to txt:Text {name}.doc.",
    ),
    "xls": (
        "is a workbook of an old version of Excel",
        "Open it in Excel or LibreOffice and save it as .xlsx or as CSV in UTF-8.",
    ),
    "office": ("is an Office file without a table or text", "Save its text as .txt."),
    "html": ("is a web page", "Save its text as .txt, or its table as CSV."),
    "words": (
        "is a transcript of single words, as Earnings-21 and Earnings-22 have it; the firm and the "
        "day of the call are missing",
        "The nearest form is a text file for each call: write a line `Speaker 1: text` for each "
        "turn, and give a table with the columns file, ticker and call_date with --dates.",
    ),
    "clips": (
        "is a list of audio clips, as SPGISpeech has it; the firm, the call, its day and the order "
        "of the clips are missing",
        "It cannot be ingested. The nearest layout is turns, which needs firm_id, firm_name, "
        "transcript_id, earnings_call_date, position and raw_text.",
    ),
    "documents": (
        "belongs to a set of documents.txt, document_ids.txt and id2firms.csv; the day of each "
        "call and its speakers are missing, for `time` is only a year",
        "The nearest layout is calls: make a table with a row for each call and the columns "
        "firm_id, date and transcript, in which each turn begins with `Name: `.",
    ),
    "binary": (
        "is a binary file of no known form",
        "Known are CSV, TSV, JSON, JSON Lines, Parquet, Feather, Stata, Excel, text and XML, "
        f"also in gzip or zip. {PREVIEW_HINT}",
    ),
}


def refusal(file: InputFile, kind: str) -> InputError:
    """The error for a file of a kind that cannot be read."""
    cause, hint = REFUSED[kind]
    return InputError(f"The file {file.where}", cause, hint.format(name=Path(file.name).stem))


def kind_of(file: InputFile) -> str:
    """What a file is: "text", a form of tables, or a key of ``REFUSED``."""
    with readable(file.path), file.path.open("rb") as opened:
        start = opened.read(4096)
    suffix = Path(file.name).suffix.lower()
    magic = _by_magic(file, start, suffix)
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
    known_set = _by_header(file, plain, suffix)
    if known_set is not None:
        return known_set
    if suffix in _TABLE_SUFFIXES:
        return "csv"
    if suffix == ".json" or re.match(r"\{\s*\"|\[\s*\{", plain):
        return "jsonl" if is_json_lines(file.path) else "json"
    return "csv" if _is_delimited(plain) else "text"


def _by_header(file: InputFile, plain: str, suffix: str) -> str | None:
    """The kind of a public set that is known, but cannot be ingested."""
    first = plain.splitlines()[0].strip().lower() if plain else ""
    if suffix == ".nlp" or first.startswith("token|speaker"):
        return "words"
    if first.startswith("wav_filename"):
        return "clips"
    name = Path(file.name).name.lower()
    ids = file.path.with_name("document_ids.txt")
    if name == "document_ids.txt" or (name == "documents.txt" and ids.is_file()):
        return "documents"
    if first.replace('"', "").split(",")[:3] == ["document_id", "firm_id", "time"]:
        return "documents"
    return None


def _open_binary(suffix: str) -> str:
    """A text form whose bytes are no text: its reader names the fault."""
    return "csv" if suffix in _TABLE_SUFFIXES else "json" if suffix == ".json" else "binary"


def _by_magic(file: InputFile, start: bytes, suffix: str) -> str | None:
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith((b"ARROW1", b"FEA1")):
        return "feather"
    if start.startswith(b"PK\x03\x04"):
        return "xlsx" if suffix in {".xlsx", ".xlsm"} else file.office or "office"
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        return "doc" if suffix in {".doc", ".dot"} else "xls"
    if start.startswith(b"<stata_dta>") or (suffix == ".dta" and start[:1] in b"lmnopqrst"):
        return "dta"
    if start[12:16] == b"\xc2\xea\x81\x60" or suffix == ".sas7bdat":
        return "sas7bdat"
    if start.startswith(b"HEADER RECORD*******LIB") or suffix in {".xpt", ".xport"}:
        return "xpt"
    if len(start) > 1 and start[0] == 0x80 and 2 <= start[1] <= 5:
        return "pickle"
    if suffix in {".pkl", ".pickle"}:
        return "pickle"
    if start.startswith((b"X\n\x00\x00", b"RDX", b"RDA")) or suffix in {".rds", ".rdata"}:
        return "rds"
    if start.startswith(b"%PDF"):
        return "pdf"
    return None


def _start_of_text(start: bytes) -> str | None:
    """The first characters, in any encoding; None for bytes that are no text."""
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
