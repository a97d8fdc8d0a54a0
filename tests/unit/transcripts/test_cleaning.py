"""Marks of export tools in texts are undone and counted; a backslash may escape a quote."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftm_core.contracts.errors import InputError
from ftm_core.storage.local import LocalStorage
from ftm_core.transcripts.cleaning import ESCAPES, HTML, LOST, MOJIBAKE, TextCleaner
from ftm_core.transcripts.ingest import ingest
from ftm_core.transcripts.preview import preview
from ftm_core.transcripts.sources.base import Row
from ftm_core.transcripts.sources.csv_file import CsvSource
from tests.fakes.transcript_corpora import QUARTER, stored_rows, turn_row, write_corpus

PUNCTUATION = "‘’“”–—…•™€£é\u00a0"


@pytest.mark.parametrize(
    ("kind", "text", "meant"),
    [
        (HTML, "AT&amp;T &quot;grew&quot; &#39;23", 'AT&T "grew" \'23'),
        (HTML, "R&amp;amp;D we&rsquo;re", "R&D we’re"),
        (HTML, "One.<br/>Two.<p class='x'><b>Three</b>.", "One.\nTwo.\nThree."),
        (ESCAPES, r"One.\r\nTwo.\nThree \"four\".", 'One.\nTwo.\nThree "four".'),
        (MOJIBAKE, "Weâ€™re upâ€”5 Â£ cafÃ©", "We’re up—5 £ café"),
        (LOST, "We\ufffdre up", "We\ufffdre up"),
    ],
)
def test_marks_of_tools_are_undone_and_counted(kind: str, text: str, meant: str) -> None:
    cleaner = TextCleaner()
    assert cleaner.clean(text) == meant
    assert dict(cleaner.counts) == {kind: 1}
    [warning] = cleaner.warnings()
    assert kind in warning
    assert cleaner.clean(meant).count("\ufffd") == meant.count("\ufffd")


@pytest.mark.parametrize(
    "text", ["R&D; S&P 500 & more", "5 < 6 > 4", "Á la carte", "&unknown; word", "SÃO PAULO"]
)
def test_text_that_may_be_meant_stays_as_it_is(text: str) -> None:
    cleaner = TextCleaner()
    assert cleaner.clean(text) == text
    assert cleaner.warnings() == []


@settings(max_examples=100)
@given(st.text(st.sampled_from("abc ,." + PUNCTUATION), max_size=40))
def test_utf8_read_as_windows_1252_comes_back(text: str) -> None:
    misread = "".join(
        byte.decode("cp1252", "replace") if byte != b"\x9d" else "\x9d"
        for byte in (bytes([number]) for number in text.encode())
    )
    assert TextCleaner().clean(misread) == text
    assert TextCleaner().clean(text) == text


def test_ingest_and_preview_warn_of_marks_with_an_example(tmp_path: Path) -> None:
    rows = [
        turn_row(1, companyname="Ames &amp; Co", componenttext="Our R&amp;D grew."),
        turn_row(1, companyname="Ames & Co", order=1, componenttext=r"Costs fell.\nSales rose."),
    ]
    path = write_corpus(tmp_path / "calls.csv", rows)
    report = ingest(path, QUARTER, LocalStorage(tmp_path / "data"))
    stored = stored_rows(tmp_path / "data")
    assert [row["raw_text"] for row in stored] == ["Our R&D grew.", "Costs fell.", "Sales rose."]
    assert {row["firm_name"] for row in stored} == {"Ames & Co"}
    assert report.warnings == preview(path).warnings[: len(report.warnings)]
    assert "Texts with HTML entities or tags: 1," in report.warnings[0]
    assert "R&amp;D" in report.warnings[0]


def test_a_text_that_is_only_a_missing_mark_is_rejected(tmp_path: Path) -> None:
    rows = [turn_row(order=at) for at in range(100)]
    rows += [turn_row(order=100, componenttext="nan"), turn_row(order=101, componenttext="<br/>")]
    report = ingest(
        write_corpus(tmp_path / "calls.csv", rows), QUARTER, LocalStorage(tmp_path / "data")
    )
    assert report.rejects_by_reason == {
        "componenttext marks a missing value": 1,
        "componenttext the text is empty": 1,
    }


def escaped_csv(path: Path, texts: list[str]) -> Path:
    """A table as MySQL writes it: a backslash before quotes, backslashes and line breaks."""
    rows = [turn_row(order=at, componenttext=text) for at, text in enumerate(texts)]
    lines = [",".join(f'"{name}"' for name in rows[0])]
    for row in rows:
        values = (str(value) for value in row.values())
        lines.append(
            ",".join(
                '"' + "".join(f"\\{c}" if c in '"\\\n' else c for c in value) + '"'
                for value in values
            )
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    return path


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.sampled_from('ab "\n,\\'), min_size=1, max_size=20), min_size=1))
def test_quotes_escaped_by_a_backslash_give_the_same_rows(texts: list[str]) -> None:
    said = [f'He said "yes, {text}" and left.' for text in texts]
    with tempfile.TemporaryDirectory() as folder:
        source = CsvSource(escaped_csv(Path(folder) / "calls.csv", said))
        rows = list(source.rows(source.columns))
    assert [row.values["componenttext"] for row in rows if isinstance(row, Row)] == said
    assert len(rows) == len(said)
    assert "escapes quotes with a backslash" in source.warnings[0]


def test_a_table_with_escaped_quotes_is_ingested_whole(tmp_path: Path) -> None:
    path = escaped_csv(tmp_path / "calls.csv", ['He said "we grew." and left.'] * 3)
    report = ingest(path, QUARTER, LocalStorage(tmp_path / "data"))
    assert (report.n_rejects, report.quarters[0].n_turns) == (0, 3)
    assert "escapes quotes with a backslash" in report.warnings[0]


def test_a_backslash_at_the_end_of_a_field_is_no_escape(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    rows = [turn_row(order=at, componenttext=f"Part {at} \\") for at in range(3)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    report = ingest(path, QUARTER, LocalStorage(tmp_path / "data"))
    assert (report.n_rejects, report.quarters[0].n_turns, report.warnings) == (0, 3, ())


def test_a_file_that_is_broken_either_way_is_refused(tmp_path: Path) -> None:
    path = escaped_csv(tmp_path / "calls.csv", ['He said "yes".'] * 3)
    path.write_text(path.read_text(encoding="utf-8") + '"1","open \\"', encoding="utf-8")
    with pytest.raises(InputError, match="is not valid CSV"):
        ingest(path, QUARTER, LocalStorage(tmp_path / "data"))
