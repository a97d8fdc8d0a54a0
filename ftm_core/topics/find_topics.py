"""One firm's calls to topics: small talk filtered out, each call clustered, topics described."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ftm_core.contracts import schemas
from ftm_core.contracts.settings import FirmTopicSettings
from ftm_core.text.small_talk import is_small_talk
from ftm_core.topics import compact_vectors
from ftm_core.topics.compact_vectors import Bytes
from ftm_core.topics.embedding import Embedder, Vectors

if TYPE_CHECKING:
    from ftm_core.topics.topic_model import FittedTopics

INPUT_COLUMNS = [
    "firm_id",
    "firm_name",
    "permno",
    "gvkey",
    "transcript_id",
    "earnings_call_date",
    "sentence_id",
    "raw_text",
    "speaker_type",
    "position",
    "quarter",
]


@dataclass(frozen=True)
class TopicDraft:
    """A topic before its summary: keywords, and its sentences, most representative first.

    ``vector`` is the mean of its sentences' vectors, brought to length 1.
    """

    topic_id: str
    local_topic_id: int
    earnings_call_date: dt.date
    firm_name: str
    permno: int | None
    gvkey: str | None
    keywords: tuple[str, ...]
    sentence_ids: tuple[str, ...]
    leading_texts: tuple[str, ...]
    vector: tuple[float, ...]


@dataclass(frozen=True)
class FirmTopics:
    """All topics of a firm in a quarter, and what became of each of its sentences.

    ``sentence_topics`` follows the rows of the sentences, -1 for none. ``sentence_vectors`` holds
    the compact vectors of the rows that ``kept`` names, in that order; all others are small talk.
    """

    firm_id: str
    topics: tuple[TopicDraft, ...]
    sentence_topics: tuple[int, ...]
    kept: npt.NDArray[np.int64]
    sentence_vectors: Bytes

    def sentence_rows(self, sentences: pa.Table) -> pa.Table:
        """The rows of MAP_SENTENCES for the ``sentences`` that the model was made from."""
        is_small_talk = np.ones(sentences.num_rows, bool)
        is_small_talk[self.kept] = False
        found = {
            "local_topic_id": pa.array(self.sentence_topics, pa.int32()),
            "is_small_talk": pa.array(is_small_talk),
            "vector": compact_vectors.to_arrow(
                self.sentence_vectors, self.kept, sentences.num_rows
            ),
        }
        names = schemas.MAP_SENTENCES.names
        columns = [
            found[name] if name in found else sentences[name].combine_chunks() for name in names
        ]
        return pa.table(columns, names=names)


# Where a transcript hides a name nobody said this. Seen by the embedding model, it draws together
# sentences that address somebody.
_MASK = re.compile(r"<unk>", re.IGNORECASE)
# Enough for the longest prompt; more would only be cut again.
LEADING_TEXTS = 20


def find_firm_topics(
    sentences: pa.Table, embedder: Embedder, settings: FirmTopicSettings
) -> FirmTopics:
    """Find the topics of one firm.

    ``sentences`` holds INPUT_COLUMNS, ordered by call and position. Each call is clustered on its
    own, so that a topic has exactly one call date; topic numbers run on over the firm's calls.
    ``sentence_topics`` follows the rows of ``sentences``.
    """
    # Only worker processes model: what plans and summarises must not load the model libraries.
    from ftm_core.topics.topic_model import NO_TOPIC, fit_topics

    rows = sentences.to_pylist()
    firm_id = rows[0]["firm_id"]
    topics: list[TopicDraft] = []
    labels = np.full(len(rows), NO_TOPIC, np.int32)
    all_kept: list[int] = []
    rounded: list[Bytes] = []
    for start, stop in _calls(rows):
        kept = [
            number
            for number in range(start, stop)
            if not is_small_talk(rows[number]["raw_text"], rows[number]["speaker_type"])
        ]
        texts = [rows[number]["raw_text"] for number in kept]
        vectors = embedder.embed([_MASK.sub("", text) for text in texts])
        all_kept += kept
        rounded += [compact_vectors.quantize(vectors)] if kept else []
        fitted = fit_topics(texts, vectors, settings)
        offset = len(topics)
        for label in sorted(fitted.keywords):
            members = _most_representative_first(fitted, label, vectors)
            chosen = [rows[kept[member]] for member in members]
            topics.append(
                TopicDraft(
                    topic_id=f"{firm_id}_{offset + label}",
                    local_topic_id=offset + label,
                    earnings_call_date=chosen[0]["earnings_call_date"],
                    firm_name=chosen[0]["firm_name"],
                    permno=chosen[0]["permno"],
                    gvkey=chosen[0]["gvkey"],
                    keywords=fitted.keywords[label],
                    sentence_ids=tuple(row["sentence_id"] for row in chosen),
                    leading_texts=tuple(row["raw_text"] for row in chosen[:LEADING_TEXTS]),
                    vector=_mean(vectors[members]),
                )
            )
        for member, label in zip(kept, fitted.labels, strict=True):
            labels[member] = NO_TOPIC if label == NO_TOPIC else offset + label
    return FirmTopics(
        firm_id=firm_id,
        topics=tuple(topics),
        sentence_topics=tuple(int(label) for label in labels),
        kept=np.array(all_kept, np.int64),
        sentence_vectors=np.concatenate(rounded) if rounded else np.zeros((0, 0), np.int8),
    )


def _calls(rows: list[dict[str, object]]) -> list[tuple[int, int]]:
    """Row ranges of the calls, in order."""
    starts = [
        number
        for number in range(len(rows))
        if number == 0 or rows[number]["transcript_id"] != rows[number - 1]["transcript_id"]
    ]
    return list(zip(starts, [*starts[1:], len(rows)], strict=True))


def _mean(vectors: Vectors) -> tuple[float, ...]:
    mean = vectors.mean(axis=0)
    return tuple((mean / np.linalg.norm(mean)).tolist())


def _most_representative_first(fitted: FittedTopics, label: int, vectors: Vectors) -> list[int]:
    """Members of a topic by similarity to its centre; equal ones by place in the call."""
    members = np.flatnonzero(fitted.labels == label)
    similarity = vectors[members] @ vectors[members].mean(axis=0)
    return [int(member) for member in members[np.lexsort((members, -similarity.round(6)))]]
