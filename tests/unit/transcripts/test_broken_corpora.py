"""Issue 3, item 5, for ingest: generated broken corpora through the real ingest.

For every broken input, ingest ends in one of two ways: every row is stored or listed with its file,
row and reason; or an InputError (exit 2) names the source and nothing at all is written.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftm_core.contracts.errors import ExitCode, InputError
from ftm_core.storage.local import LocalStorage
from ftm_core.transcripts.ingest import IngestOptions, ingest
from ftm_core.transcripts.ingest_report import IngestReport
from ftm_core.transcripts.layouts import parse_overrides
from tests.fakes.transcript_corpora import (
    FORMS,
    QUARTER,
    everything_under,
    row_number,
    sentence_row,
    stored_rows,
    write_corpus,
)

MARK = "fresh mark of a row that shall be broken on disk"

# Values that no row may have, by column; each must be rejected in every form.
BAD_VALUES: dict[str, list[str]] = {
    "firm_id": ["", "   ", "nan", "NULL", "x" * 300, "a\tb", "a\x00"],
    "firm_name": ["", "None"],
    "transcript_id": ["", "NaN", "a\x07b"],
    "earnings_call_date": [
        "",
        "2023-13-01",
        "2023-02-29",
        "01/02/2023",
        "20230231",
        "2023-2-1",
        "2023-W05-1",
        "yesterday",
        "2023-02-01T24:00:00",
        "2023-02-01 10:00:00-5",
        "9999-99-99",
        "NaN",
    ],
    "position": ["", "-1", "1.5", "first", "1e3", "99999999999999999999", "NaN", "0x1"],
    "raw_text": ["", " ", "\n\n", "half\x00way"],
}
WRONG_TYPES: list[tuple[str, Any]] = [
    ("firm_id", 1.5),
    ("firm_id", ["F1"]),
    ("raw_text", 17),
    ("raw_text", None),
    ("position", "0" * 40),
    ("position", 2.5),
    ("earnings_call_date", 44958),
    ("transcript_id", False),
]
# A row broken on disk: what its bytes become, in the forms that are text.
# The snowmen make each file UTF-8: without letters of several bytes it would be Windows-1252.
_UTF8 = "\u2603\u2603\u2603 ".encode()
BROKEN_BYTES: dict[str, list[bytes]] = {
    "csv": [
        _UTF8 + b"\xff\xfe",
        _UTF8 + b"\x80",
        _UTF8 + b"caf\xe9",
        b"too,many,commas",
        b'"half" quoted text',
    ],
    "jsonl": [_UTF8 + b"\xc3\x28", b'unescaped " quote', b"back\\slash", b'", "firm_id": "F9'],
}


def outcome(
    path: Path, data: Path, options: IngestOptions, pairs: Sequence[str] = ()
) -> IngestReport | InputError:
    """The report, or the InputError that ingest ends in; any other error fails the test."""
    try:
        asked = replace(options, columns=parse_overrides(pairs), accept_rejects=True)
        return ingest(path, QUARTER, LocalStorage(data), asked)
    except InputError as error:
        refused = error
    assert refused.exit_code == ExitCode.USAGE
    assert refused.where.strip()
    assert refused.cause.strip()
    assert refused.hint.strip()
    return refused


@dataclass(frozen=True)
class Corpus:
    """A corpus on disk, and the indexes of its rows that must be rejected, no others."""

    form: str
    rows: list[dict[str, Any]]
    broken: frozenset[int]
    replacement: bytes | None


@st.composite
def corpora(draw: st.DrawFn) -> Corpus:
    form = draw(st.sampled_from(FORMS))
    counts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    rows = [
        sentence_row(firm, 1, position)
        for firm, count in enumerate(counts, start=1)
        for position in range(count)
    ]
    broken = draw(st.sets(st.integers(0, len(rows) - 1), min_size=1, max_size=4))
    on_disk = None
    for index in sorted(broken):
        ways = ["value", "repeat", *(["type"] if form == "jsonl" else [])]
        ways += ["bytes"] if form in BROKEN_BYTES and on_disk is None else []
        way = draw(st.sampled_from(ways))
        if way == "value":
            column = draw(st.sampled_from(sorted(BAD_VALUES)))
            rows[index] = {**rows[index], column: draw(st.sampled_from(BAD_VALUES[column]))}
        elif way == "type":
            column, value = draw(st.sampled_from(WRONG_TYPES))
            rows[index] = {**rows[index], column: value}
        elif way == "bytes":
            rows[index] = {**rows[index], "raw_text": MARK}
            on_disk = draw(st.sampled_from(BROKEN_BYTES[form]))
        else:
            # A repetition of a good row takes the broken one's place.
            intact = [at for at in range(len(rows)) if at not in broken]
            rows[index] = dict(rows[draw(st.sampled_from(intact or [index]))])
            if not intact:
                rows[index]["firm_id"] = ""
    if form == "parquet":
        names = {name: str for row in rows for name in row}
        rows = [{name: str(row[name]) for name in names} for row in rows]
    return Corpus(form, rows, frozenset(broken), on_disk)


@pytest.mark.slow
@settings(max_examples=150)
@given(corpus=corpora(), standing=st.booleans())
def test_bad_input_every_row_is_stored_or_named_with_its_reason(
    corpus: Corpus, standing: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        if standing:
            good = write_corpus(Path(folder) / "good.csv", [sentence_row(77)])
            ingest(good, QUARTER, LocalStorage(data))
        before = everything_under(data)
        path = write_corpus(Path(folder) / f"corpus.{corpus.form}", corpus.rows)
        if corpus.replacement is not None:
            damaged = path.read_bytes().replace(MARK.encode(), corpus.replacement)
            path.write_bytes(damaged)
        report = outcome(path, data, IngestOptions(replace=standing))
        if isinstance(report, InputError):
            # Then nothing could be accepted, the message says where, and nothing is written over.
            assert len(corpus.broken) == len(corpus.rows)
            name = rf"corpus\.{corpus.form}"
            assert re.search(rf"{name} row \d|Row \d+ of \S*{name} ", str(report))
            assert everything_under(data) == before
            return
        assert report.n_rows == len(corpus.rows)
        assert report.manifest.n_sentences + report.manifest.n_rejected_rows == report.n_rows
        assert len(stored_rows(data)) == report.manifest.n_sentences
        named = {reject.row for reject in report.rejects}
        assert named == _expected(corpus)
        assert all(reject.reason and reject.file == path.name for reject in report.rejects)


def _expected(corpus: Corpus) -> set[int]:
    """Row numbers that must be rejected: a repetition is whichever of the two rows comes later."""
    numbers = set()
    first_at: dict[tuple[str, str, str], int] = {}
    for index, row in enumerate(corpus.rows):
        place = (str(row["firm_id"]), str(row["transcript_id"]), str(row["position"]))
        if (index in corpus.broken and not _is_good(row)) or place in first_at:
            numbers.add(row_number(corpus.form, index))
        else:
            first_at[place] = index
    return numbers


def _is_good(row: dict[str, Any]) -> bool:
    firm, position = str(row["firm_id"]).removeprefix("F"), str(row["position"])
    if not (firm.isdigit() and position.isdigit() and len(position) < 3):
        return False
    good = sentence_row(int(firm), 1, int(position))
    return {name: str(value) for name, value in row.items()} == {
        name: str(value) for name, value in good.items()
    } and all(type(row[name]) in (str, type(good[name])) for name in good)


Breakage = Callable[[bytes, st.DataObject], bytes]


def _truncated(content: bytes, data: st.DataObject) -> bytes:
    return content[: data.draw(st.integers(0, len(content) - 1))]


def _overwritten(content: bytes, data: st.DataObject) -> bytes:
    at = data.draw(st.integers(0, len(content) - 1))
    return content[:at] + data.draw(st.binary(min_size=1, max_size=40)) + content[at + 20 :]


def _noise(content: bytes, data: st.DataObject) -> bytes:
    return data.draw(st.binary(max_size=400))


def _wide(content: bytes, data: st.DataObject) -> bytes:
    return content.decode("latin-1").encode(data.draw(st.sampled_from(["utf-16", "utf-32-le"])))


def _doubled(content: bytes, data: st.DataObject) -> bytes:
    return content + content


BREAKAGES: list[Breakage] = [_truncated, _overwritten, _noise, _wide, _doubled]


@pytest.mark.slow
@settings(max_examples=100)
@given(
    form=st.sampled_from(FORMS),
    breakage=st.sampled_from(BREAKAGES),
    data=st.data(),
)
def test_bad_input_a_broken_file_is_refused_or_its_rows_add_up(
    form: str, breakage: Breakage, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "data"
        storage = LocalStorage(target)
        ingest(write_corpus(Path(folder) / "good.csv", [sentence_row(77)]), QUARTER, storage)
        before = everything_under(target)
        rows = [sentence_row(firm, 1, place) for firm in range(1, 4) for place in range(3)]
        path = write_corpus(Path(folder) / f"corpus.{form}", rows)
        path.write_bytes(breakage(path.read_bytes(), data))
        report = outcome(path, target, IngestOptions(replace=True))
        if isinstance(report, InputError):
            assert "corpus." in report.where
            assert everything_under(target) == before
            return
        manifest = report.manifest
        assert manifest.n_sentences + manifest.n_rejected_rows == report.n_rows
        assert len(stored_rows(target)) == manifest.n_sentences


COLUMN_NAMES = st.sampled_from([*sentence_row(), "text", "ticker", "call_date", "", "x"])


@settings(max_examples=60)
@given(
    dropped=st.sets(st.sampled_from(sorted(sentence_row())), max_size=3),
    layout=st.one_of(st.none(), st.sampled_from(["ftm", "capital-iq", "maec", "FTM", "", "csv"])),
    pairs=st.lists(
        st.one_of(st.builds("{}={}".format, COLUMN_NAMES, COLUMN_NAMES), st.text(max_size=12)),
        max_size=3,
    ),
    name=st.sampled_from(["corpus.csv", "corpus.txt", "corpus", "corpus.CSV"]),
)
def test_bad_input_broken_options_are_refused_or_obeyed(
    dropped: set[str], layout: str | None, pairs: list[str], name: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        row = {column: value for column, value in sentence_row().items() if column not in dropped}
        write_corpus(Path(folder) / "made.csv", [row]).rename(Path(folder) / name)
        report = outcome(Path(folder) / name, data, IngestOptions(layout=layout), pairs)
        if isinstance(report, InputError):
            assert not data.exists()
            return
        assert report.manifest.n_sentences == len(stored_rows(data)) == 1


@pytest.mark.parametrize("size", [7, 60])
def test_bad_input_a_parquet_file_damaged_in_its_middle_is_named(tmp_path: Path, size: int) -> None:
    rows = [sentence_row(1, 1, place) for place in range(4000)]
    path = write_corpus(tmp_path / "corpus.parquet", rows)
    content = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(0).column(9).data_page_offset
    content[start : start + size] = b"\xff" * size
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"corpus\.parquet.*not a readable Parquet file"):
        ingest(path, QUARTER, LocalStorage(tmp_path / "data"))
    assert not (tmp_path / "data").exists()
