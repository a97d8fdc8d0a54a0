"""Which calls, texts and identifiers a quarter has, against tables that hold every known trap."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ftm_core.contracts import keys, schemas
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.events import ignore
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.transcript_chunks import read_manifest
from ftm_core.storage.local import LocalStorage
from ftm_core.storage.tables import read_table
from ftm_core.transcripts.wrds.fetching import FetchReport, FetchRequest, fetch_quarter
from tests.fakes import wrds_tables as traps
from tests.fakes.wrds_postgres import PostgresServer

QUARTER = Quarter(2023, 1)


@pytest.fixture(scope="module")
def fetched(
    server: PostgresServer, fetch: Callable[..., FetchReport], tmp_path_factory: Any
) -> tuple[LocalStorage, FetchReport]:
    traps.load(server, traps.traps())
    storage = LocalStorage(tmp_path_factory.mktemp("traps"))
    return storage, fetch(storage, firms_per_chunk=7)


@pytest.fixture(scope="module")
def rows(fetched: tuple[LocalStorage, FetchReport]) -> pa.Table:
    storage, _ = fetched
    manifest = read_manifest(storage, QUARTER)
    return pa.concat_tables(
        read_table(storage, chunk.key, schemas.TRANSCRIPTS) for chunk in manifest.chunks
    )


def of_firm(rows: pa.Table, company: int) -> list[dict[str, Any]]:
    return [row for row in rows.to_pylist() if row["firm_id"] == str(company)]


def texts(rows: pa.Table, company: int) -> list[str]:
    return [row["raw_text"] for row in of_firm(rows, company)]


LINKED = {
    # LC before LU, P before C, the latest start, then the smallest permno.
    traps.OVERLAPPING_LINKS: ("000101", 11104, dt.date(2020, 6, 1)),
    traps.LAPSED_LINK: ("000102", None, None),
    traps.OPEN_LINK: ("000103", 11301, dt.date(2010, 1, 1)),
    traps.YEAR_9999: ("000104", 11401, dt.date(2010, 1, 1)),
    traps.TYPE_REFUSED: ("000105", None, None),
    traps.NOT_PRIMARY: ("000106", None, None),
    traps.NO_GVKEY: (None, None, None),
    # A gvkey with a permno is better than one without.
    traps.TWO_GVKEYS: ("900108", 11801, dt.date(2010, 1, 1)),
    traps.OLD_GVKEY: ("900109", 11902, dt.date(2010, 1, 1)),
    traps.LINK_FROM_CALL_DAY: ("000110", 12001, dt.date(2023, 2, 15)),
    traps.LINK_TO_CALL_DAY: ("000111", 12101, dt.date(2010, 1, 1)),
    # The latest call decides for the firm.
    traps.CHANGES_IN_QUARTER: ("000112", 12202, dt.date(2023, 3, 1)),
}


@pytest.mark.parametrize(("company", "expected"), LINKED.items())
def test_fault_21_one_link_is_chosen_among_overlapping_ones(
    rows: pa.Table, company: int, expected: tuple[Any, ...]
) -> None:
    found = {(row["gvkey"], row["permno"], row["link_date"]) for row in of_firm(rows, company)}

    assert found == {expected}


def test_fault_21_rival_links_never_duplicate_a_sentence(rows: pa.Table) -> None:
    ids = Counter(rows.column("sentence_id").to_pylist())

    assert [name for name, times in ids.items() if times > 1] == []
    assert texts(rows, traps.OVERLAPPING_LINKS) == ["We sold more."]


@pytest.mark.parametrize(
    ("company", "inside"),
    [
        (traps.FIRST_SECOND, True),
        (traps.LAST_SECOND, True),
        (traps.SECOND_AFTER, False),
        (traps.LAST_SECOND_BEFORE, False),
        (traps.NOT_EARNINGS, False),
    ],
)
def test_fault_21_quarter_includes_the_last_second_of_its_day(
    rows: pa.Table, company: int, inside: bool
) -> None:
    assert bool(of_firm(rows, company)) is inside


def test_fault_21_call_with_two_days_is_in_one_quarter_only(
    rows: pa.Table,
) -> None:
    # Its final version is of 1 April; the preliminary one of 31 March must not be taken.
    assert of_firm(rows, traps.VERSIONS_DISAGREE) == []


def test_fault_22_link_date_is_kept_wherever_there_is_a_permno(rows: pa.Table) -> None:
    for row in rows.to_pylist():
        assert (row["link_date"] is None) == (row["permno"] is None), row["firm_id"]
    assert rows.column("link_date").null_count < rows.num_rows


def test_firms_without_permno_are_kept_and_counted(
    rows: pa.Table, fetched: tuple[LocalStorage, FetchReport]
) -> None:
    _, report = fetched
    without = {row["firm_id"] for row in rows.to_pylist() if row["permno"] is None}

    assert {str(traps.NO_GVKEY), str(traps.LAPSED_LINK)} < without
    assert report.manifest.n_firms_without_permno == len(without)
    assert report.n_firms_with_rival_links == 2


@pytest.mark.parametrize(
    ("company", "expected"),
    [
        (traps.THREE_VERSIONS, ["The proofed one."]),
        (traps.PRELIMINARY_LATER, ["The final one."]),
        (traps.SAME_MOMENT, [f"Stage {traps.AUDITED}."]),
        (traps.FINAL_HAS_NO_TEXT, ["The edited one has the text."]),
        (traps.TWO_CALLS, ["The first call.", "The second call."]),
        (traps.LISTED_TWICE, ["One call under two events."]),
        (traps.SHARED_CALL[0], ["We merged."]),
        (traps.SHARED_CALL[1], ["We merged."]),
        (traps.TWO_SPEAKERS_LISTED, ["Said once."]),
        (traps.BLANK_PARTS, ["We begin.", "We end."]),
        (
            traps.OUT_OF_ORDER,
            ["First.", "Second.", "Third.", "Fourth, listed earlier.", "Fourth, listed later."],
        ),
    ],
)
def test_every_call_is_taken_once_in_its_final_version_as_spoken(
    rows: pa.Table, company: int, expected: list[str]
) -> None:
    assert texts(rows, company) == expected


def test_speaker_types_are_ours_and_a_missing_one_is_unknown(rows: pa.Table) -> None:
    missing = [row["speaker_type"] for row in of_firm(rows, traps.SPEAKER_MISSING)]
    listed_twice = [row["speaker_type"] for row in of_firm(rows, traps.TWO_SPEAKERS_LISTED)]

    assert missing == ["Unknown", "Unknown", "Operator"]
    assert listed_twice == ["Executive"]


def test_odd_characters_arrive_as_they_were_written(rows: pa.Table) -> None:
    spoken = " ".join(texts(rows, traps.ODD_CHARACTERS))

    assert "".join(spoken.split()) == "".join(traps.ODD_TEXT.split())


def test_both_calls_of_a_firm_keep_ids_and_dates_of_their_own(rows: pa.Table) -> None:
    calls = {
        (row["transcript_id"], row["earnings_call_date"]) for row in of_firm(rows, traps.TWO_CALLS)
    }

    assert calls == {("30501", dt.date(2023, 1, 20)), ("30500", dt.date(2023, 3, 20))}


def test_calls_and_components_without_text_are_listed_not_lost(
    rows: pa.Table, fetched: tuple[LocalStorage, FetchReport]
) -> None:
    storage, report = fetched
    listed = list(
        csv.DictReader(io.StringIO(storage.read(keys.transcripts_rejects(QUARTER)).decode()))
    )

    assert of_firm(rows, traps.NO_TEXT_AT_ALL) == []
    assert {(line["row"], line["reason"]) for line in listed} == {
        ("40400", "3 of 5 are blank"),
        ("40500", "all 2 are blank: the call was left out"),
    }
    assert (report.n_calls_without_text, report.manifest.n_rejected_rows) == (1, 5)


def test_the_manifest_counts_what_is_in_the_chunks(
    rows: pa.Table, fetched: tuple[LocalStorage, FetchReport]
) -> None:
    _, report = fetched
    calls = {(row["firm_id"], row["transcript_id"]) for row in rows.to_pylist()}

    assert report.manifest.n_sentences == rows.num_rows
    assert report.manifest.n_calls == len(calls)
    assert report.manifest.n_firms == len({firm for firm, _ in calls})
    assert set(report.manifest.firm_to_chunk) == {firm for firm, _ in calls}
    assert [chunk.n_firms for chunk in report.manifest.chunks[:-1]] == [7] * (
        len(report.manifest.chunks) - 1
    )


def test_quarter_without_calls_is_named(
    fetched: tuple[LocalStorage, FetchReport], connecting: Any, tmp_path: Path
) -> None:
    request = FetchRequest(Quarter(1999, 1))
    with pytest.raises(InputError, match="holds no transcript of 1999Q1"):
        fetch_quarter(
            LocalStorage(tmp_path), request, connecting, ignore, today=dt.date(2024, 6, 30)
        )
