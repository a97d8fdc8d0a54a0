"""How the firm level fits its parameters to the length of a call."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa

from ftm_core.contracts.settings import FirmTopicSettings
from ftm_core.topics.firm_model import INPUT_COLUMNS, model_firm, scaled_parameters


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

    model = model_firm(call_of(texts), NotingEmbedder(), FirmTopicSettings())

    assert len(model.topics) >= 2
    for topic in model.topics:
        direction = int("Freight" in topic.leading_texts[0])
        assert topic.vector[direction] > 0.99
        assert abs(np.linalg.norm(topic.vector) - 1) < 1e-5


def test_a_mask_in_place_of_a_name_is_not_shown_to_the_embedding_model() -> None:
    embedder = NotingEmbedder()
    texts = [f"<UNK>, freight rates fell on lane {n}." for n in range(12)]

    model = model_firm(call_of(texts), embedder, FirmTopicSettings())

    assert len(embedder.shown) == 12
    assert all("UNK" not in text for text in embedder.shown)
    assert all("<UNK>" in text for topic in model.topics for text in topic.leading_texts)


def test_short_calls_scale_the_parameters_and_long_ones_do_not() -> None:
    settings = FirmTopicSettings()

    short, long = scaled_parameters(settings, 69), scaled_parameters(settings, 96)

    assert (short.min_cluster_size, short.umap_neighbors) == (4, 10)
    assert (long.min_cluster_size, long.umap_neighbors) == (6, 15)
    assert long.min_samples == short.min_samples == settings.min_samples


def test_what_is_set_smaller_stays_as_set() -> None:
    assert scaled_parameters(FirmTopicSettings(min_cluster_size=2), 20).min_cluster_size == 2
