"""Check the texts of topics and themes: prose, and made from a cached response."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from ftm_core.checks.answer_evidence import AnswerEvidence
from ftm_core.checks.result import Check, CheckCounter
from ftm_core.data.database import Source
from ftm_core.data.quarter_store import QuarterStore
from ftm_core.llm import prompts
from ftm_core.storage.tables import read_table
from ftm_core.topics.find_topics import LEADING_TEXTS

_SENTENCE_COLUMNS = ("sentence_id", "raw_text")


def check_topic_texts(
    store: QuarterStore, sources: Mapping[str, Source], evidence: AnswerEvidence
) -> list[Check]:
    """Check the summaries part by part, each with the sentences that it was made from."""
    prose = CheckCounter(
        "summary-prose", "map", "Summaries are natural language, not keywords", "topics"
    )
    answers = CheckCounter(
        "llm-answers", "map", "Summaries are cached responses of the recorded model", "topics"
    )
    for topics, sentences in _parts(store, sources):
        evidence.add_spoken(sentences["raw_text"].to_pylist())
        texts = dict(zip(*(sentences[name].to_pylist() for name in _SENTENCE_COLUMNS), strict=True))
        for topic in topics.to_pylist():
            summary, topic_id = topic["summary"], topic["topic_id"]
            # What was said is said, however short: "llm-answers" compares it with the sentences.
            sound = topic["summary_mode"] == "select" or prompts.is_prose(summary)
            prose.record(sound and bool(summary.strip()), f"{topic_id}: {summary[:80]!r}")
            leading = [texts[name] for name in topic["sentence_ids"] if name in texts]
            fault = evidence.fault_of_summary(topic, leading[:LEADING_TEXTS])
            answers.record(fault is None, f"{topic_id} {fault}")
    return [prose.check(), answers.check()]


def check_theme_texts(themes: list[dict[str, Any]], evidence: AnswerEvidence) -> list[Check]:
    """Check titles and descriptions."""
    texts = CheckCounter(
        "theme-texts", "themes", "Themes have a title and a description in prose", "themes"
    )
    answers = CheckCounter(
        "theme-answers", "themes", "Titles and descriptions are cached responses", "themes"
    )
    for theme in themes:
        theme_id, name, description = theme["theme_id"], theme["name"], theme["description"]
        sound = bool(name.strip()) and name != description and prompts.is_prose(description)
        texts.record(sound, f"{theme_id}: {name[:60]!r}, {description[:80]!r}")
        fault = evidence.fault_of_theme(name, description)
        answers.record(fault is None, f"{theme_id}: {fault}")
    return [texts.check(), answers.check()]


def _parts(
    store: QuarterStore, sources: Mapping[str, Source]
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Topics and sentences of each part whose files can be read."""
    output = store.finished.output
    for topic_key, sentence_key in zip(output.topic_keys(), output.sentence_keys(), strict=True):
        topics, sentences = sources["firm_topics"], sources["map_sentences"]
        if topic_key not in topics.keys:
            continue
        found = sentences.schema.empty_table().select(list(_SENTENCE_COLUMNS))
        if sentence_key in sentences.keys:
            found = read_table(
                store.storage, sentence_key, sentences.schema, columns=_SENTENCE_COLUMNS
            )
        yield read_table(store.storage, topic_key, topics.schema), found
