"""Rows of the sentiment-ready table: theme by firm by topic, the sentences as spoken nested."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ftm_core.contracts import schemas
from ftm_core.contracts.errors import InputError

# Nested rows are made as Python values; this many topics at a time bounds them.
TOPICS_AT_A_TIME = 500


@dataclass(frozen=True)
class TopicThemes:
    """The themes as rows by id; for each topic its own theme and the themes it contributes to.

    ``contributions`` gives theme and number of sentences, most first; ``own`` is the first.
    """

    themes: Mapping[str, Mapping[str, Any]]
    own: Mapping[str, str]
    contributions: Mapping[str, Sequence[tuple[str, int]]]

    def themes_of(self, topics: pa.Table) -> pa.Array:
        """The own theme of each row of ``topics``, null for none."""
        return pa.array(
            [self.own.get(name) for name in topics["topic_id"].to_pylist()], pa.string()
        )


def sentiment_rows(
    topics: pa.Table,
    sentences: pa.Table,
    index: TopicThemes,
    calls: Mapping[tuple[str, dt.date], Mapping[str, Any]],
) -> Iterator[pa.Table]:
    """Make a row per theme of each of ``topics`` (all in themes, all with permno), in their order.

    ``sentences`` holds at least the sentences of those topics, with their theme. A row nests the
    sentences of the topic that are in the theme: ``raw_text`` unchanged, most representative of the
    topic first. Raises InputError for a topic with a sentence that is missing or of another topic,
    or with another number of sentences in a theme than the contributions say.
    """
    for start in range(0, topics.num_rows, TOPICS_AT_A_TIME):
        chosen = topics.slice(start, TOPICS_AT_A_TIME).to_pylist()
        firms = pa.array(sorted({row["firm_id"] for row in chosen}), pa.string())
        in_topics = pc.and_(
            pc.is_in(sentences["firm_id"], firms), pc.greater_equal(sentences["local_topic_id"], 0)
        )
        texts = {row["sentence_id"]: row for row in sentences.filter(in_topics).to_pylist()}
        rows = [row for topic in chosen for row in _rows(topic, texts, index, calls)]
        yield pa.Table.from_pylist(rows, schema=schemas.THEMES_FOR_SENTIMENT)


def _rows(
    topic: Mapping[str, Any],
    texts: Mapping[str, Mapping[str, Any]],
    index: TopicThemes,
    calls: Mapping[tuple[str, dt.date], Mapping[str, Any]],
) -> Iterator[dict[str, Any]]:
    spoken = _sentences_of(topic, texts)
    call = calls[topic["firm_id"], topic["earnings_call_date"]]
    for theme_id, n_sentences in index.contributions[topic["topic_id"]]:
        theme = index.themes[theme_id]
        members = [_nested(row) for row in spoken if row["theme_id"] == theme_id]
        if len(members) != n_sentences:
            raise damaged(
                f"The topic {topic['topic_id']}",
                f"contributes {n_sentences} sentences to {theme_id}, but has {len(members)} in it",
            )
        yield {
            "theme_id": theme_id,
            "theme_name": theme["name"],
            "theme_description": theme["description"],
            "theme_keywords": theme["keywords"],
            "firm_id": topic["firm_id"],
            "firm_name": topic["firm_name"],
            "permno": topic["permno"],
            "gvkey": topic["gvkey"],
            "earnings_call_date": topic["earnings_call_date"],
            "link_date": call["link_date"],
            "topic_id": topic["topic_id"],
            "topic_summary": topic["summary"],
            "sentences": members,
            "n_sentences": len(members),
            "quarter": topic["quarter"],
        }


def _sentences_of(
    topic: Mapping[str, Any], texts: Mapping[str, Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    wanted = topic["sentence_ids"]
    where = f"The topic {topic['topic_id']}"
    if not wanted or len(wanted) != topic["n_sentences"] or len(set(wanted)) != len(wanted):
        raise damaged(where, f"counts {topic['n_sentences']} sentences, but names {len(wanted)}")
    spoken = []
    for sentence_id in wanted:
        row = texts.get(sentence_id)
        expected = (topic["firm_id"], topic["local_topic_id"], topic["earnings_call_date"])
        if row is None or expected != (
            row["firm_id"],
            row["local_topic_id"],
            row["earnings_call_date"],
        ):
            raise damaged(
                where, f"names the sentence {sentence_id}, which is not among its sentences"
            )
        spoken.append(row)
    return spoken


def _nested(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "sentence_id": row["sentence_id"],
        "text": row["raw_text"],
        "speaker_type": row["speaker_type"],
        "position": row["position"],
    }


def damaged(where: str, cause: str) -> InputError:
    """The error for files of a quarter that contradict one another."""
    return InputError(
        where,
        cause,
        "The files of the quarter do not belong together: run it again with --restart (LLM "
        "answers are kept).",
    )
