"""Rows of the sentiment-ready table: theme by firm by topic, the sentences as spoken nested."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ftm_core.contracts import keys, schemas
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.storage import Storage, tables

# Nested rows are made as Python values; this many topics at a time bounds them.
TOPICS_AT_A_TIME = 500


@dataclass(frozen=True)
class ThemeIndex:
    """The themes by id and the theme of each topic, as the reduce output has them."""

    themes: dict[str, dict[str, Any]]
    theme_of: dict[str, str]
    firm_of: dict[str, str]

    @classmethod
    def read(cls, storage: Storage, quarter: Quarter, *, run_id: str) -> ThemeIndex:
        """Read both theme tables of one run; raises InputError when they do not fit together."""
        themes = tables.read_table(storage, keys.themes(quarter), schemas.THEMES, run_id=run_id)
        key = keys.theme_contributions(quarter)
        contributions = tables.read_table(storage, key, schemas.THEME_CONTRIBUTIONS, run_id=run_id)
        index = cls({row["theme_id"]: row for row in themes.to_pylist()}, {}, {})
        chosen = contributions.select(["theme_id", "topic_id", "firm_id"])
        for row in chosen.to_pylist():
            if row["theme_id"] not in index.themes:
                raise damaged(storage.describe(key), f"names {row['theme_id']}, which is no theme")
            if row["topic_id"] in index.theme_of:
                raise damaged(storage.describe(key), f"has topic {row['topic_id']} twice")
            index.theme_of[row["topic_id"]] = row["theme_id"]
            index.firm_of[row["topic_id"]] = row["firm_id"]
        return index

    def themes_of(self, topics: pa.Table) -> pa.Array:
        """The theme of each row of ``topics`` (null for none), firms checked."""
        found = []
        pairs = zip(topics["topic_id"].to_pylist(), topics["firm_id"].to_pylist(), strict=True)
        for topic_id, firm_id in pairs:
            theme_id = self.theme_of.get(topic_id)
            if theme_id is not None and self.firm_of[topic_id] != firm_id:
                raise damaged(
                    f"topic {topic_id}",
                    f"is of firm {firm_id}, but contributed by {self.firm_of[topic_id]}",
                )
            found.append(theme_id)
        return pa.array(found, pa.string())

    def require_all(self, n_found: int) -> None:
        """Raise InputError unless every contribution's topic was found among the topics."""
        if n_found != len(self.theme_of):
            raise damaged(
                "theme_contributions",
                f"{len(self.theme_of) - n_found} of {len(self.theme_of)} rows have no topic in "
                "the map output",
            )


def sentiment_rows(
    topics: pa.Table,
    sentences: pa.Table,
    index: ThemeIndex,
    calls: Mapping[tuple[str, dt.date], Mapping[str, Any]],
) -> Iterator[pa.Table]:
    """Make the rows of ``topics`` (all in themes, all with permno), in their order.

    ``sentences`` holds at least the sentences of those topics. Texts are ``raw_text``, unchanged;
    within a row they come most representative first. Raises InputError for a topic without
    sentences, with one that is missing or of another topic, or with another number than it says.
    """
    for start in range(0, topics.num_rows, TOPICS_AT_A_TIME):
        chosen = topics.slice(start, TOPICS_AT_A_TIME).to_pylist()
        firms = pa.array(sorted({row["firm_id"] for row in chosen}), pa.string())
        in_topics = pc.and_(
            pc.is_in(sentences["firm_id"], firms), pc.greater_equal(sentences["local_topic_id"], 0)
        )
        texts = {row["sentence_id"]: row for row in sentences.filter(in_topics).to_pylist()}
        rows = [_row(topic, texts, index, calls) for topic in chosen]
        yield pa.Table.from_pylist(rows, schema=schemas.THEMES_FOR_SENTIMENT)


def _row(
    topic: Mapping[str, Any],
    texts: Mapping[str, Mapping[str, Any]],
    index: ThemeIndex,
    calls: Mapping[tuple[str, dt.date], Mapping[str, Any]],
) -> dict[str, Any]:
    theme = index.themes[index.theme_of[topic["topic_id"]]]
    spoken = _sentences_of(topic, texts)
    call = calls[topic["firm_id"], topic["earnings_call_date"]]
    return {
        "theme_id": theme["theme_id"],
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
        "sentences": spoken,
        "n_sentences": len(spoken),
        "quarter": topic["quarter"],
    }


def _sentences_of(
    topic: Mapping[str, Any], texts: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    wanted = topic["sentence_ids"]
    where = f"topic {topic['topic_id']}"
    if not wanted or len(wanted) != topic["n_sentences"] or len(set(wanted)) != len(wanted):
        raise damaged(where, f"says {topic['n_sentences']} sentences, but names {len(wanted)}")
    spoken = []
    for sentence_id in wanted:
        row = texts.get(sentence_id)
        expected = (topic["firm_id"], topic["local_topic_id"], topic["earnings_call_date"])
        if row is None or expected != (
            row["firm_id"],
            row["local_topic_id"],
            row["earnings_call_date"],
        ):
            raise damaged(where, f"names sentence {sentence_id}, which is not among its sentences")
        spoken.append(
            {
                "sentence_id": sentence_id,
                "text": row["raw_text"],
                "speaker_type": row["speaker_type"],
                "position": row["position"],
            }
        )
    return spoken


def damaged(where: str, cause: str) -> InputError:
    """The error for files of a quarter that contradict one another."""
    return InputError(
        where,
        cause,
        "The quarter's files do not belong together: run it again with --restart (LLM answers "
        "are kept).",
    )
