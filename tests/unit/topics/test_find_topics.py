"""One firm's calls to topics, and what becomes of its sentences."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa

from ftm_core.contracts.settings import FirmTopicSettings
from ftm_core.topics.find_topics import INPUT_COLUMNS, find_firm_topics


class NotingEmbedder:
    """A fake embedder that keeps what it was shown: two directions, by the first word."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def embed(self, texts: list[str]) -> np.ndarray:
        self.shown += texts
        chance = np.random.default_rng(1)
        rows = [np.eye(8)[int("Freight" in text)] + chance.normal(0, 0.02, 8) for text in texts]
        stacked = np.asarray(rows)
        return (stacked / np.linalg.norm(stacked, axis=1, keepdims=True)).astype(np.float32)


def call_of(texts: list[str]) -> pa.Table:
    fixed = {
        "firm_id": "F1", "firm_name": "Firm", "permno": None, "gvkey": None, "transcript_id": "T1",
        "earnings_call_date": dt.date(2017, 2, 1), "speaker_type": "Unknown", "quarter": "2017Q1",
    }  # fmt: skip
    rows = [
        {**fixed, "sentence_id": f"F1_T1_{place:04d}", "raw_text": text, "position": place}
        for place, text in enumerate(texts)
    ]
    return pa.Table.from_pylist(rows).select(INPUT_COLUMNS)


def test_a_topic_keeps_the_mean_of_its_sentences_vectors() -> None:
    texts = [f"Freight rates fell on lane {n}." for n in range(20)]
    texts += [f"Wages rose in plant {n}." for n in range(20)]

    model = find_firm_topics(call_of(texts), NotingEmbedder(), FirmTopicSettings())

    assert len(model.topics) >= 2
    for topic in model.topics:
        direction = int("Freight" in topic.leading_texts[0])
        assert topic.vector[direction] > 0.99
        assert abs(np.linalg.norm(topic.vector) - 1) < 1e-5


def test_masked_name_is_not_shown_to_the_embedding_model() -> None:
    embedder = NotingEmbedder()
    texts = [f"<UNK>, freight rates fell on lane {n}." for n in range(12)]

    model = find_firm_topics(call_of(texts), embedder, FirmTopicSettings())

    assert len(embedder.shown) == 12
    assert all("UNK" not in text for text in embedder.shown)
    assert all("<UNK>" in text for topic in model.topics for text in topic.leading_texts)


def test_firm_topics_small_talk_has_no_vector() -> None:
    """Every sentence becomes a row; small talk is marked, never embedded and in no topic."""
    embedder = NotingEmbedder()
    texts = ["Good morning, everyone.", *(f"Freight rates fell on lane {n}." for n in range(12))]
    sentences = call_of(texts)

    rows = find_firm_topics(sentences, embedder, FirmTopicSettings()).sentence_rows(sentences)

    assert rows["is_small_talk"].to_pylist() == [True] + [False] * 12
    assert rows["vector"][0].as_py() is None
    assert len(rows["vector"][1].as_py()) == 8
    assert rows["local_topic_id"][0].as_py() == -1
    assert len(embedder.shown) == 12
