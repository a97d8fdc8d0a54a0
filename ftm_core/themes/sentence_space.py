"""The space in which sentences are compared: their vectors, centered, flattened and sharpened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ftm_core.topics.compact_vectors import Bytes, dequantize
from ftm_core.topics.embedding import Vectors

Matrix = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

# With fewer sentences or dimensions per direction, a direction of much variance is a theme.
SENTENCES_PER_DIRECTION = 100
DIMENSIONS_PER_DIRECTION = 16
# How far the covariance within themes is drawn to a multiple of the identity before it is inverted.
SHRINKAGE = 0.2
_NOTHING = 1e-9


@dataclass(frozen=True)
class SentenceSpace:
    """A linear map of sentence vectors: less ``mean``, times ``matrix``, brought to length 1."""

    mean: Matrix
    matrix: Matrix

    def place(self, rounded: Bytes) -> Vectors:
        """Unit vectors of shape (n, dimensions) for compact vectors of the same shape."""
        placed = (dequantize(rounded) - self.mean.astype(np.float32)) @ self.matrix.astype(
            np.float32
        )
        lengths = np.linalg.norm(placed, axis=1, keepdims=True)
        return np.asarray(placed / np.maximum(lengths, _NOTHING), np.float32)


def flattened_space(blocks: Iterable[Bytes], n_directions: int) -> SentenceSpace:
    """The space without the sentences' mean and with the directions of most variance flattened.

    Every sentence is of an earnings call, and half of each vector says so: the mean goes. What
    varies most is then how something is expressed (numbers or plans, speech or writing). The first
    ``n_directions`` are brought down to the variance of the next one: they still separate sentences
    apart, and no longer before all else. After Mu and Viswanath, All-but-the-Top, ICLR 2018, who
    remove them altogether. Reads all ``blocks`` once.
    """
    total: Matrix | float = 0.0
    products: Matrix | float = 0.0
    n_sentences = 0
    for block in blocks:
        vectors = dequantize(block)
        total = total + vectors.sum(axis=0, dtype=np.float64)
        products = products + (vectors.T @ vectors).astype(np.float64)
        n_sentences += len(vectors)
    mean = np.asarray(total / n_sentences)
    covariance = np.asarray(products / n_sentences - np.outer(mean, mean))
    n_directions = min(
        n_directions,
        n_sentences // SENTENCES_PER_DIRECTION,
        len(mean) // DIMENSIONS_PER_DIRECTION,
    )
    matrix = np.eye(len(mean))
    if n_directions:
        variances, directions = np.linalg.eigh(covariance)
        level = max(float(variances[-n_directions - 1]), 0.0)
        first, axes = variances[-n_directions:], directions[:, -n_directions:]
        excess = 1 - np.sqrt(level / np.maximum(first, max(level, _NOTHING)))
        matrix -= (axes * excess) @ axes.T
    return SentenceSpace(mean, matrix)


def sharpened_space(space: SentenceSpace, vectors: Vectors, labels: Labels) -> SentenceSpace:
    """The space in which sentences of one theme vary equally in all directions.

    ``vectors`` are placed in ``space``; ``labels`` are their themes, -1 for none. Directions in
    which sentences of the same theme differ say nothing of the theme and lose weight. This is the
    within-class whitening of linear discriminant analysis (Fisher 1936), shrunk by SHRINKAGE.
    """
    placed = vectors[labels >= 0].astype(np.float64)
    own = labels[labels >= 0]
    if not len(own):
        return space
    sums = np.zeros((int(own.max()) + 1, placed.shape[1]))
    np.add.at(sums, own, placed)
    centers = sums / np.maximum(np.bincount(own), 1)[:, None]
    residuals = placed - centers[own]
    variances, axes = np.linalg.eigh(residuals.T @ residuals / len(residuals))
    shrunk = (1 - SHRINKAGE) * np.maximum(variances, 0.0) + SHRINKAGE * variances.mean()
    whitening = (axes / np.sqrt(np.maximum(shrunk, _NOTHING))) @ axes.T
    return replace(space, matrix=space.matrix @ whitening)
