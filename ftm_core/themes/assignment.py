"""Assign every sentence of a quarter to at most one theme: one pass, linear in sentences."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ftm_core.contracts.settings import ThemeSettings
from ftm_core.topics.embedding import Vectors

Labels = npt.NDArray[np.int64]
Similarities = npt.NDArray[np.float32]
NO_THEME = -1
# How many positions away in its call a sentence counts as the context of another.
CONTEXT = 2
# The cosine with a theme that is enough for a sentence in the context of one that belongs to it.
CONTEXT_SIMILARITY = 0.1


@dataclass(frozen=True)
class Assignment:
    """The theme of each sentence, -1 for none, and its cosine with the nearest theme."""

    themes: Labels
    similarity: Similarities


def nearest(vectors: Vectors, directions: npt.NDArray[np.float32]) -> tuple[Labels, Similarities]:
    """For each vector the nearest direction and the cosine with it."""
    similarity = vectors @ directions.T
    labels = similarity.argmax(axis=1)
    return labels, np.asarray(similarity[np.arange(len(labels)), labels], np.float32)


def with_context(
    labels: Labels,
    similarity: Similarities,
    calls: Labels,
    positions: Labels,
    settings: ThemeSettings,
) -> Labels:
    """Keep the nearest theme of a sentence that is close to it, or whose context is.

    A sentence belongs to its nearest theme from a cosine of ``min_similarity``. Within CONTEXT
    positions of one that belongs to the same theme, CONTEXT_SIMILARITY is enough: what is spoken
    between two sentences on a subject is most likely on it, too. Rows are ordered by call and
    position. Two thresholds as in Canny, PAMI 8 (1986).
    """
    certain = similarity >= settings.min_similarity
    kept = certain.copy()
    possible = similarity >= CONTEXT_SIMILARITY
    for step in range(1, CONTEXT + 1):
        if len(labels) <= step:
            break
        close = (
            (calls[step:] == calls[:-step])
            & (positions[step:] - positions[:-step] <= CONTEXT)
            & (labels[step:] == labels[:-step])
        )
        kept[step:] |= close & certain[:-step] & possible[step:]
        kept[:-step] |= close & certain[step:] & possible[:-step]
    return np.where(kept, labels, NO_THEME)


def without_dominance(
    labels: Labels, similarity: Similarities, firms: Labels, settings: ThemeSettings
) -> Labels:
    """Drop themes of too few firms, and the least central sentences of a firm that dominates one.

    Afterwards every theme has sentences of at least ``min_firms`` firms, and none of them more
    than ``max_firm_dominance`` of all.
    """
    kept = labels.copy()
    order = np.lexsort((-similarity, labels))
    order = order[labels[order] >= 0]
    bounds = np.flatnonzero(np.diff(labels[order], prepend=-1, append=-1))
    for start, stop in itertools.pairwise(bounds.tolist()):
        rows = order[start:stop]
        chosen = _within_share(firms[rows], settings.max_firm_dominance)
        if len(np.unique(firms[rows][chosen])) < settings.min_firms:
            chosen[:] = False
        kept[rows[~chosen]] = NO_THEME
    return kept


def _within_share(firms: Labels, share: float) -> npt.NDArray[np.bool_]:
    """Which of a theme's sentences, most central first, remain when each firm has its share."""
    _, firms = np.unique(firms, return_inverse=True)
    counts = np.bincount(firms)
    allowed = counts.copy()
    while allowed.sum() and allowed.max() > share * allowed.sum():
        largest = int(allowed.argmax())
        others = int(allowed.sum() - allowed[largest])
        # The firm's sentences x that solve x <= share * (x + others).
        limit = int(share * others / (1 - share) + 1e-9) if share < 1 else allowed[largest]
        if limit >= allowed[largest] or limit == 0:
            return np.zeros(len(firms), bool)
        allowed[largest] = limit
    order = np.argsort(firms, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rank = np.empty(len(firms), np.int64)
    rank[order] = np.arange(len(firms)) - starts[firms[order]]
    return np.asarray(rank < allowed[firms])


def largest_first(labels: Labels, firms: Labels) -> tuple[Labels, Labels]:
    """Labels renumbered by firms, then sentences, both descending; and the old number of each."""
    placed = labels >= 0
    if not placed.any():
        return labels, np.zeros(0, np.int64)
    n_labels = int(labels.max()) + 1
    n_sentences = np.bincount(labels[placed], minlength=n_labels)
    pairs = np.unique(np.stack([labels[placed], firms[placed]]), axis=1)
    n_firms = np.bincount(pairs[0], minlength=n_labels)
    old = np.lexsort((np.arange(n_labels), -n_sentences, -n_firms))
    old = old[n_sentences[old] > 0]
    new = np.full(n_labels, NO_THEME, np.int64)
    new[old] = np.arange(len(old))
    return np.where(placed, new[labels], NO_THEME), old
