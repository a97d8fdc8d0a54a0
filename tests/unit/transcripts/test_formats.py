"""Every form of transcripts gives the firms, calls, turns and operator turns that it holds."""

from __future__ import annotations

import gzip
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ftm_core.contracts.errors import InputError
from ftm_core.storage.local import LocalStorage
from ftm_core.transcripts.ingest import IngestOptions, ingest
from ftm_core.transcripts.ingest_report import IngestReport
from tests.fakes import transcript_formats as formats
from tests.fakes.transcript_corpora import QUARTER, stored_rows

FIRM_IDS = {
    "ticker": {"ZALD", "ZBIR"},
    "company": {"99000001", "99000002"},
    "entity": {"000FIC-E", "001FIC-E"},
}


def take_in(source: Any, data: Path, **options: Any) -> IngestReport:
    return ingest(source, QUARTER, LocalStorage(data), IngestOptions(**options))


@pytest.mark.parametrize("form", formats.FORMS, ids=lambda form: form.name)
def test_form_gives_its_firms_calls_turns_and_types(tmp_path: Path, form: formats.Form) -> None:
    data = tmp_path / "data"
    report = take_in(form.write(tmp_path), data, **form.options)
    turns = [turn for call in formats.CALLS for turn in call.turns]
    kinds = Counter(turn.kind for turn in turns)
    if form.speakers == "operator":
        n_operator = kinds[formats.OPERATOR]
        kinds = Counter({formats.OPERATOR: n_operator, "Unknown": len(turns) - n_operator})
    manifest = report.manifest
    assert (manifest.n_firms, manifest.n_calls, report.n_rejects) == (2, 2, 0)
    assert report.quarters[0].n_turns == len(turns)
    assert report.quarters[0].turns_by_speaker == kinds
    rows = stored_rows(data)
    assert {row["firm_id"] for row in rows} == FIRM_IDS[form.firm_ids]
    spoken = Counter(sentence for turn in turns for sentence in turn.sentences)
    assert Counter(row["raw_text"] for row in rows) == spoken
    days = {(row["firm_id"], row["earnings_call_date"].isoformat()) for row in rows}
    assert {day for _, day in days} == {call.day for call in formats.CALLS}
    assert len(days) == 2


def test_streetevents_briefs_and_other_events_are_skipped(tmp_path: Path) -> None:
    forms = {form.name: form for form in formats.FORMS}
    text = take_in(forms["streetevents text"].write(tmp_path), tmp_path / "text")
    assert text.skipped == {"is an Event Brief, not a transcript": 1}
    feed = take_in(forms["streetevents xml"].write(tmp_path), tmp_path / "feed")
    assert feed.skipped == {"is of a Conference Presentation, not an earnings call": 1}
    assert feed.n_older_versions == 1


def test_ectsum_files_take_their_days_from_a_table(tmp_path: Path) -> None:
    folder = tmp_path / "ects"
    folder.mkdir()
    lines = [f"We sold {number} machines in the quarter" for number in range(6)]
    for ticker in ("ZAA", "ZBB"):
        (folder / f"{ticker}_q3_2021.txt").write_text("\n".join(lines), encoding="utf-8")
    dates = formats.write_csv(
        tmp_path / "dates.csv",
        [
            {"ticker": "ZAA", "quarter": "Q3 2021", "call_date": "2023-02-01"},
            {"ticker": "ZBB", "quarter": "2021Q3", "call_date": "2023-02-02"},
        ],
    )
    with pytest.raises(InputError, match="day of the call is missing"):
        take_in(folder, tmp_path / "none")
    report = take_in(folder, tmp_path / "data", dates=dates)
    assert (report.layout, report.manifest.n_firms) == ("sentence-lines", 2)
    assert [row["raw_text"] for row in stored_rows(tmp_path / "data")] == lines * 2


def test_qin_yang_company_is_no_ticker_and_case_is_free(tmp_path: Path) -> None:
    for name, file in (("3M Company_20230125", "Text.txt"), ("20230126_Acme, Inc.", "TEXT.TXT")):
        (tmp_path / "calls" / name).mkdir(parents=True)
        text = "\n".join(f"Sales rose by {number} percent" for number in range(8))
        (tmp_path / "calls" / name / file).write_text(text, encoding="utf-8")
    report = take_in(tmp_path / "calls", tmp_path / "data")
    rows = stored_rows(tmp_path / "data")
    assert (report.manifest.n_firms, report.manifest.n_sentences) == (2, 16)
    assert {(row["firm_id"], row["ticker"]) for row in rows} == {
        ("3M Company", None),
        ("Acme, Inc.", None),
    }


def test_a_fiscal_quarter_never_stands_in_for_a_day(tmp_path: Path) -> None:
    form = next(form for form in formats.FORMS if form.name == "alpha vantage")
    source = form.write(tmp_path)
    (source / "meta.csv").unlink()
    with pytest.raises(InputError, match=r"does not contain the day.*--dates FILE"):
        take_in(source, tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("calls.pkl", b"\x80\x04\x95", r"is a pickle.*read_pickle.*to_parquet"),
        ("calls.rds", b"X\n\x00\x00", r"data file of R.*write_parquet"),
        ("calls.pdf", b"%PDF-1.7", r"is a PDF.*pdftotext"),
        ("calls.html", b"<!DOCTYPE html><html>", r"web page"),
        (
            "calls.sas7bdat",
            b"\x00" * 12 + b"\xc2\xea\x81\x60" + b"\x00" * 99,
            r"proc export.*read_sas",
        ),
        (
            "calls.xpt",
            b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!",
            r"200 char.*proc export",
        ),
        ("calls.nlp", b"token|speaker|ts\nWe|1|0", r"Earnings-22.*firm and the day.*nearest form"),
        (
            "clips.txt",
            b"wav_filename|wav_filesize|transcript\na|1|b",
            r"SPGISpeech.*nearest layout",
        ),
        ("document_ids.txt", b"1.F\n2.F\n3.F\n", r"only a year.*nearest layout is calls"),
        ("id2firms.csv", b"document_id,firm_id,time\n1.F,A,2018\n", r"nearest layout is calls"),
        ("calls.bin", bytes(range(256)) * 4, r"binary file of no known form"),
        ("calls.xls", b"\xd0\xcf\x11\xe0" + b"x" * 90, r"old version of Excel"),
        ("calls.doc", b"\xd0\xcf\x11\xe0" + b"x" * 90, r"old version of Word.*--convert-to txt"),
        ("calls.txt", b"Nothing here names a speaker.", r"no speakers are recognized"),
        ("calls.xml", b"<?xml version='1.0'?><news/>", r"unknown kind"),
        ("calls.csv", b"COMPANYID,TRANSCRIPTID,COMPONENTTEXT\n1,2,x\n", r"nearest layout, capital"),
        ("calls.csv", b"symbol,transcript\nA,Operator: Hi\n", r"does not contain the day"),
    ],
)
def test_unknown_files_get_the_nearest_form_and_a_way_out(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        take_in(tmp_path / name, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_packed_file_is_named_where_the_user_has_it(tmp_path: Path) -> None:
    """readRDS files are gzip files; the temporary folder they are unpacked into says nothing."""
    (tmp_path / "calls.rds").write_bytes(gzip.compress(b"X\n\x00\x00"))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("inner/calls.pdf", b"%PDF-1.7")
    for name, where in (("calls.rds", "calls.rds"), ("all.zip", "all.zip (inner/calls.pdf)")):
        with pytest.raises(InputError) as refused:
            take_in(tmp_path / name, tmp_path / "data")
        assert str(refused.value).startswith(f"The file {tmp_path / where} ")


def test_a_word_document_is_refused_with_the_way_out(tmp_path: Path) -> None:
    parts = {"[Content_Types].xml": "<Types/>", "word/document.xml": "<w:document/>"}
    path = tmp_path / "call.docx"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match=r"is a Word document.*pandoc .* call\.docx .* call\.txt"):
        take_in(path, tmp_path / "data")


def test_sets_that_cannot_be_read_are_named_beside_tables(tmp_path: Path) -> None:
    """The metadata of Earnings-22 and the lists of a set of documents are no calls."""
    words = tmp_path / "earnings22" / "nlp"
    words.mkdir(parents=True)
    (words / "1.nlp").write_text("token|speaker|ts\nGood|1|0.1\n", encoding="utf-8")
    formats.write_csv(words.parent / "metadata.csv", [{"file_id": 1, "company_name": "Acme"}])
    with pytest.raises(InputError, match="as Earnings-21 and Earnings-22 have it"):
        take_in(words.parent, tmp_path / "data")
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "documents.txt").write_text("we sold more\n" * 6, encoding="utf-8")
    (folder / "document_ids.txt").write_text("1.F\n" * 6, encoding="utf-8")
    with pytest.raises(InputError, match="each turn begins with"):
        take_in(folder, tmp_path / "data")


def test_firm_and_day_in_other_columns_are_named_by_options(tmp_path: Path) -> None:
    """A self-made join often has the firm's name alone, and call_date."""
    rows = [
        {name: row[name] for name in row if name not in {"companyid", "mostimportantdateutc"}}
        | {"call_date": row["mostimportantdateutc"]}
        for row in formats.turn_rows()
    ]
    path = formats.write_csv(tmp_path / "calls.csv", rows)
    with pytest.raises(InputError, match="lacks companyid, mostimportantdateutc for the nearest"):
        take_in(path, tmp_path / "none")
    columns = {"firm_id": "companyname", "earnings_call_date": "call_date"}
    report = take_in(path, tmp_path / "data", columns=columns)
    assert (report.manifest.n_firms, report.manifest.n_calls, report.n_rejects) == (2, 2, 0)
    assert report.layout == "capital-iq earnings_call_date=call_date firm_id=companyname"
    assert {row["firm_id"] for row in stored_rows(tmp_path / "data")} == {
        call.name for call in formats.CALLS
    }


def test_several_files_and_globs_are_one_source(tmp_path: Path) -> None:
    rows = formats.turn_rows()
    first = formats.write_csv(tmp_path / "calls_1.csv", rows[:7])
    second = formats.write_csv(tmp_path / "calls_2.csv", rows[7:])
    named = take_in([first, second], tmp_path / "named")
    fitted = take_in(str(tmp_path / "calls_*.csv"), tmp_path / "fitted")
    assert named.manifest.chunks == fitted.manifest.chunks
    assert named.manifest.n_calls == 2


def test_tables_are_joined_with_the_option(tmp_path: Path) -> None:
    form = next(form for form in formats.FORMS if form.name == "capital-iq tables")
    folder = form.write(tmp_path)
    others = (folder / "detail.csv", folder / "persons.csv")
    report = take_in(folder / "components.csv", tmp_path / "data", with_tables=others)
    assert report.manifest.n_calls == 2
    with pytest.raises(InputError, match="no id in common"):
        take_in(
            folder / "components.csv",
            tmp_path / "other",
            with_tables=(formats.write_csv(tmp_path / "x.csv", [{"name": "a"}]),),
        )
