"""One firm's calls to topic drafts: small talk set aside, each call clustered, topics described."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ftm_core.contracts.settings import FirmTopicSettings
from ftm_core.text.small_talk import is_set_aside
from ftm_core.topics.embedding import Embedder, Vectors

if TYPE_CHECKING:
    from ftm_core.topics.topic_model import FittedTopics, TopicModelParameters

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
class FirmModel:
    """All topics of a firm in a quarter and the topic of each of its sentences."""

    firm_id: str
    topics: tuple[TopicDraft, ...]
    sentence_topics: tuple[int, ...]
    n_set_aside: int


# Where a transcript hides a name nobody said this. Seen by the embedding model, it draws together
# whatever addresses somebody.
_MASK = re.compile(r"<unk>", re.IGNORECASE)
# Enough for the longest prompt; more would only be cut again.
LEADING_TEXTS = 20
# Below this many sentences per smallest topic, the smallest topic shrinks with the call.
SENTENCES_PER_SMALLEST_TOPIC = 16
SMALLEST_TOPIC = 3


def model_firm(sentences: pa.Table, embedder: Embedder, settings: FirmTopicSettings) -> FirmModel:
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
    n_set_aside = 0
    for start, stop in _calls(rows):
        kept = [
            number
            for number in range(start, stop)
            if is_set_aside(rows[number]["raw_text"], rows[number]["speaker_type"]) is None
        ]
        n_set_aside += (stop - start) - len(kept)
        texts = [rows[number]["raw_text"] for number in kept]
        vectors = embedder.embed([_MASK.sub("", text) for text in texts])
        fitted = fit_topics(texts, vectors, scaled_parameters(settings, len(texts)))
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
    return FirmModel(firm_id, tuple(topics), tuple(int(label) for label in labels), n_set_aside)


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


def scaled_parameters(settings: FirmTopicSettings, n_sentences: int) -> TopicModelParameters:
    """The firm-level parameters for a call of ``n_sentences``.

    The settings suit a whole call. With fewer than SENTENCES_PER_SMALLEST_TOPIC sentences per
    smallest topic, the smallest topic is one sentence in that many, SMALLEST_TOPIC at least, and
    the neighbourhood keeps its proportion to it: wider than a topic, it joins two.
    """
    from ftm_core.topics.topic_model import TopicModelParameters

    parameters = TopicModelParameters(**settings.model_dump())
    return parameters.shrunk_to(max(SMALLEST_TOPIC, n_sentences // SENTENCES_PER_SMALLEST_TOPIC))
