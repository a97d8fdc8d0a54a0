"""One way of finding what many firms talk about, in a process of its own: ours or a peer's.

Called by ``bench.peers`` as ``python bench/peer_models.py NAME FOLDER``. The folder holds the
sentences, their vectors and the sentence model, the same for all; the topic of each sentence, the
words of each topic, the seconds taken and the peak of memory are written to FOLDER/NAME.json. What
is compiled first or loaded first is so on a share of the sentences before time is taken.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ftm_core.memory import peak_memory_mib

SEED = 42
WARM_UP = 1500
NO_TOPIC = -1
WORDS = 10


@dataclass(frozen=True)
class Corpus:
    """Sentences in rows, of several firms, each with its vector."""

    rows: pa.Table
    vectors: np.ndarray
    model_folder: Path
    n_topics: int

    @property
    def texts(self) -> list[str]:
        texts: list[str] = self.rows["text"].to_pylist()
        return texts

    def first(self, number: int) -> Corpus:
        """A share of it."""
        return Corpus(
            self.rows.slice(0, number), self.vectors[:number], self.model_folder, self.n_topics
        )


@dataclass(frozen=True)
class Found:
    """A topic for each sentence, -1 for none, and the words of each topic."""

    labels: Sequence[int]
    words: dict[int, list[str]]


def ftm(corpus: Corpus) -> Found:
    """Themes of all sentences, their words by c-TF-IDF, without LLM and in one process."""
    from ftm_core.contracts.settings import ThemeSettings
    from ftm_core.themes.quarter_sentences import QuarterSentences
    from ftm_core.themes.theme_finding import themes_of
    from ftm_core.topics.compact_vectors import quantize

    # The same texts as the others get: without the masks of names.
    rows = corpus.rows.drop_columns("raw_text").rename_columns({"text": "raw_text"})
    sentences = QuarterSentences(rows, np.arange(rows.num_rows), quantize(corpus.vectors))
    found = themes_of(sentences, ThemeSettings())
    words = {number: list(theme.keywords) for number, theme in enumerate(found.themes)}
    return Found(found.assignment.themes.tolist(), words)


def bertopic(corpus: Corpus) -> Found:
    """BERTopic over all sentences at once, seeded and with stop words left out."""
    from bertopic import BERTopic
    from sklearn.feature_extraction.text import CountVectorizer
    from umap import UMAP

    model = BERTopic(
        umap_model=UMAP(
            n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", random_state=SEED
        ),
        vectorizer_model=CountVectorizer(stop_words="english"),
    )
    labels, _ = model.fit_transform(corpus.texts, corpus.vectors)
    words = {
        topic: [word for word, _ in model.get_topic(topic)] for topic in set(labels) - {NO_TOPIC}
    }
    return Found(labels, words)


def turftopic(corpus: Corpus) -> Found:
    """Turftopic's KeyNMF; a sentence belongs to the topic that weighs most in it."""
    from sentence_transformers import SentenceTransformer
    from turftopic import KeyNMF

    encoder = SentenceTransformer(str(corpus.model_folder), local_files_only=True, device="cpu")
    model = KeyNMF(corpus.n_topics, encoder=encoder, random_state=SEED)
    weights = model.fit_transform(corpus.texts, embeddings=corpus.vectors)
    labels = np.where(weights.max(axis=1) > 0, weights.argmax(axis=1), NO_TOPIC)
    words = {topic: [word for word, _ in found] for topic, found in model.get_topics(WORDS)}
    return Found(labels.tolist(), words)


def toponymy(corpus: Corpus) -> Found:
    """Toponymy's clustering with EVoC, the layer nearest in number; words by c-TF-IDF."""
    from toponymy.clustering import EVoCClusterer

    np.random.seed(SEED)
    clusterer = EVoCClusterer()
    clusterer.fit(corpus.vectors, corpus.vectors)
    layers = [np.asarray(layer.cluster_labels) for layer in clusterer.cluster_layers_]
    labels = min(layers, key=lambda layer: abs(int(layer.max()) + 1 - corpus.n_topics))
    return Found(labels.tolist(), _distinctive_words(corpus.texts, labels))


def top2vec(corpus: Corpus) -> Found:
    """Top2Vec by its own defaults, seeded."""
    from sentence_transformers import SentenceTransformer
    from top2vec import Top2Vec

    encoder = SentenceTransformer(str(corpus.model_folder), local_files_only=True, device="cpu")
    row = {text: number for number, text in enumerate(corpus.texts)}

    def embed(texts: Sequence[str]) -> np.ndarray:
        if all(text in row for text in texts):
            return corpus.vectors[[row[text] for text in texts]]
        return np.asarray(encoder.encode(list(texts), normalize_embeddings=True))

    model = Top2Vec(
        corpus.texts,
        embedding_model=embed,
        umap_args={"n_neighbors": 15, "n_components": 5, "metric": "cosine", "random_state": SEED},
    )
    words, _, topics = model.get_topics()
    named = {int(topic): list(found[:WORDS]) for topic, found in zip(topics, words, strict=True)}
    return Found([int(topic) for topic in model.doc_top], named)


def _distinctive_words(texts: Sequence[str], labels: np.ndarray) -> dict[int, list[str]]:
    """Words by c-TF-IDF (Grootendorst 2022) for what finds clusters alone."""
    from sklearn.feature_extraction.text import CountVectorizer

    topics = sorted(set(labels.tolist()) - {NO_TOPIC})
    counter = CountVectorizer(stop_words="english")
    counts = counter.fit_transform(
        " ".join(text for text, label in zip(texts, labels, strict=True) if label == topic)
        for topic in topics
    ).toarray()
    weight = counts / counts.sum(axis=1, keepdims=True)
    weight = weight * np.log(1 + counts.sum() / len(topics) / counts.sum(axis=0))
    names = counter.get_feature_names_out()
    return {
        topic: names[np.argsort(-weight[row])[:WORDS]].tolist() for row, topic in enumerate(topics)
    }


WAYS: dict[str, Callable[[Corpus], Found]] = {
    "ftm": ftm,
    "bertopic": bertopic,
    "turftopic": turftopic,
    "toponymy": toponymy,
    "top2vec": top2vec,
}


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    asked: dict[str, Any] = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
    corpus = Corpus(
        pq.read_table(folder / "sentences.parquet"),
        np.load(folder / "vectors.npy"),
        Path(asked["model_folder"]),
        asked["n_topics"],
    )
    WAYS[name](corpus.first(WARM_UP))
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    found = WAYS[name](corpus)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    reported = {
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_mib": peak_memory_mib(),
        "labels": [int(label) for label in found.labels],
        "words": {str(topic): words for topic, words in found.words.items()},
    }
    (folder / f"{name}.json").write_text(json.dumps(reported), encoding="utf-8")


if __name__ == "__main__":
    main()
