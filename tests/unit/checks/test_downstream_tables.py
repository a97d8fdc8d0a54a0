"""The downstream tables: all rows accounted for, sentences as spoken, identifiers as ingested."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ftm_core.contracts import keys, schemas
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.events import Event, Note
from ftm_core.data.transcript_chunks import iterate_firms
from ftm_core.storage.local import LocalStorage
from ftm_core.storage.tables import read_table
from ftm_core.themes.downstream_tables import DownstreamReport
from ftm_core.themes.packaging import package_quarter
from tests.fakes.small_quarter import (
    QUARTER,
    SmallQuarter,
    build_small_quarter,
    edit_table,
    read_rows,
)

SENTIMENT = keys.sentiment_ready(QUARTER)
CONTRIBUTIONS = keys.theme_contributions(QUARTER)
TOPIC_PART = keys.firm_topics_part(QUARTER, keys.batch_id(QUARTER, 0), 0)
SENTENCE_PART = keys.sentences_part(QUARTER, keys.batch_id(QUARTER, 0), 0)
TABLES = {
    keys.processed_table("firms", QUARTER): schemas.FIRMS,
    keys.processed_table("sentences", QUARTER): schemas.SENTENCES,
    keys.processed_table("topics", QUARTER): schemas.TOPICS,
    SENTIMENT: schemas.THEMES_FOR_SENTIMENT,
}


def package(quarter: SmallQuarter, said: list[Event] | None = None) -> DownstreamReport:
    said = [] if said is None else said
    return package_quarter(quarter.storage, QUARTER, said.append)


def spoken(quarter: SmallQuarter) -> dict[str, str]:
    """Every ingested sentence by its id."""
    firms = list(quarter.manifest.firm_to_chunk)
    return {
        row["sentence_id"]: row["raw_text"]
        for _, table in iterate_firms(quarter.storage, quarter.manifest, firms)
        for row in table.to_pylist()
    }


def test_the_report_adds_up_to_the_input(small_quarter: SmallQuarter) -> None:
    said: list[Event] = []
    report = package(small_quarter, said)
    assert report == DownstreamReport(
        n_firms=6,
        n_calls=7,
        n_sentences=49,
        n_topics=13,
        n_topics_in_themes=13,
        n_sentiment_rows=11,
        n_rows_without_permno=2,
        firms_without_permno=("F5",),
        failed_firms=("F7",),
    )
    assert report.n_firms + len(report.failed_firms) == small_quarter.manifest.n_firms
    assert [event.text for event in said if isinstance(event, Note)] == [
        "1 firms have no permno: 2 of their rows are left out of sentiment-ready "
        "(`ftm package` lists them)"
    ]


def test_tables_have_the_schemas_of_the_design(finished_quarter: SmallQuarter) -> None:
    for key, schema in TABLES.items():
        table = read_table(finished_quarter.storage, key, schema, run_id=finished_quarter.run_id)
        assert table.schema.equals(schema), key


def test_firms_has_a_row_a_call(finished_quarter: SmallQuarter) -> None:
    rows = read_rows(finished_quarter.storage, keys.processed_table("firms", QUARTER))
    assert [(row["firm_id"], str(row["earnings_call_date"])) for row in rows] == [
        ("F1", "2023-01-01"),
        ("F2", "2023-01-02"),
        ("F3", "2023-01-03"),
        ("F3", "2023-03-31"),
        ("F4", "2023-01-04"),
        ("F5", "2023-01-05"),
        ("F6", "2023-01-06"),
    ]
    assert [(row["n_sentences"], row["n_topics"]) for row in rows] == [(7, 2)] * 6 + [(7, 1)]
    assert (rows[0]["ticker"], rows[0]["permno"], rows[0]["gvkey"]) == ("FRM1", 10001, "001")


def test_firms_that_failed_the_map_are_in_no_table(finished_quarter: SmallQuarter) -> None:
    for key in TABLES:
        rows = read_rows(finished_quarter.storage, key)
        assert "F7" not in {row["firm_id"] for row in rows}, key


def test_a_failed_topic_leaves_its_firm_and_sentences(finished_quarter: SmallQuarter) -> None:
    topics = read_rows(finished_quarter.storage, keys.processed_table("topics", QUARTER))
    assert [row["topic_id"] for row in topics if row["firm_id"] == "F6"] == ["F6_0"]
    sentences = read_rows(finished_quarter.storage, keys.processed_table("sentences", QUARTER))
    assert sum(row["firm_id"] == "F6" for row in sentences) == 7


def test_topics_carry_their_theme(finished_quarter: SmallQuarter) -> None:
    contributions = read_rows(finished_quarter.storage, CONTRIBUTIONS)
    topics = read_rows(finished_quarter.storage, keys.processed_table("topics", QUARTER))
    assert {row["topic_id"]: row["theme_id"] for row in topics} == {
        row["topic_id"]: row["theme_id"] for row in contributions
    }


def test_without_themes_topics_have_none_and_sentiment_is_empty(tmp_path: Path) -> None:
    quarter = build_small_quarter(LocalStorage(tmp_path), with_themes=False)
    topics = read_rows(quarter.storage, keys.processed_table("topics", QUARTER))
    assert {row["theme_id"] for row in topics} == {None}
    table = read_table(quarter.storage, SENTIMENT, schemas.THEMES_FOR_SENTIMENT)
    assert table.num_rows == 0


def test_fault_20_sentences_are_raw_and_in_representative_order(
    finished_quarter: SmallQuarter,
) -> None:
    texts = spoken(finished_quarter)
    topics = read_rows(finished_quarter.storage, keys.processed_table("topics", QUARTER))
    order = {row["topic_id"]: row["sentence_ids"] for row in topics}
    for row in read_rows(finished_quarter.storage, SENTIMENT):
        assert [s["sentence_id"] for s in row["sentences"]] == order[row["topic_id"]]
        assert [s["text"] for s in row["sentences"]] == [
            texts[sentence_id] for sentence_id in order[row["topic_id"]]
        ]
        assert row["n_sentences"] == len(row["sentences"]) > 0
    for row in read_rows(finished_quarter.storage, keys.processed_table("sentences", QUARTER)):
        assert row["raw_text"] == texts[row["sentence_id"]]
    assert any(" the " in text for text in texts.values())


def test_fault_22_link_date_reaches_firms_and_sentiment(finished_quarter: SmallQuarter) -> None:
    linked = {f"F{number}": dt.date(2015, 6, number) for number in (1, 2, 3, 4, 6)}
    firms = read_rows(finished_quarter.storage, keys.processed_table("firms", QUARTER))
    assert {row["firm_id"]: row["link_date"] for row in firms} == {**linked, "F5": None}
    sentiment = read_rows(finished_quarter.storage, SENTIMENT)
    assert {row["firm_id"]: row["link_date"] for row in sentiment} == linked


def test_fault_27_every_row_names_its_firm_and_its_own_call_date(
    finished_quarter: SmallQuarter,
) -> None:
    firms = read_rows(finished_quarter.storage, keys.processed_table("firms", QUARTER))
    calls = {(row["firm_id"], row["earnings_call_date"]) for row in firms}
    rows = read_rows(finished_quarter.storage, SENTIMENT)
    assert {(row["firm_id"], row["earnings_call_date"]) for row in rows} <= calls
    assert {row["earnings_call_date"] for row in rows if row["firm_id"] == "F3"} == {
        dt.date(2023, 1, 3),
        dt.date(2023, 3, 31),
    }
    keys_of_rows = [(row["theme_id"], row["firm_id"], row["topic_id"]) for row in rows]
    assert len(set(keys_of_rows)) == len(rows) == 11


@pytest.mark.parametrize("table", [TOPIC_PART, SENTENCE_PART])
def test_fault_27_a_call_date_of_no_call_is_refused(
    small_quarter: SmallQuarter, table: str
) -> None:
    def dated_today(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "earnings_call_date": dt.date.today()} for row in rows]

    edit_table(small_quarter.storage, table, dated_today)
    with pytest.raises(InputError, match="which the transcripts do not have"):
        package(small_quarter)


def test_firms_without_permno_are_left_out_of_sentiment_alone(small_quarter: SmallQuarter) -> None:
    report = package(small_quarter)
    assert "F5" in {
        row["firm_id"]
        for row in read_rows(small_quarter.storage, keys.processed_table("topics", QUARTER))
    }
    rows = read_rows(small_quarter.storage, SENTIMENT)
    assert "F5" not in {row["firm_id"] for row in rows}
    n_contributions = len(read_rows(small_quarter.storage, CONTRIBUTIONS))
    assert report.n_sentiment_rows + report.n_rows_without_permno == n_contributions


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        (CONTRIBUTIONS, lambda rows: [rows[0], *rows], "has topic F1_0 twice"),
        (CONTRIBUTIONS, lambda rows: [{**rows[0], "theme_id": "theme_x"}], "which is no theme"),
        (CONTRIBUTIONS, lambda rows: [{**rows[0], "topic_id": "F9_0"}], "F9_0, which is no topic"),
        (CONTRIBUTIONS, lambda rows: [{**rows[0], "firm_id": "F2"}], "contributed by F2"),
        (TOPIC_PART, lambda rows: [rows[0], *rows], "more than once"),
        (TOPIC_PART, lambda rows: [{**rows[0], "n_sentences": 9}, *rows[1:]], "counts 9 sentences"),
        (TOPIC_PART, lambda rows: [{**rows[0], "sentence_ids": [], "n_sentences": 0}, *rows[1:]],
         "counts 0 sentences"),
        (SENTENCE_PART, lambda rows: [r for r in rows if r["local_topic_id"] != 0],
         "not among its sentences"),
    ],
)  # fmt: skip
def test_contradictory_input_is_refused_and_the_old_table_stays(
    small_quarter: SmallQuarter, key: str, change: Any, message: str
) -> None:
    before = read_rows(small_quarter.storage, SENTIMENT)
    edit_table(small_quarter.storage, key, change)
    with pytest.raises(InputError, match=message):
        package(small_quarter)
    assert read_rows(small_quarter.storage, SENTIMENT) == before


def test_rows_do_not_depend_on_batches_or_order(
    finished_quarter: SmallQuarter, tmp_path: Path
) -> None:
    other = build_small_quarter(LocalStorage(tmp_path), batch_size=5, reverse=True)
    for key in TABLES:
        here, there = read_rows(finished_quarter.storage, key), read_rows(other.storage, key)
        for row in (*here, *there):
            row.pop("processing_timestamp", None)
        assert here == there, key


def test_memory_is_bounded_by_a_batch(finished_quarter: SmallQuarter) -> None:
    with finished_quarter.storage.open_input(keys.processed_table("sentences", QUARTER)) as source:
        metadata = pq.ParquetFile(source).metadata
    rows = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    # What is held at once is written at once: three firms, F3 with two calls, seven sentences each.
    assert [count for count in rows if count] == [28, 21]
