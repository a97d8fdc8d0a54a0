"""Keywords of firms' topics with and without MMR, by coherence and diversity.

Run from the project root: ``python -m bench.keywords [FIRMS]``. Candidates are the product's:
by c-TF-IDF, none of which repeats another. A word's vector is the mean of the vectors of the
call's sentences that hold it, as the small embedding model knows too little of single words. Two
scores of relevance are tried: the cosine with the topic's mean, as KeyBERT takes it, and c-TF-IDF.
Source of MMR: Carbonell and Goldstein, SIGIR 1998.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bertopic.representation._mmr import mmr

from bench.corpus import maec_firms
from bench.map_firms import embedded, keyword_quality
from bench.measuring import report
from ftm_core.contracts.settings import Settings
from ftm_core.topics import topic_model
from ftm_core.topics.embedding import Vectors, load_embedder
from ftm_core.topics.keywords import choose_keywords

DIVERSITIES = (0.1, 0.2, 0.3, 0.5)
Keywords = tuple[str, ...]


@dataclass(frozen=True)
class Topic:
    """A topic's candidates with their c-TF-IDF, best first, their vectors, and the topic's mean."""

    candidates: Keywords
    scores: np.ndarray[Any, Any]
    vectors: Vectors
    mean: Vectors


def topics_of(texts: Sequence[str], vectors: Vectors, settings: Settings) -> list[Topic]:
    """The topics of one call, found as the product finds them."""
    vocabulary = topic_model._vocabulary(texts)
    clusters = topic_model.WardClusters(settings.firm_topics)
    if vocabulary is None or np.all(clusters.fit(vectors).labels_ == topic_model.NO_TOPIC):
        return []
    model = topic_model._build(vocabulary, clusters)
    labels = np.asarray(model.fit_transform(list(texts), embeddings=vectors)[0])
    held = topic_model._vectorizer(vocabulary=vocabulary).fit_transform(texts) > 0
    words = np.asarray(held.T @ vectors)
    words /= np.maximum(np.linalg.norm(words, axis=1, keepdims=True), 1e-9)
    place = {word: number for number, word in enumerate(vocabulary)}
    topics = []
    for label in sorted(set(labels.tolist()) - {topic_model.NO_TOPIC}):
        ranked = dict(model.get_topic(label))
        names = choose_keywords(ranked, len(ranked))
        scores = np.array([ranked[name] for name in names])
        at = [place[name] for name in names]
        topics.append(Topic(names, scores, words[at], vectors[labels == label].mean(axis=0)))
    return topics


def first(topic: Topic, _: float) -> Keywords:
    """The best by c-TF-IDF, as the product chooses."""
    return topic.candidates[: topic_model.N_KEYWORDS]


def by_cosine(topic: Topic, weight: float) -> Keywords:
    """MMR with BERTopic's function: relevance is the cosine with the topic's mean."""
    if not topic.candidates:
        return ()
    n = min(topic_model.N_KEYWORDS, len(topic.candidates))
    names = list(topic.candidates)
    return tuple(mmr(topic.mean.reshape(1, -1), topic.vectors, names, weight, n))


def by_ctfidf(topic: Topic, weight: float) -> Keywords:
    """MMR where relevance is c-TF-IDF as a share of the topic's highest."""
    chosen: list[int] = []
    left = list(range(len(topic.candidates)))
    alike = topic.vectors @ topic.vectors.T
    while left and len(chosen) < topic_model.N_KEYWORDS:
        relevance = topic.scores[left] / topic.scores.max()
        repeated = alike[np.ix_(left, chosen)].max(axis=1) if chosen else 0.0
        best = left[int(np.argmax((1 - weight) * relevance - weight * repeated))]
        chosen.append(best)
        left.remove(best)
    return tuple(topic.candidates[number] for number in chosen)


def measure(n_firms: int) -> dict[str, Any]:
    """NPMI of the keywords and their diversity within a firm, for each way to choose."""
    settings = Settings()
    embedder = load_embedder(settings.embedding)
    firms = maec_firms(n_firms)
    topics = []
    for firm in firms:
        texts = embedded(firm)
        topics.append(topics_of(texts, embedder.embed(texts), settings))
    measures: dict[str, Any] = {"firms": n_firms, "topics": sum(map(len, topics))}
    ways: list[tuple[str, Callable[[Topic, float], Keywords], float]] = [("no MMR", first, 0.0)]
    for weight in DIVERSITIES:
        ways += [("cosine", by_cosine, weight), ("c-TF-IDF", by_ctfidf, weight)]
    for name, choose, weight in ways:
        found = [[choose(topic, weight) for topic in firm] for firm in topics]
        way = name if name == "no MMR" else f"MMR {weight} by {name}"
        measures |= keyword_quality(firms, found, way)
    return measures


if __name__ == "__main__":
    report("keywords", measure(int((sys.argv[1:] or ["40"])[0])))
