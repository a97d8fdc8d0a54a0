"""Merging identifiers: by the link rules, all or nothing, and what stays unmatched is listed."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftm_core.contracts import keys
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.transcript_chunks import iterate_firms, read_manifest
from ftm_core.storage.local import LocalStorage
from ftm_core.transcripts.call_sentences import Sentence
from ftm_core.transcripts.chunks import Call, ChunkWriter, FirmTranscripts
from ftm_core.transcripts.identifiers_file import read_links
from ftm_core.transcripts.identifiers_merge import MergeReport, merge_identifiers

QUARTER = Quarter(2023, 1)
TODAY = dt.date(2024, 6, 30)
DAY = dt.date(2023, 2, 15)
LINKS = (
    "ticker,gvkey,permno,linkdt,linkenddt,linktype,linkprim\n"
    "AAA,1,10001,2010-01-01,,LC,P\n"
    "AAA,1,10009,2010-01-01,,LU,C\n"
    "BBB,2,10002,2010-01-01,2022-12-31,LC,P\n"
    "CCC,3,10003,2010-01-01,,LD,P\n"
    "DDD,4,10004,2010-01-01,9999-12-31,LU,P\n"
    "EEE,5,10005,2010-01-01,,LC,P\n"
)


def firm(name: str, **given: Any) -> FirmTranscripts:
    days = given.pop("days", (DAY,))
    calls = tuple(
        Call(f"{name}-{day}", day, (Sentence(f"{name} grew.", "Executive", 0),)) for day in days
    )
    return FirmTranscripts(
        **{"firm_id": name, "firm_name": f"{name} Inc.", "ticker": name, "calls": calls, **given}
    )


FIRMS = [
    firm("AAA", days=(DAY, dt.date(2023, 3, 1))),
    firm("BBB"),
    firm("CCC"),
    firm("DDD"),
    firm("EEE", gvkey="000099"),
    firm("FFF"),
    firm("GGG", ticker=None),
    firm("HHH", gvkey="000001", permno=777, link_date=dt.date(2001, 1, 1)),
]


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    storage = LocalStorage(tmp_path / "data")
    writer = ChunkWriter(storage, QUARTER, run_id="ingest-1", firms_per_chunk=3)
    for item in FIRMS:
        writer.add_firm(item)
    writer.finish(source="calls.csv", source_sha256="0" * 64)
    return storage


@pytest.fixture
def merge(storage: LocalStorage, tmp_path: Path) -> Callable[..., MergeReport]:
    def run(text: str = LINKS, into: LocalStorage = storage) -> MergeReport:
        path = tmp_path / "links.csv"
        path.write_text(text)
        return merge_identifiers(into, QUARTER, read_links(path), today=TODAY)

    return run


def identifiers(storage: LocalStorage) -> dict[str, set[tuple[Any, ...]]]:
    manifest = read_manifest(storage, QUARTER)
    return {
        firm_id: {(row["gvkey"], row["permno"], row["link_date"]) for row in rows.to_pylist()}
        for firm_id, rows in iterate_firms(storage, manifest, manifest.firm_to_chunk)
    }


def contents(storage: LocalStorage) -> dict[str, list[Any]]:
    manifest = read_manifest(storage, QUARTER)
    filled = ("gvkey", "permno", "link_date")
    return {
        firm_id: rows.drop_columns(filled).to_pylist()
        for firm_id, rows in iterate_firms(storage, manifest, manifest.firm_to_chunk)
    }


def files(storage: LocalStorage) -> dict[str, bytes]:
    return {key: storage.read(key) for key in storage.list("prefetch/")}


def test_fault_21_fault_22_identifiers_follow_the_link_rules(
    storage: LocalStorage, merge: Callable[..., MergeReport]
) -> None:
    start = dt.date(2010, 1, 1)

    report = merge()

    assert identifiers(storage) == {
        "AAA": {("000001", 10001, start)},
        "BBB": {("000002", None, None)},
        "CCC": {("000003", None, None)},
        "DDD": {("000004", 10004, start)},
        "EEE": {("000099", None, None)},
        "FFF": {(None, None, None)},
        "GGG": {(None, None, None)},
        "HHH": {("000001", 777, dt.date(2001, 1, 1))},
    }
    assert (report.n_filled, report.n_complete_before, report.n_rival_links) == (4, 1, 1)
    assert report.manifest.n_firms_without_permno == 5


def test_what_stays_unmatched_is_listed_with_the_reason(
    storage: LocalStorage, merge: Callable[..., MergeReport]
) -> None:
    merge()

    listed = csv.DictReader(io.StringIO(storage.read(keys.transcripts_unmatched(QUARTER)).decode()))
    assert {line["firm_id"]: line["reason"] for line in listed} == {
        "BBB": "no link to a permno is valid on the day of a call",
        "CCC": "no link to a permno is valid on the day of a call",
        "EEE": "the valid links have another gvkey or permno than the transcripts",
        "FFF": "is not in the links file",
        "GGG": "has no ticker",
    }


def test_missing_ticker_is_no_reason_in_a_file_with_firm_ids(
    storage: LocalStorage, merge: Callable[..., MergeReport]
) -> None:
    merge("companyid,permno,gvkey\nAAA,10001,1\n")

    listed = csv.DictReader(io.StringIO(storage.read(keys.transcripts_unmatched(QUARTER)).decode()))
    assert {line["reason"] for line in listed} == {"is not in the links file"}


def test_everything_but_the_identifiers_is_as_before(
    storage: LocalStorage, merge: Callable[..., MergeReport]
) -> None:
    before, manifest = contents(storage), read_manifest(storage, QUARTER)

    merge()

    after = read_manifest(storage, QUARTER)
    assert contents(storage) == before
    assert after.firm_to_chunk == manifest.firm_to_chunk
    assert (after.n_firms, after.n_calls, after.n_sentences) == (
        manifest.n_firms,
        manifest.n_calls,
        manifest.n_sentences,
    )
    assert {chunk.sha256 for chunk in after.chunks}.isdisjoint(
        {chunk.sha256 for chunk in manifest.chunks[:2]}
    )
    assert sorted(key for key in storage.list(keys.transcripts_prefix(QUARTER) + "chunk_")) == [
        chunk.key for chunk in after.chunks
    ]


class FailingAt(LocalStorage):
    """A folder whose disk is full at the n-th write."""

    def __init__(self, root: Path, number: int) -> None:
        super().__init__(root)
        self._left = number

    def write(self, key: str, data: bytes) -> None:
        self._left -= 1
        if self._left < 0:
            raise OSError("disk full")
        super().write(key, data)


@pytest.mark.parametrize("number", range(4))
def test_merge_that_stops_anywhere_leaves_the_quarter_as_it_was(
    storage: LocalStorage, merge: Callable[..., MergeReport], number: int
) -> None:
    before = identifiers(storage)

    with pytest.raises(OSError, match="disk full"):
        merge(into=FailingAt(Path(storage.uri), number))

    assert identifiers(storage) == before

    merge()
    assert identifiers(storage)["AAA"] == {("000001", 10001, dt.date(2010, 1, 1))}
    assert len([key for key in files(storage) if "chunk_" in key]) == 3


def test_merging_again_fills_only_what_is_still_missing(
    storage: LocalStorage, merge: Callable[..., MergeReport]
) -> None:
    merge()
    merged = files(storage)

    assert merge().n_filled == 0
    assert files(storage) == merged

    again = merge("ticker,permno\nAAA,5\nFFF,10006\n")

    assert again.n_filled == 1
    assert identifiers(storage)["AAA"] == {("000001", 10001, dt.date(2010, 1, 1))}
    assert identifiers(storage)["FFF"] == {(None, 10006, None)}


def test_firms_with_a_gvkey_are_matched_by_it(
    storage: LocalStorage, merge: Callable[..., MergeReport]
) -> None:
    merge("gvkey,lpermno,linkdt,linkenddt\n000099,10099,2010-01-01,\n")

    assert identifiers(storage)["EEE"] == {("000099", 10099, dt.date(2010, 1, 1))}


def test_a_quarter_that_is_not_ingested_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "links.csv"
    path.write_text(LINKS)

    with pytest.raises(InputError, match="has no ingested transcripts"):
        merge_identifiers(LocalStorage(tmp_path / "no"), QUARTER, read_links(path), today=TODAY)


def test_the_command_prints_what_it_filled_and_what_not(
    storage: LocalStorage, tmp_path: Path
) -> None:
    from typer.testing import CliRunner

    from ftm_cli.app import app

    path = tmp_path / "links.csv"
    path.write_text(LINKS)
    arguments = ["ingest", "merge-identifiers", str(path), "-q", "2023Q1", "--data", storage.uri]

    done = CliRunner().invoke(app, [*arguments, "--json"])

    assert done.exit_code == 0, done.output
    reported = json.loads(done.stdout)
    assert (reported["firms_filled"], reported["firms_without_permno"]) == (4, 5)
    assert {firm["firm_id"] for firm in reported["unmatched"]} == {
        "BBB",
        "CCC",
        "EEE",
        "FFF",
        "GGG",
    }
    assert "is not in the links file" in CliRunner().invoke(app, arguments).stdout
