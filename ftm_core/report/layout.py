"""Place topics on a plane so that those about the same subject lie together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ftm_core.topics.embedding import Vectors

SEED = 42
_PERPLEXITY = 30
_ITERATIONS = 500

Points = npt.NDArray[np.float64]


def lay_out(vectors: Vectors) -> Points:
    """Points of shape (n, 2), in 0..1, of topics' vectors of shape (n, d); the same each time.

    t-SNE (van der Maaten and Hinton 2008), seeded, by cosine. UMAP would take four times as long,
    half of it to compile itself. Too few topics for a neighbourhood are placed by their first two
    principal components.
    """
    from threadpoolctl import threadpool_limits

    # On one thread sums keep their order, so that points do not depend on the machine's cores.
    with threadpool_limits(1):
        if len(vectors) > 3 * _PERPLEXITY:
            plane = _neighbourhoods(vectors)
        else:
            plane = _first_components(vectors)
    span = np.ptp(plane, axis=0) if len(plane) else np.ones(2)
    span[span == 0] = 1.0
    scaled: Points = ((plane - plane.min(axis=0, initial=np.inf)) / span).round(4)
    return scaled


def _first_components(vectors: Vectors) -> Points:
    plane = np.zeros((len(vectors), 2))
    if len(vectors) > 1:
        centred = vectors - vectors.mean(axis=0)
        left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
        found = (left * sizes)[:, :2]
        plane[:, : found.shape[1]] = found
    return plane


def _neighbourhoods(vectors: Vectors) -> Points:
    from sklearn.manifold import TSNE

    placed: Points = TSNE(
        n_components=2,
        perplexity=_PERPLEXITY,
        metric="cosine",
        init="pca",
        max_iter=_ITERATIONS,
        random_state=SEED,
    ).fit_transform(vectors)
    return placed
