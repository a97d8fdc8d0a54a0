"""Place topics on a plane so that those of like words lie together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ftm_core.topics.words import WORD_PATTERN

SEED = 42
_DIMENSIONS = 50
_PERPLEXITY = 30
_ITERATIONS = 500
_MOST_WORDS = 20_000

Points = npt.NDArray[np.float64]


def lay_out(texts: Sequence[str]) -> Points:
    """Points of shape (len(texts), 2), scaled to 0..1; the same each time.

    TF-IDF vectors, reduced by a truncated SVD, then to two dimensions by t-SNE (van der Maaten and
    Hinton 2008), both seeded. No run keeps the vectors that its themes were clustered on, and to
    embed a large quarter again would take minutes; words need seconds and no model. UMAP would
    take four times as long, half of it to compile itself. Too few texts for a neighbourhood are
    placed by the first two directions of the SVD.
    """
    from threadpoolctl import threadpool_limits

    # On one thread sums keep their order, so that points do not depend on the machine's cores.
    with threadpool_limits(1):
        vectors = _vectors(texts)
        if len(texts) > 3 * _PERPLEXITY and vectors.shape[1] > 2:
            vectors = _neighbourhoods(vectors)
    plane = np.zeros((len(texts), 2))
    plane[:, : vectors.shape[1]] = vectors[:, :2]
    span = np.ptp(plane, axis=0) if len(texts) else np.ones(2)
    span[span == 0] = 1.0
    scaled: Points = ((plane - plane.min(axis=0, initial=np.inf)) / span).round(4)
    return scaled


def _vectors(texts: Sequence[str]) -> Points:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    vectorizer = TfidfVectorizer(
        stop_words="english",
        token_pattern=WORD_PATTERN,
        sublinear_tf=True,
        max_features=_MOST_WORDS,
    )
    try:
        words = vectorizer.fit_transform(texts)
    except ValueError:
        # Not one word in any text: nothing to tell them apart by.
        return np.zeros((len(texts), 1))
    dimensions = min(_DIMENSIONS, *(size - 1 for size in words.shape))
    if dimensions < 1:
        return np.zeros((len(texts), 1))
    reduced: Points = normalize(TruncatedSVD(dimensions, random_state=SEED).fit_transform(words))
    return reduced


def _neighbourhoods(vectors: Points) -> Points:
    from sklearn.manifold import TSNE

    placed: Points = TSNE(
        n_components=2,
        perplexity=_PERPLEXITY,
        init="pca",
        max_iter=_ITERATIONS,
        random_state=SEED,
    ).fit_transform(vectors)
    return placed
