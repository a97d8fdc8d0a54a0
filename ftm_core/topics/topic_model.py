"""BERTopic with explicit parts over one call: vectors and texts in, labels and keywords out.

Sentences are clustered by Ward linkage on their vectors. On the hundred sentences of a call UMAP
and HDBSCAN find topics of the same purity and agreement and take several hundred times as long
(bench/results/themes.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.feature_extraction.text import CountVectorizer

from ftm_core.contracts.settings import FirmTopicSettings
from ftm_core.light_imports import without_packages
from ftm_core.text import lexicons
from ftm_core.text.tokens import KEYWORD_PATTERN
from ftm_core.topics.embedding import Vectors
from ftm_core.topics.keywords import choose_keywords

# BERTopic's default parts, none of which is used here, load PyTorch and compile UMAP: three
# quarters of the time until a process finds its first topic.
with without_packages(
    "hdbscan", "plotly", "sentence_transformers", "torch", "transformers", "umap"
):
    from bertopic import BERTopic
    from bertopic.dimensionality import BaseDimensionalityReduction
    from bertopic.vectorizers import ClassTfidfTransformer

NO_TOPIC = -1
# A sentence whose cosine with its topic's mean is lower is an outlier (bench/results/themes.md).
MIN_SIMILARITY = 0.55
# Keywords of two words name things ("gross margin") that one word does not.
NGRAM_MAX = 2
# A word of a single sentence says little about a topic of three sentences or more.
MIN_DF = 2
# BERTopic's own number.
N_KEYWORDS = 10
# Candidates for each keyword by c-TF-IDF, before those are dropped that repeat another.
CANDIDATES_PER_KEYWORD = 3


@dataclass(frozen=True)
class FittedTopics:
    """Labels of shape (n_texts,), -1 for none, and each topic's keywords, best first."""

    labels: npt.NDArray[np.int32]
    keywords: dict[int, tuple[str, ...]]


class WardClusters:
    """Ward linkage on unit vectors, as BERTopic's clustering part.

    A call of n sentences is cut into n / ``sentences_per_topic`` clusters. A sentence whose cosine
    with its cluster's mean is below MIN_SIMILARITY is an outlier, and so are the sentences of
    a cluster with fewer than ``min_topic_size``. Source: Ward, JASA 58 (1963).
    """

    def __init__(self, settings: FirmTopicSettings) -> None:
        self._settings = settings
        self.labels_: npt.NDArray[np.int32] = np.zeros(0, np.int32)

    def fit(self, vectors: Vectors, y: object = None) -> Self:
        """Cluster ``vectors`` of shape (n, dimensions); ``labels_`` holds -1 for outliers."""
        n_clusters = max(2, round(len(vectors) / self._settings.sentences_per_topic))
        found = fcluster(linkage(vectors.astype(np.float64), "ward"), n_clusters, "maxclust")
        self.labels_ = np.full(len(vectors), NO_TOPIC, np.int32)
        for label in range(int(found.max())):
            members = np.flatnonzero(found == label + 1)
            mean = vectors[members].mean(axis=0)
            similarity = vectors[members] @ (mean / max(float(np.linalg.norm(mean)), 1e-9))
            members = members[similarity >= MIN_SIMILARITY]
            if len(members) >= self._settings.min_topic_size:
                self.labels_[members] = label
        return self


def fit_topics(texts: Sequence[str], vectors: Vectors, settings: FirmTopicSettings) -> FittedTopics:
    """Cluster ``vectors`` and describe each cluster by keywords of its ``texts``.

    Deterministic for given input and settings. Too few texts for two clusters, or texts without a
    single word, give no topic at all rather than an error.
    """
    nothing = FittedTopics(np.full(len(texts), NO_TOPIC, np.int32), {})
    if len(texts) < max(settings.min_topic_size, 5):
        return nothing
    vocabulary = _vocabulary(texts)
    if vocabulary is None:
        return nothing
    clusters = WardClusters(settings)
    if np.all(clusters.fit(vectors).labels_ == NO_TOPIC):
        return nothing
    model = _build(vocabulary, clusters)
    labels, _ = model.fit_transform(list(texts), embeddings=vectors)
    found = sorted(set(labels) - {NO_TOPIC})
    keywords = {
        topic: choose_keywords([word for word, _ in model.get_topic(topic)], N_KEYWORDS)
        for topic in found
    }
    return FittedTopics(np.asarray(labels, np.int32), keywords)


def _vocabulary(texts: Sequence[str]) -> list[str] | None:
    """Words and phrases that may be keywords, None where there are fewer than two."""
    # min_df counts sentences. Left to BERTopic it would count topics, since c-TF-IDF joins a
    # topic's sentences into one document, and a word of one topic alone would be dropped.
    for min_df in (MIN_DF, 1):
        counter = _vectorizer(min_df=min_df)
        try:
            counter.fit(texts)
        except ValueError:  # no word at all
            continue
        # With a single word BERTopic's c-TF-IDF takes a number for an array and fails.
        if len(counter.vocabulary_) > 1:
            return list(counter.get_feature_names_out())
    return None


class _TopicModel(BERTopic):  # type: ignore[misc]
    """BERTopic without its own choice of three texts a topic, a sixth of the time beside embedding.

    Which sentences lead a topic is chosen by their vectors (find_topics.py), not by c-TF-IDF.
    """

    def _save_representative_docs(self, documents: Any) -> None:
        self.representative_docs_: dict[int, list[str]] = {}


def _vectorizer(**options: Any) -> CountVectorizer:
    return CountVectorizer(
        stop_words=stop_words(),
        ngram_range=(1, NGRAM_MAX),
        token_pattern=KEYWORD_PATTERN,
        **options,
    )


def stop_words() -> list[str]:
    """Words that are no keywords: scikit-learn's stop words and those of spoken language."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return sorted(ENGLISH_STOP_WORDS | lexicons.words("spoken_stop_words"))


def _build(vocabulary: list[str], clusters: WardClusters) -> BERTopic:
    return _TopicModel(
        # For English, BERTopic would remove all characters but letters and digits, and with them
        # words that the vocabulary holds.
        language="multilingual",
        umap_model=BaseDimensionalityReduction(),
        hdbscan_model=clusters,
        vectorizer_model=_vectorizer(vocabulary=vocabulary),
        ctfidf_model=ClassTfidfTransformer(),
        top_n_words=CANDIDATES_PER_KEYWORD * N_KEYWORDS,
        calculate_probabilities=False,
        verbose=False,
    )
