"""Ingest from every form: what is accepted, what is rejected and why, what a second ingest does."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from ftm_core.contracts import events, keys
from ftm_core.contracts.errors import ExitCode, InputError, StorageError
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.transcript_chunks import read_manifest
from ftm_core.storage.local import LocalStorage
from ftm_core.transcripts.ingest import IngestOptions, ingest
from ftm_core.transcripts.ingest_report import IngestReport
from ftm_core.transcripts.rejects import RejectedRowsError
from ftm_core.transcripts.sources import sample_corpus
from tests.fakes.transcript_corpora import (
    FORMS,
    QUARTER,
    everything_under,
    sentence_row,
    stored_rows,
    turn_row,
    write_corpus,
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def take_in(path: Path, data: Path, **options: Any) -> IngestReport:
    options.setdefault("accept_rejects", True)
    return ingest(path, QUARTER, LocalStorage(data), IngestOptions(**options))


@pytest.mark.parametrize("form", FORMS)
def test_sentences_in_our_layout_are_stored_as_they_are(
    tmp_path: Path, data: Path, form: str
) -> None:
    rows = [
        sentence_row(firm, call, position)
        for firm in (2, 1)
        for call in (2, 1)
        for position in (1, 0)
    ]
    report = take_in(write_corpus(tmp_path / f"calls.{form}", rows), data)
    assert (report.layout, report.manifest.n_rejected_rows) == ("ftm", 0)
    stored = stored_rows(data)
    assert [row["sentence_id"] for row in stored] == [
        f"F{firm}_F{firm}C{call}_000{position}"
        for firm in (1, 2)
        for call in (1, 2)
        for position in (0, 1)
    ]
    assert stored[0] == {
        "firm_id": "F1",
        "firm_name": "Firm 1",
        "ticker": "T1",
        "permno": 10001,
        "gvkey": "000001",
        "link_date": dt.date(2001, 1, 1),
        "transcript_id": "F1C1",
        "earnings_call_date": dt.date(2023, 1, 15),
        "sentence_id": "F1_F1C1_0000",
        "raw_text": "Firm 1 said thing 0 in call 1.",
        "speaker_type": "CEO",
        "position": 0,
        "quarter": "2023Q1",
    }


@pytest.mark.parametrize("form", FORMS)
def test_capital_iq_turns_are_split_in_component_order(
    tmp_path: Path, data: Path, form: str
) -> None:
    rows = [turn_row(order=order) for order in (10, 9, 0)]
    report = take_in(write_corpus(tmp_path / f"calls.{form}", rows), data)
    assert report.layout == "capital-iq"
    assert report.manifest.n_firms_without_permno == 1
    stored = stored_rows(data)
    assert [row["raw_text"] for row in stored if row["position"] % 2 == 0] == [
        f"Firm 1 sold {order} more in call 1." for order in (0, 9, 10)
    ]
    assert [row["position"] for row in stored] == list(range(6))
    assert {row["speaker_type"] for row in stored} == {"Executive"}


def test_last_second_of_the_quarter_is_inside_the_next_is_not(tmp_path: Path, data: Path) -> None:
    rows = [
        turn_row(1, mostimportantdateutc="2023-03-31 23:59:59"),
        turn_row(2, mostimportantdateutc="2023-04-01 00:00:00"),
        turn_row(3, mostimportantdateutc="2022-12-31 23:59:59"),
        turn_row(4, mostimportantdateutc="2023-01-01T00:00:00Z"),
    ]
    report = take_in(write_corpus(tmp_path / "calls.csv", rows), data)
    assert (report.n_rejects, report.other_quarters) == (0, {"2022Q4": 1, "2023Q2": 1})
    assert {row["firm_id"] for row in stored_rows(data)} == {"1", "4"}


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"earnings_call_date": ""}, "earnings_call_date", "is missing"),
        ({"earnings_call_date": "3/31/2023"}, "earnings_call_date", "is not a date"),
        ({"earnings_call_date": "2023-02-30"}, "earnings_call_date", "is not a date"),
        ({"earnings_call_date": "2023-02-01 25:00:00"}, "earnings_call_date", "is not a date"),
        ({"earnings_call_date": "２０２３-02-01"}, "earnings_call_date", "is not a date"),
        ({"firm_id": "  "}, "firm_id", "is missing"),
        ({"firm_id": "NaN"}, "firm_id", "marks a missing value"),
        ({"firm_id": "x" * 201}, "firm_id", "longer than 200"),
        ({"firm_id": "a\nb"}, "firm_id", "control character"),
        ({"transcript_id": ""}, "transcript_id", "is missing"),
        ({"raw_text": " \n "}, "raw_text", "is empty"),
        ({"raw_text": "a\x00b"}, "raw_text", "NUL"),
        ({"position": ""}, "position", "is missing"),
        ({"position": "-1"}, "position", "whole number"),
        ({"position": "99999999999"}, "position", "not a position"),
    ],
)
def test_a_bad_value_rejects_its_row_and_names_it(
    tmp_path: Path, data: Path, changes: dict[str, str], field: str, reason: str
) -> None:
    rows = [sentence_row(1), {**sentence_row(2), **changes}, sentence_row(3)]
    report = take_in(write_corpus(tmp_path / "calls.csv", rows), data)
    [reject] = report.rejects
    assert (reject.file, reject.row, reject.field) == ("calls.csv", 3, field)
    assert reason in reject.reason
    assert {row["firm_id"] for row in stored_rows(data)} == {"F1", "F3"}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("permno", "10107A", "is not a whole number"),
        ("permno", "10107.5", "is not a whole number"),
        ("permno", "0", "is not a permno"),
        ("gvkey", "1690-01", "is not a gvkey of up to six digits"),
        ("gvkey", "12345678", "is not a gvkey of up to six digits"),
        ("link_date", "soon", "is not a date"),
        ("ticker", "x" * 201, "is longer than 200 characters"),
    ],
)
def test_a_bad_optional_value_is_left_empty_and_counted(
    tmp_path: Path, data: Path, name: str, value: str, reason: str
) -> None:
    rows = [sentence_row(1), sentence_row(2, **{name: value})]
    report = take_in(write_corpus(tmp_path / "calls.csv", rows), data, accept_rejects=False)
    [(reported, count)] = report.emptied.items()
    assert (report.n_rejects, count) == (0, 1)
    assert reported.startswith(f"{name} {reason}")
    assert [row[name] is None for row in stored_rows(data)] == [False, True]


@pytest.mark.parametrize("mark", ["NA", ".", "NaN", ".a", "NULL", "#N/A", "<NA>"])
def test_a_missing_mark_of_any_tool_is_an_empty_value(
    tmp_path: Path, data: Path, mark: str
) -> None:
    row = sentence_row(permno=mark, gvkey=mark, ticker=mark, link_date=mark, speaker_type=mark)
    report = take_in(write_corpus(tmp_path / "calls.csv", [row]), data)
    [stored] = stored_rows(data)
    assert (report.n_rejects, report.emptied) == (0, {})
    assert [stored[name] for name in ("permno", "gvkey", "ticker", "link_date")] == [None] * 4
    assert stored["speaker_type"] == "Unknown"


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"permno": "10107.0"}, {"permno": 10107}),
        ({"permno": ""}, {"permno": None}),
        ({"firm_id": "18511.0"}, {"firm_id": "18511"}),
        ({"earnings_call_date": "20230201"}, {"earnings_call_date": dt.date(2023, 2, 1)}),
        ({"earnings_call_date": "01FEB2023"}, {"earnings_call_date": dt.date(2023, 2, 1)}),
        ({"earnings_call_date": "Feb 1, 2023"}, {"earnings_call_date": dt.date(2023, 2, 1)}),
        ({"earnings_call_date": "1675209600"}, {"earnings_call_date": dt.date(2023, 2, 1)}),
        (
            {"earnings_call_date": "2023-02-01 21:00:00-05:00"},
            {"earnings_call_date": dt.date(2023, 2, 2)},
        ),
        ({"gvkey": "1690"}, {"gvkey": "001690"}),
        ({"gvkey": "FICT01"}, {"gvkey": "FICT01"}),
        ({"speaker_type": ""}, {"speaker_type": "Unknown"}),
        ({"raw_text": "  So,\nyes. "}, {"raw_text": "So, yes."}),
        ({"link_date": "2006-02-15 00:00:00"}, {"link_date": dt.date(2006, 2, 15)}),
    ],
)
def test_a_value_that_can_be_read_in_one_way_is_read(
    tmp_path: Path, data: Path, given: dict[str, Any], stored: dict[str, Any]
) -> None:
    take_in(write_corpus(tmp_path / "calls.csv", [sentence_row(**given)]), data)
    [row] = stored_rows(data)
    assert {name: row[name] for name in stored} == stored


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"firm_id": 18671.5}, "firm_id"),
        ({"firm_id": True}, "firm_id"),
        ({"firm_id": ["F2"]}, "firm_id"),
        ({"raw_text": 5}, "raw_text"),
        ({"raw_text": None}, "raw_text"),
        ({"raw_text": "lone \ud800 surrogate"}, "raw_text"),
        ({"earnings_call_date": 44320}, "earnings_call_date"),
    ],
)
def test_a_json_value_of_the_wrong_type_is_rejected(
    tmp_path: Path, data: Path, changes: dict[str, Any], field: str
) -> None:
    rows = [sentence_row(1), {**sentence_row(2), **changes}]
    report = take_in(write_corpus(tmp_path / "calls.jsonl", rows), data)
    assert [(reject.row, reject.field) for reject in report.rejects] == [(2, field)]


def test_json_lines_that_are_no_objects_are_rejected_by_line(tmp_path: Path, data: Path) -> None:
    path = write_corpus(tmp_path / "calls.jsonl", [sentence_row(1)])
    with path.open("ab") as file:
        file.write(b'\n[1]\n{"a": NaN}\n{torn\n{"a": 1, "a": 2}\n"\xff"\n' + b"[" * 9999 + b"\n")
    report = take_in(path, data)
    assert [reject.row for reject in report.rejects] == [3, 4, 5, 6, 7, 8]
    assert report.manifest.n_sentences == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n\n", r"calls\.jsonl holds no line"),
        (b"\n{}\n", r"Row 2 of .*calls\.jsonl is an empty object"),
        (b"\xc3(\n{}\n", r"Row 1 of .*calls\.jsonl is not valid JSON"),
        (b"[1]\n", r"Row 1 of .*calls\.jsonl is not a JSON object"),
    ],
)
def test_json_lines_without_a_column_are_refused_with_the_first(
    tmp_path: Path, data: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        take_in(path, data)


def test_damaged_bytes_of_utf8_reject_their_row(tmp_path: Path, data: Path) -> None:
    """A file with letters of several bytes is UTF-8: a byte that does not fit is damage."""
    path = write_corpus(
        tmp_path / "calls.csv", [sentence_row(1, raw_text="Café – naïve."), sentence_row(2)]
    )
    path.write_bytes(path.read_bytes().replace(b"Firm 2,", b"Firm \xe9,"))
    report = take_in(path, data)
    [reject] = report.rejects
    assert (reject.row, reject.field) == (3, "firm_name")
    assert reject.reason == "is not text in the file's encoding"


def test_a_byte_order_mark_and_quoted_newlines_are_read(tmp_path: Path, data: Path) -> None:
    path = write_corpus(
        tmp_path / "calls.csv",
        [turn_row(1, componenttext='He said "up"\r\n\r\nThen, "down".'), turn_row(2, companyid="")],
    )
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    report = take_in(path, data)
    assert [row["raw_text"] for row in stored_rows(data)] == ['He said "up"', 'Then, "down".']
    assert [reject.row for reject in report.rejects] == [3]


def test_a_csv_row_that_cannot_be_taken_apart_is_rejected(tmp_path: Path, data: Path) -> None:
    path = write_corpus(tmp_path / "calls.csv", [sentence_row(1)])
    with path.open("a", encoding="utf-8") as file:
        file.write('only,three,fields\n"a"b,c\n\n')
    report = take_in(path, data)
    assert [(reject.row, reject.reason.split(" (")[0]) for reject in report.rejects] == [
        (3, "has 3 fields, the header has 11"),
        (4, "is not valid CSV"),
    ]


def test_a_quote_that_is_not_closed_is_refused_with_its_row(tmp_path: Path, data: Path) -> None:
    path = write_corpus(tmp_path / "calls.csv", [sentence_row(1), sentence_row(2)])
    with path.open("a", encoding="utf-8") as file:
        file.write('F3,"Firm 3\n' + "F4,x\n" * 50)
    with pytest.raises(InputError, match=r"Row 4 of .*calls\.csv .*not closed"):
        take_in(path, data)
    assert not data.exists()


def test_repeated_and_contradicting_rows_of_a_call(tmp_path: Path, data: Path) -> None:
    rows = [
        sentence_row(1, 1, 0),
        sentence_row(1, 1, 0),
        sentence_row(1, 1, 1),
        sentence_row(1, 1, 2, raw_text="One text."),
        sentence_row(1, 1, 2, raw_text="Another text."),
        sentence_row(2, 1, 0),
        sentence_row(2, 1, 1, earnings_call_date="2023-01-16"),
        sentence_row(3, 1, 0),
        sentence_row(3, 1, 1, permno=99),
    ]
    report = take_in(write_corpus(tmp_path / "calls.csv", rows), data)
    assert [(reject.row, reject.field) for reject in report.rejects] == [
        (3, "position"),
        (5, "position"),
        (6, "position"),
        (7, "earnings_call_date"),
        (8, "earnings_call_date"),
        (9, "permno"),
        (10, "permno"),
    ]
    assert report.rejects[0].reason == "repeats row 2"
    assert [row["position"] for row in stored_rows(data)] == [0, 1]


def test_one_call_under_two_transcript_ids_is_kept_once(tmp_path: Path, data: Path) -> None:
    rows = [turn_row(1, 1, order) for order in range(3)]
    rows += [turn_row(1, 1, order, transcriptid="1999") for order in range(3)]
    report = take_in(write_corpus(tmp_path / "calls.csv", rows), data)
    assert report.manifest.n_calls == 1
    assert [reject.row for reject in report.rejects] == [5, 6, 7]
    assert report.rejects[0].reason == "has the text of the call 1001"


def test_a_transcript_of_two_companies_is_kept_for_each(tmp_path: Path, data: Path) -> None:
    rows = [turn_row(1, transcriptid="7"), turn_row(2, transcriptid="7"), turn_row(3)]
    report = take_in(write_corpus(tmp_path / "calls.csv", rows), data)
    assert report.n_rejects == 0
    assert {(row["firm_id"], row["transcript_id"]) for row in stored_rows(data)} == {
        ("1", "7"),
        ("2", "7"),
        ("3", "3001"),
    }


def test_ids_with_the_same_sentence_ids_are_not_both_taken(tmp_path: Path, data: Path) -> None:
    rows = [
        sentence_row(1, firm_id="A", transcript_id="B_C"),
        sentence_row(2, firm_id="A_B", transcript_id="C"),
    ]
    report = take_in(write_corpus(tmp_path / "calls.csv", rows), data)
    assert [reject.row for reject in report.rejects] == [3]
    assert len({row["sentence_id"] for row in stored_rows(data)}) == 1


def test_firm_with_several_calls_keeps_all_and_the_latest_name(tmp_path: Path, data: Path) -> None:
    rows = [
        sentence_row(1, 2, firm_name="New Name"),
        sentence_row(1, 1, firm_name="Old Name", permno=""),
        sentence_row(2, 1),
        sentence_row(2, 2, permno=77),
    ]
    report = take_in(write_corpus(tmp_path / "calls.csv", rows), data)
    stored = stored_rows(data)
    assert [(row["transcript_id"], row["firm_name"], row["permno"]) for row in stored] == [
        ("F1C1", "New Name", 10001),
        ("F1C2", "New Name", 10001),
    ]
    assert [(reject.row, reject.reason) for reject in report.rejects] == [
        (4, "the firm's calls give 10002, 77"),
        (5, "the firm's calls give 10002, 77"),
    ]


def test_a_maec_folder_is_read_as_published(tmp_path: Path, data: Path) -> None:
    texts = {
        "20230117_CMA": "Good morning\nLoans grew\n",
        "20230118_BAC": "\ufeffDeposits fell",
        "20230119_C": "",
        "20230120_D": "Fine\n\nGood\n",
        "20239901_E": "Never\n",
    }
    for name, text in texts.items():
        (tmp_path / "maec" / name).mkdir(parents=True)
        (tmp_path / "maec" / name / "text.txt").write_text(text, encoding="utf-8")
    (tmp_path / "maec" / "20230121_F").mkdir()
    (tmp_path / "maec" / "notes").mkdir()
    report = take_in(tmp_path / "maec", data)
    assert report.layout == "maec"
    assert [(row["sentence_id"], row["raw_text"]) for row in stored_rows(data)] == [
        ("BAC_20230118_BAC_0000", "Deposits fell"),
        ("CMA_20230117_CMA_0000", "Good morning"),
        ("CMA_20230117_CMA_0001", "Loans grew"),
        ("D_20230120_D_0000", "Fine"),
        ("D_20230120_D_0002", "Good"),
    ]
    assert {row["speaker_type"] for row in stored_rows(data)} == {"Unknown"}
    assert [(reject.file, reject.row) for reject in report.rejects] == [
        ("20230119_C/text.txt", 1),
        ("20230120_D/text.txt", 2),
        ("20230121_F/text.txt", 1),
        ("20239901_E/text.txt", 1),
    ]


@pytest.mark.parametrize(
    "changes", [{"ticker": "OTHER"}, {"call_date": "2023-01-18"}, {"transcript_id": "CMA"}]
)
def test_a_maec_row_must_agree_with_its_transcript_id(
    tmp_path: Path, data: Path, changes: dict[str, str]
) -> None:
    good = {
        "transcript_id": "20230117_CMA",
        "ticker": "CMA",
        "call_date": "2023-01-17",
        "position": 0,
        "text": "Loans grew",
    }
    rows = [good, {**good, "position": 1, **changes}]
    report = take_in(write_corpus(tmp_path / "calls.csv", rows), data)
    assert [(reject.row, reject.field) for reject in report.rejects] == [(3, "transcript_id")]


def test_columns_of_other_names_are_given_by_override(tmp_path: Path, data: Path) -> None:
    row = turn_row(1)
    row["text"], row["lpermno"] = row.pop("componenttext"), 10107
    path = write_corpus(tmp_path / "calls.csv", [row])
    with pytest.raises(InputError, match="lacks componenttext"):
        take_in(path, data)
    report = take_in(path, data, columns={"raw_text": "text", "permno": "lpermno"})
    assert report.layout == "capital-iq raw_text=text"
    assert {row["permno"] for row in stored_rows(data)} == {10107}


def test_a_source_that_fits_two_layouts_needs_a_choice(tmp_path: Path, data: Path) -> None:
    path = write_corpus(tmp_path / "calls.csv", [{**sentence_row(1), **turn_row(1)}])
    with pytest.raises(InputError, match=r"fits several layouts.*--layout"):
        take_in(path, data)
    assert take_in(path, data, layout="ftm").manifest.n_sentences == 1


def test_all_rejects_are_in_the_file_beside_the_chunks(tmp_path: Path, data: Path) -> None:
    rows = [sentence_row(1)] + [sentence_row(2, position=n, raw_text="") for n in range(150)]
    report = take_in(write_corpus(tmp_path / "calls.csv", rows), data)
    assert len(report.rejects) == 100
    assert report.rejects_by_reason == {"raw_text the text is empty": 150}
    with (data / keys.transcripts_rejects(QUARTER)).open(encoding="utf-8", newline="") as file:
        kept = list(csv.DictReader(file))
    assert [int(row["row"]) for row in kept] == list(range(3, 153))
    assert report.manifest.n_rejected_rows == 150


def test_the_same_content_again_does_nothing_and_says_so(tmp_path: Path, data: Path) -> None:
    path = write_corpus(tmp_path / "calls.csv", [sentence_row(1)])
    take_in(path, data)
    before = everything_under(data)
    again = take_in(path, data)
    assert again.already_ingested
    assert again.manifest == read_manifest(LocalStorage(data), QUARTER)
    assert everything_under(data) == before


def test_other_content_is_refused_until_replaced(tmp_path: Path, data: Path) -> None:
    first = [sentence_row(firm) for firm in range(1, 8)] + [sentence_row(9, raw_text="")]
    take_in(write_corpus(tmp_path / "calls.csv", first), data, firms_per_chunk=2)
    before = everything_under(data)
    path = write_corpus(tmp_path / "calls.csv", [sentence_row(8)])
    with pytest.raises(InputError, match="--replace"):
        take_in(path, data)
    assert everything_under(data) == before
    report = take_in(path, data, replace=True)
    assert [row["firm_id"] for row in stored_rows(data)] == ["F8"]
    assert len(report.manifest.chunks) == 1
    assert sorted(everything_under(data)) == [
        keys.transcripts_chunk(QUARTER, 0),
        keys.transcripts_manifest(QUARTER),
    ]


def test_a_change_of_columns_counts_as_other_content(tmp_path: Path, data: Path) -> None:
    path = write_corpus(tmp_path / "calls.csv", [{**sentence_row(1), "lpermno": 5}])
    take_in(path, data)
    with pytest.raises(InputError, match="--replace"):
        take_in(path, data, columns={"permno": "lpermno"})


def test_a_replacement_that_fails_leaves_the_quarter_as_it_was(tmp_path: Path, data: Path) -> None:
    take_in(write_corpus(tmp_path / "good.csv", [sentence_row(1)]), data)
    before = everything_under(data)
    bad = write_corpus(tmp_path / "bad.csv", [sentence_row(2, raw_text="")])
    with pytest.raises(RejectedRowsError, match="no row to ingest"):
        take_in(bad, data, replace=True)
    assert everything_under(data) == before


class FailingStorage(LocalStorage):
    """A folder whose disk fails when the manifest is to be written."""

    def write(self, key: str, data: bytes) -> None:
        if key == keys.transcripts_manifest(QUARTER):
            raise StorageError(self.describe(key), "could not be written", "Try again.")
        super().write(key, data)


def test_ingest_killed_before_its_manifest_leaves_no_quarter(tmp_path: Path, data: Path) -> None:
    path = write_corpus(tmp_path / "calls.csv", [sentence_row(firm) for firm in range(5)])
    take_in(path, data)
    other = write_corpus(tmp_path / "other.csv", [sentence_row(9)])
    with pytest.raises(StorageError):
        ingest(other, QUARTER, FailingStorage(data), IngestOptions(replace=True))
    with pytest.raises(InputError, match="no ingested transcripts"):
        read_manifest(LocalStorage(data), QUARTER)
    take_in(path, data)
    assert len(stored_rows(data)) == 5


def test_a_damaged_manifest_can_be_replaced(tmp_path: Path, data: Path) -> None:
    path = write_corpus(tmp_path / "calls.csv", [sentence_row(1)])
    take_in(path, data)
    (data / keys.transcripts_manifest(QUARTER)).write_bytes(b"{torn")
    with pytest.raises(InputError, match=r"manifest\.json"):
        take_in(path, data)
    take_in(path, data, replace=True)
    assert len(stored_rows(data)) == 1


def test_a_missing_chunk_is_noticed(tmp_path: Path, data: Path) -> None:
    path = write_corpus(tmp_path / "calls.csv", [sentence_row(1)])
    take_in(path, data)
    (data / keys.transcripts_chunk(QUARTER, 0)).unlink()
    with pytest.raises(InputError, match=r"chunk_0000\.parquet.*missing"):
        take_in(path, data)


def test_strict_refuses_a_source_with_one_rejected_row(tmp_path: Path, data: Path) -> None:
    path = write_corpus(tmp_path / "calls.csv", [sentence_row(1), sentence_row(1)])
    with pytest.raises(RejectedRowsError, match=r"calls\.csv row 3") as caught:
        take_in(path, data, strict=True)
    assert (caught.value.exit_code, caught.value.count) == (ExitCode.USAGE, 1)
    assert not data.exists()


@pytest.mark.parametrize("form", FORMS)
def test_a_source_without_rows_is_refused(tmp_path: Path, data: Path, form: str) -> None:
    path = write_corpus(tmp_path / f"calls.{form}", [sentence_row(1)])
    if form == "csv":
        path.write_text(path.read_text(encoding="utf-8").splitlines()[0], encoding="utf-8")
    elif form == "jsonl":
        path.write_text("\n\n", encoding="utf-8")
    else:
        import pyarrow.parquet as pq

        pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(InputError, match=r"calls\."):
        take_in(path, data)
    assert not data.exists()


def test_progress_is_reported_in_bytes_read_and_in_firms(tmp_path: Path, data: Path) -> None:
    reported: list[events.Event] = []
    path = write_corpus(tmp_path / "calls.jsonl", [sentence_row(firm) for firm in range(9)])
    ingest(path, QUARTER, LocalStorage(data), None, reported.append)
    started = [event for event in reported if isinstance(event, events.StageStarted)]
    for stage in started:
        advanced = sum(
            event.amount
            for event in reported
            if isinstance(event, events.StageAdvanced) and event.stage == stage.stage
        )
        assert advanced == stage.total
    assert [stage.unit for stage in started] == ["kB", "firms"]


def test_the_same_source_gives_the_same_chunks_to_the_byte(tmp_path: Path) -> None:
    path = write_corpus(tmp_path / "calls.csv", [sentence_row(firm) for firm in range(30)])
    first = take_in(path, tmp_path / "one").manifest
    second = take_in(path, tmp_path / "two").manifest
    assert first.chunks == second.chunks


def test_the_sample_corpus_is_ingested_without_a_reject(data: Path) -> None:
    report = take_in(sample_corpus(QUARTER), data)
    assert report.manifest.n_rejected_rows == 0
    assert report.manifest.n_firms >= 24
    assert report.manifest.n_sentences >= 24 * 70
    with pytest.raises(InputError, match="2023Q1"):
        sample_corpus(Quarter(1999, 1))
