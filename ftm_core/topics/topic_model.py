"""One BERTopic model with explicit parts: vectors and texts in, labels and keywords out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from bertopic import BERTopic
from bertopic.backend import BaseEmbedder
from bertopic.representation import MaximalMarginalRelevance
from bertopic.vectorizers import ClassTfidfTransformer
from hdbscan import HDBSCAN
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits
from umap import UMAP

from ftm_core.text import lexicons
from ftm_core.text.tokens import KEYWORD_PATTERN
from ftm_core.topics.compiled import keep_compiled
from ftm_core.topics.embedding import Vectors

NO_TOPIC = -1


@dataclass(frozen=True)
class TopicModelParameters:
    """Parameters of one level, already scaled to the size of the input."""

    umap_neighbors: int
    umap_components: int
    umap_min_dist: float
    min_cluster_size: int
    min_samples: int
    cluster_selection: str
    ngram_max: int
    min_df: int
    mmr_diversity: float
    n_keywords: int
    seed: int
    umap_start: Literal["spectral", "pca"] = "spectral"
    umap_epochs: int | None = None
    # 0 sets no limit. HDBSCAN takes larger clusters apart; by excess of mass only.
    max_cluster_size: int = 0

    def shrunk_to(self, smallest: int) -> TopicModelParameters:
        """Lower the smallest cluster to ``smallest`` and the neighbourhood in proportion."""
        if smallest >= self.min_cluster_size:
            return self
        neighbors = round(self.umap_neighbors * smallest / self.min_cluster_size)
        return replace(self, min_cluster_size=smallest, umap_neighbors=max(5, neighbors))

    def fitted_to(self, n_texts: int) -> TopicModelParameters:
        """Bring the neighbourhood and the dimensions below the number of texts.

        UMAP needs fewer neighbours than points, and its spectral start fewer dimensions than
        points less one.
        """
        return replace(
            self,
            umap_neighbors=max(2, min(self.umap_neighbors, n_texts - 1)),
            umap_components=max(2, min(self.umap_components, n_texts - 3)),
        )


@dataclass(frozen=True)
class FittedTopics:
    """Labels of shape (n_texts,), -1 for none, and each topic's keywords, best first."""

    labels: npt.NDArray[np.int32]
    keywords: dict[int, tuple[str, ...]]


def fit_topics(
    texts: Sequence[str], vectors: Vectors, parameters: TopicModelParameters
) -> FittedTopics:
    """Cluster ``vectors`` and describe each cluster by keywords of its ``texts``.

    Deterministic for given input and parameters. Too few texts for two clusters, or texts
    without a single word, give no topic at all rather than an error.
    """
    nothing = FittedTopics(np.full(len(texts), NO_TOPIC, np.int32), {})
    if len(texts) < max(parameters.min_cluster_size, 5):
        return nothing
    words = _WordVectors.of(texts, vectors, parameters)
    if words is None:
        return nothing
    keep_compiled()
    model = _build(words, parameters.fitted_to(len(texts)))
    # PCA multiplies matrices on all cores, and its last bits would follow their number.
    with threadpool_limits(1) if parameters.umap_start == "pca" else nullcontext():
        labels, _ = model.fit_transform(list(texts), embeddings=vectors)
    found = sorted(set(labels) - {NO_TOPIC})
    keywords = {
        topic: _telling([word for word, _ in model.get_topic(topic) if word])[
            : parameters.n_keywords
        ]
        for topic in found
    }
    return FittedTopics(np.asarray(labels, np.int32), keywords)


def _telling(keywords: Sequence[str]) -> tuple[str, ...]:
    """The keywords less those all of whose words could be said of anything, unless all could."""
    telling = [word for word in keywords if not _is_filler(word)]
    return tuple(telling or keywords)


def _is_filler(keyword: str) -> bool:
    return all(lexicons.contains("keyword_filler", word) for word in keyword.split())


class _WordVectors(BaseEmbedder):  # type: ignore[misc]
    """Places a candidate keyword at the mean of the sentences that use it.

    MMR needs a vector for each candidate. Embedding candidates with the sentence model costs more
    than all else in the loop and sees them without context; the sentences' own vectors are at hand.
    """

    def __init__(self, vocabulary: dict[str, int], vectors: npt.NDArray[Any]) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self._vectors = vectors

    @classmethod
    def of(
        cls, texts: Sequence[str], vectors: Vectors, parameters: TopicModelParameters
    ) -> _WordVectors | None:
        # min_df counts sentences. Left to BERTopic it would count topics, since c-TF-IDF joins a
        # topic's sentences into one document, and a word of one topic alone would be dropped.
        for min_df in (parameters.min_df, 1):
            counter = _vectorizer(parameters.ngram_max, min_df=min_df)
            try:
                counts: csr_matrix = counter.fit_transform(texts)
            except ValueError:  # no word at all
                continue
            # With a single word BERTopic's c-TF-IDF takes a number for an array and fails.
            if counts.shape[1] > 1:
                break
        else:
            return None
        binary = (counts > 0).astype(np.float32)
        placed = normalize(np.asarray(binary.T @ vectors))
        names = counter.get_feature_names_out()
        return cls({word: number for number, word in enumerate(names)}, placed)

    def embed(self, documents: list[str], verbose: bool = False) -> npt.NDArray[Any]:
        return np.vstack([self._place(text) for text in documents])

    def _place(self, text: str) -> npt.NDArray[Any]:
        if text in self.vocabulary:
            return np.asarray(self._vectors[self.vocabulary[text]])
        # MMR asks for all candidates joined by spaces as the place of the topic itself.
        rows = [self.vocabulary[word] for word in text.split() if word in self.vocabulary]
        if not rows:
            return np.zeros(self._vectors.shape[1], np.float32)
        return np.asarray(normalize(self._vectors[rows].mean(axis=0, keepdims=True))[0])


class _TopicModel(BERTopic):  # type: ignore[misc]
    """BERTopic without its own choice of three texts a topic, a sixth of the time beside embedding.

    Which sentences lead a topic is chosen by their vectors (firm_model.py), not by c-TF-IDF.
    """

    def _save_representative_docs(self, documents: Any) -> None:
        self.representative_docs_: dict[int, list[str]] = {}


def _vectorizer(ngram_max: int, **options: Any) -> CountVectorizer:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return CountVectorizer(
        stop_words=sorted(ENGLISH_STOP_WORDS | lexicons.words("spoken_stop_words")),
        ngram_range=(1, ngram_max),
        token_pattern=KEYWORD_PATTERN,
        **options,
    )


def _build(words: _WordVectors, parameters: TopicModelParameters) -> BERTopic:
    return _TopicModel(
        embedding_model=words,
        umap_model=UMAP(
            n_neighbors=parameters.umap_neighbors,
            n_components=parameters.umap_components,
            min_dist=parameters.umap_min_dist,
            metric="cosine",
            init=parameters.umap_start,
            n_epochs=parameters.umap_epochs,
            random_state=parameters.seed,
            n_jobs=1,
        ),
        hdbscan_model=HDBSCAN(
            min_cluster_size=parameters.min_cluster_size,
            min_samples=parameters.min_samples,
            metric="euclidean",
            cluster_selection_method=parameters.cluster_selection,
            max_cluster_size=parameters.max_cluster_size,
            core_dist_n_jobs=1,
        ),
        vectorizer_model=_vectorizer(parameters.ngram_max, vocabulary=words.vocabulary),
        ctfidf_model=ClassTfidfTransformer(),
        representation_model=MaximalMarginalRelevance(
            diversity=parameters.mmr_diversity, top_n_words=parameters.n_keywords
        ),
        top_n_words=parameters.n_keywords,
        calculate_probabilities=False,
        verbose=False,
    )
