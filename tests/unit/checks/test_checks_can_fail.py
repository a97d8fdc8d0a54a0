"""Fault 11: every check of `ftm evaluate` fails when the output is tampered with, and only then."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ftm_core.checks.evaluate import evaluate
from ftm_core.contracts import keys, schemas
from ftm_core.storage import Storage
from ftm_core.storage.local import LocalStorage
from tests.fakes.small_quarter import (
    QUARTER,
    SmallQuarter,
    build_small_quarter,
    edit_json,
    edit_table,
)

pytestmark = pytest.mark.slow

Row = dict[str, Any]
Tamper = Callable[[Storage], None]

BATCH = keys.batch_id(QUARTER, 0)
TOPIC_PART = keys.firm_topics_part(QUARTER, BATCH, 0)
SENTENCE_PART = keys.sentences_part(QUARTER, BATCH, 0)
TOPICS = keys.processed_table("topics", QUARTER)
SENTENCES = keys.processed_table("sentences", QUARTER)
FIRMS = keys.processed_table("firms", QUARTER)
THEMES = keys.themes(QUARTER)
CONTRIBUTIONS = keys.theme_contributions(QUARTER)
EXPOSURES = keys.theme_exposures(QUARTER)
SENTIMENT = keys.sentiment_ready(QUARTER)
TOPIC_TABLES = (TOPIC_PART, TOPICS)
THEME_1, THEME_2 = "theme_2023Q1_001", "theme_2023Q1_002"
STOP_WORDS = {"we", "have", "been", "able", "to", "the", "of", "most", "our", "by", "it", "is"}


def each(storage: Storage, key: str, change: Callable[[Row], None], **where: Any) -> None:
    """Change every row of a table whose columns have the values of ``where``."""

    def change_all(rows: list[Row]) -> list[Row]:
        chosen = [row for row in rows if all(row[name] == want for name, want in where.items())]
        assert chosen, f"nothing to tamper with in {key}"
        for row in chosen:
            change(row)
        return rows

    edit_table(storage, key, change_all)


def put(**values: Any) -> Callable[[Row], None]:
    """A change that sets columns."""
    return lambda row: row.update(values)


def summary_of_first_topic(text: str) -> Tamper:
    """The same false summary in all three tables that carry it."""

    def tamper(storage: Storage) -> None:
        for key in TOPIC_TABLES:
            each(storage, key, put(summary=text), topic_id="F1_0")
        each(storage, SENTIMENT, put(topic_summary=text), topic_id="F1_0")

    return tamper


def topics(topic_id: str = "F1_0", **values: Any) -> Tamper:
    """False values in the rows of a topic, in the map output and in the topics table."""

    def tamper(storage: Storage) -> None:
        for key in TOPIC_TABLES:
            each(storage, key, put(**values), topic_id=topic_id)

    return tamper


def rows_of(key: str, change: Callable[[Row], None], **where: Any) -> Tamper:
    return lambda storage: each(storage, key, change, **where)


def without_first_row(key: str) -> Tamper:
    return lambda storage: edit_table(storage, key, lambda rows: rows[1:])


def with_first_row_twice(*table_keys: str) -> Tamper:
    def tamper(storage: Storage) -> None:
        for key in table_keys:
            edit_table(storage, key, lambda rows: [rows[0], *rows])

    return tamper


def metadata(key: str, name: bytes, value: bytes) -> Tamper:
    def tamper(storage: Storage) -> None:
        with storage.open_input(key) as source:
            table = pq.read_table(source)
        stamped = {**(table.schema.metadata or {}), name: value}
        with storage.open_output(key) as file:
            pq.write_table(table.replace_schema_metadata(stamped), file)

    return tamper


def copied(source: str, target: str) -> Tamper:
    return lambda storage: storage.write(target, storage.read(source))


def other_input(storage: Storage) -> None:
    def change(identity: Row) -> None:
        identity["inputs"]["transcripts"][0] = "f" * 64

    edit_json(storage, keys.run_identity(QUARTER), change)


def firm_from_nowhere(storage: Storage) -> None:
    key = keys.checkpoint(QUARTER, BATCH)
    edit_json(storage, key, lambda point: point["completed_firm_ids"].append("F9"))


def lost_sentence(storage: Storage) -> None:
    """One sentence in no topic is gone from everything made from the map output."""
    for key in (SENTENCE_PART, SENTENCES):
        edit_table(
            storage, key, lambda rows: [r for r in rows if r["sentence_id"] != "F1_T11_0000"]
        )
    each(storage, FIRMS, put(n_sentences=6), firm_id="F1")


def too_many_failures(storage: Storage) -> None:
    def change(manifest: Row) -> None:
        for number in (1, 2, 3):
            manifest["failures"].append(
                {
                    "firm_id": f"F{number}",
                    "error_type": "LlmRequestError",
                    "error_message": "made to fail",
                    "attempts": 1,
                    "timestamp": "2023-06-01T12:00:00+00:00",
                    "topic_id": None,
                }
            )

    edit_json(storage, keys.failures(QUARTER, BATCH), change)


def renamed_topic(storage: Storage) -> None:
    for key in (*TOPIC_TABLES, CONTRIBUTIONS, SENTIMENT):
        each(storage, key, put(topic_id="F1_9"), topic_id="F1_0")


def unlabelled_sentence(storage: Storage) -> None:
    for key in (SENTENCE_PART, SENTENCES):
        each(storage, key, put(local_topic_id=-1), sentence_id="F1_T11_0001")


def stripped_text(text: str) -> str:
    return " ".join(word for word in text.split() if word.lower() not in STOP_WORDS)


def stripped_everywhere(storage: Storage) -> None:
    def strip(row: Row) -> None:
        row["raw_text"] = stripped_text(row["raw_text"])

    def strip_nested(row: Row) -> None:
        for sentence in row["sentences"]:
            if sentence["sentence_id"] == "F1_T11_0001":
                sentence["text"] = stripped_text(sentence["text"])

    for key in (SENTENCE_PART, SENTENCES):
        each(storage, key, strip, sentence_id="F1_T11_0001")
    each(storage, SENTIMENT, strip_nested, topic_id="F1_0")


def stripped_for_sentiment(row: Row) -> None:
    row["sentences"][0]["text"] = stripped_text(row["sentences"][0]["text"])


def renamed_theme(storage: Storage) -> None:
    for key in (THEMES, CONTRIBUTIONS, EXPOSURES, SENTENCES, TOPICS, SENTIMENT):
        each(storage, key, put(theme_id="theme_1"), theme_id=THEME_1)


def theme_texts(**values: str) -> Tamper:
    def tamper(storage: Storage) -> None:
        each(storage, THEMES, put(**values), theme_id=THEME_1)
        nested = {f"theme_{name}": text for name, text in values.items()}
        each(storage, SENTIMENT, put(**nested), theme_id=THEME_1)

    return tamper


def second_theme_of(*firms: str) -> Tamper:
    """The second theme keeps the sentences of some firms only, consistently in all tables."""

    def kept(row: Row) -> bool:
        return row["theme_id"] != THEME_2 or row["firm_id"] in firms

    def release(rows: list[Row]) -> list[Row]:
        return [row if kept(row) else {**row, "theme_id": None} for row in rows]

    def tamper(storage: Storage) -> None:
        for key in (CONTRIBUTIONS, EXPOSURES, SENTIMENT):
            edit_table(storage, key, lambda rows: [row for row in rows if kept(row)])
        for key in (TOPICS, SENTENCES):
            edit_table(storage, key, release)
        n_calls = len(firms) + ("F3" in firms)
        counts = put(n_topics=n_calls, n_firms=len(firms), n_sentences=2 * n_calls)
        each(storage, THEMES, counts, theme_id=THEME_2)

    return tamper


def unknown_theme(storage: Storage) -> None:
    for key in (CONTRIBUTIONS, TOPICS, SENTIMENT):
        each(storage, key, put(theme_id="theme_2023Q1_009"), topic_id="F1_0")
    for key in (EXPOSURES, SENTENCES):
        each(storage, key, put(theme_id="theme_2023Q1_009"), theme_id=THEME_1, firm_id="F1")


def unknown_theme_of_a_sentence(storage: Storage) -> None:
    """One sentence and its exposure name a theme that is not there; no topic contributes to it."""
    each(storage, SENTENCES, put(theme_id="theme_2023Q1_009"), sentence_id="F6_T61_0004")
    each(storage, EXPOSURES, put(n_sentences=1, share=1 / 6), theme_id=THEME_2, firm_id="F6")

    def add(rows: list[Row]) -> list[Row]:
        (own,) = [r for r in rows if r["theme_id"] == THEME_2 and r["firm_id"] == "F6"]
        return [*rows, {**own, "theme_id": "theme_2023Q1_009"}]

    edit_table(storage, EXPOSURES, add)


def no_answers(storage: Storage) -> None:
    for key in list(storage.list(keys.answers_prefix(QUARTER))):
        storage.delete(key)


def reverse_sentences(row: Row) -> None:
    row["sentences"].reverse()


# What cannot be counted where the sentences cannot be read.
COUNTED_FROM_SENTENCES = {
    "sentences-table", "theme-counts", "theme-min-firms", "contribution-sentences",
    "exposure-sentences", "exposure-identifiers", "sentiment-sentences",
}  # fmt: skip
# The check that must fail, what was done to the output, and the checks that then fail with it.
CASES: list[tuple[str, str, Tamper, set[str]]] = [
    ("table-files", "schema version", metadata(SENTENCES, schemas.VERSION_KEY, b"0"),
     COUNTED_FROM_SENTENCES),
    ("table-files", "damaged file", lambda storage: storage.write(SENTENCES, b"PAR1 torn"),
     COUNTED_FROM_SENTENCES),
    ("table-files", "missing themes", lambda storage: storage.delete(THEMES),
     {"themes-present", "contribution-references", "exposure-sentences", "sentiment-texts"}),
    ("run-ids", "table of another run", metadata(FIRMS, schemas.RUN_KEY, b"another"), set()),
    ("same-input", "transcripts replaced", other_input, set()),
    ("firms-add-up", "firm from nowhere", firm_from_nowhere, set()),
    ("sentences-add-up", "lost sentence", lost_sentence, {"sentences-as-ingested"}),
    ("failures-tolerated", "more failures", too_many_failures, set()),
    ("part-files", "stale part",
     copied(TOPIC_PART, keys.firm_topics_part(QUARTER, BATCH, 7)), set()),
    ("part-files", "part of an unknown batch",
     copied(SENTENCE_PART, keys.sentences_part(QUARTER, keys.batch_id(QUARTER, 9), 0)), set()),
    ("summary-present", "empty summary", summary_of_first_topic(""),
     {"summary-prose", "llm-answers"}),
    ("summary-prose", "keywords for a summary",
     summary_of_first_topic("pricing, cost, year, margin, customers, products"), {"llm-answers"}),
    ("summary-not-keywords", "the representation for a summary",
     summary_of_first_topic("pricing, cost, year"), {"summary-prose", "llm-answers"}),
    ("naming-method", "keyword fallback", topics(naming_method="keywords"), set()),
    ("llm-answers", "fabricated summary",
     summary_of_first_topic("Firm 1 says that its prices will never rise again this year."), set()),
    ("llm-answers", "answer to another topic",
     summary_of_first_topic("Firm 2 showed investors how pricing changed what it earns."), set()),
    ("llm-answers", "a written summary called selected", topics(summary_mode="select"), set()),
    ("llm-answers", "another model", topics(llm_model="another-model"), set()),
    ("llm-answers", "another prompt version", topics(prompt_version="0"), set()),
    ("llm-answers", "answers lost", no_answers, {"theme-answers"}),
    ("topic-ids", "renamed topic", renamed_topic, set()),
    ("topic-unique", "topic twice", with_first_row_twice(TOPIC_PART, TOPICS), {"firms-table"}),
    ("topic-sentences", "sentence without its topic", unlabelled_sentence,
     {"contribution-sentences"}),
    ("topic-sentences", "count", topics(n_sentences=9), set()),
    ("sentences-as-ingested", "stop words stripped", stripped_everywhere, {"llm-answers"}),
    ("theme-ids", "renamed theme", renamed_theme, set()),
    ("theme-texts", "keywords for a description", theme_texts(description="pricing, cost"),
     {"theme-answers"}),
    ("theme-texts", "no title", theme_texts(name=" "), {"theme-answers"}),
    ("theme-answers", "fabricated title", theme_texts(name="Prices everywhere"), set()),
    ("theme-counts", "one firm more", rows_of(THEMES, put(n_firms=9), theme_id=THEME_1), set()),
    ("theme-min-firms", "theme of one firm", second_theme_of("F3"), {"theme-dominance"}),
    ("theme-dominance", "one firm's theme", second_theme_of("F1", "F2", "F3"), set()),
    ("contribution-references", "unknown theme", unknown_theme,
     {"theme-counts", "exposure-sentences", "sentiment-texts"}),
    ("contribution-sentences", "count",
     rows_of(CONTRIBUTIONS, put(n_sentences=1), topic_id="F1_0"), set()),
    ("exposure-sentences", "count", rows_of(EXPOSURES, put(n_sentences=1), firm_id="F1"), set()),
    ("exposure-sentences", "share", rows_of(EXPOSURES, put(share=0.9), firm_id="F1"), set()),
    ("exposure-sentences", "call missing", without_first_row(EXPOSURES), set()),
    ("exposure-sentences", "row twice", with_first_row_twice(EXPOSURES), set()),
    ("exposure-sentences", "unknown theme", unknown_theme_of_a_sentence, {"theme-counts"}),
    ("exposure-identifiers", "permno", rows_of(EXPOSURES, put(permno=1), firm_id="F1"), set()),
    ("exposure-identifiers", "today for a call date",
     rows_of(EXPOSURES, put(earnings_call_date=dt.date.today()), firm_id="F1"), set()),
    ("exposure-identifiers", "another firm", rows_of(EXPOSURES, put(firm_id="F2"), firm_id="F1"),
     set()),
    ("contribution-identifiers", "permno", rows_of(CONTRIBUTIONS, put(permno=1), topic_id="F1_0"),
     set()),
    ("contribution-identifiers", "call date",
     rows_of(CONTRIBUTIONS, put(earnings_call_date=dt.date(2023, 6, 1)), topic_id="F1_0"), set()),
    ("table-folders", "second file", copied(FIRMS, FIRMS.replace("firms.parquet", "old.parquet")),
     set()),
    ("firms-table", "link_date dropped", rows_of(FIRMS, put(link_date=None), firm_id="F1"), set()),
    ("firms-table", "call missing", without_first_row(FIRMS), set()),
    ("sentences-table", "row missing", without_first_row(SENTENCES), set()),
    ("topics-table", "theme missing", rows_of(TOPICS, put(theme_id=None), topic_id="F1_0"), set()),
    ("topics-table", "row missing", without_first_row(TOPICS), set()),
    ("sentiment-complete", "row missing", without_first_row(SENTIMENT), set()),
    ("sentiment-complete", "another firm", rows_of(SENTIMENT, put(firm_id="F5"), topic_id="F1_0"),
     {"sentiment-identifiers"}),
    ("sentiment-unique", "row twice", with_first_row_twice(SENTIMENT), set()),
    ("sentiment-sentences", "stop words stripped",
     rows_of(SENTIMENT, stripped_for_sentiment, topic_id="F1_0"), set()),
    ("sentiment-sentences", "order", rows_of(SENTIMENT, reverse_sentences, topic_id="F1_0"), set()),
    ("sentiment-sentences", "none", rows_of(SENTIMENT, put(sentences=[], n_sentences=0)), set()),
    ("sentiment-sentences", "count", rows_of(SENTIMENT, put(n_sentences=9), topic_id="F1_0"),
     set()),
    ("sentiment-identifiers", "link_date dropped",
     rows_of(SENTIMENT, put(link_date=None), firm_id="F1"), set()),
    ("sentiment-identifiers", "today for a call date",
     rows_of(SENTIMENT, put(earnings_call_date=dt.date.today()), firm_id="F1"), set()),
    ("sentiment-identifiers", "permno", rows_of(SENTIMENT, put(permno=1), firm_id="F1"), set()),
    ("sentiment-texts", "another title", rows_of(SENTIMENT, put(theme_name="Else")), set()),
]  # fmt: skip

# These fail when nothing was found at all; `test_without_..._the_reason_is_given` covers them.
FAILING_WHEN_NOTHING_IS_FOUND = {"topics-present", "themes-present"}


def failing(quarter: SmallQuarter) -> set[str]:
    report = evaluate(quarter.storage, QUARTER, quarter.settings)
    return {check.id for check in report.failed}


@pytest.mark.parametrize(
    ("check", "what", "tamper", "others"), CASES, ids=[f"{case[0]}: {case[1]}" for case in CASES]
)
def test_fault_11_tampered_output_fails_its_check(
    small_quarter: SmallQuarter, check: str, what: str, tamper: Tamper, others: set[str]
) -> None:
    tamper(small_quarter.storage)
    assert failing(small_quarter) == {check, *others}, what


def test_fault_11_every_check_is_seen_to_fail(finished_quarter: SmallQuarter) -> None:
    report = evaluate(finished_quarter.storage, QUARTER, finished_quarter.settings)
    tested = {case[0] for case in CASES} | FAILING_WHEN_NOTHING_IS_FOUND
    assert {check.id for check in report.checks} == tested


def test_without_themes_the_reason_is_given(tmp_path: Path) -> None:
    quarter = build_small_quarter(LocalStorage(tmp_path), with_themes=False)
    report = evaluate(quarter.storage, QUARTER, quarter.settings)
    assert {check.id for check in report.failed} == {"themes-present"}
    assert report.failed[0].value == "0 themes, 0 of 13 topics in one"
    assert "at least 2 firms" in report.failed[0].detail
    assert "more than 40%" in report.failed[0].detail


def test_without_topics_the_reason_is_given(tmp_path: Path) -> None:
    quarter = build_small_quarter(LocalStorage(tmp_path), with_topics=False)
    report = evaluate(quarter.storage, QUARTER, quarter.settings)
    assert {check.id for check in report.failed} == FAILING_WHEN_NOTHING_IS_FOUND


def test_a_part_that_is_gone_is_missed(small_quarter: SmallQuarter) -> None:
    small_quarter.storage.delete(TOPIC_PART)
    found = failing(small_quarter)
    assert {"table-files", "part-files", "contribution-references", "topics-table"} <= found
    assert "naming-method" not in found


def test_an_untouched_copy_passes(small_quarter: SmallQuarter, tmp_path: Path) -> None:
    shutil.copytree(small_quarter.storage.uri, tmp_path / "moved")
    report = evaluate(LocalStorage(tmp_path / "moved"), QUARTER, small_quarter.settings)
    assert report.passed, report.failed
