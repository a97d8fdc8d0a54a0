"""Separate themes about a subject from ways of speaking: the former have words of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ftm_core.text.tokens import KEYWORD_PATTERN

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix

Labels = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]
# A subject has synonyms (army, aerospace, defense), so several words together tell a theme.
WORDS_PER_THEME = 3
# Words that are tried for that, by their own F1.
CANDIDATES = 20
# Sentences that a word must occur in.
MIN_DF = 3


def distinctiveness(texts: Sequence[str], labels: Labels, n_themes: int) -> Scores:
    """How well words separate the sentences of each theme from all others, of shape (n_themes,).

    It is the F1 of the sentences of the theme and the sentences with any of its WORDS_PER_THEME
    best words, chosen greedily; 0 for a theme without sentences or words. ``labels`` holds the
    theme of each text, -1 for none. A theme about a subject has such words. Sentences that share
    only a way of speaking ("we are pleased with our progress") have none.
    """
    from scipy.sparse import csr_matrix

    found = _words_in(texts)
    rows = np.flatnonzero(labels >= 0)
    member = csr_matrix((np.ones(len(rows)), (labels[rows], rows)), shape=(n_themes, len(texts)))
    hits = (member @ found).toarray()
    totals = np.asarray(found.sum(axis=0)).ravel()
    sizes = np.bincount(labels[rows], minlength=n_themes)
    f1 = 2 * hits / np.maximum(sizes[:, None] + totals[None, :], 1)
    scores = np.zeros(n_themes)
    for theme in range(n_themes):
        best = np.lexsort((np.arange(f1.shape[1]), -f1[theme].round(9)))[:CANDIDATES]
        scores[theme] = _best_union(found[:, best].toarray() > 0, labels == theme)
    return scores


def _words_in(texts: Sequence[str]) -> csc_matrix:
    """Which words occur in which text, of shape (texts, words); stop words left out."""
    from scipy.sparse import csc_matrix
    from sklearn.feature_extraction.text import CountVectorizer

    from ftm_core.topics.topic_model import stop_words

    counter = CountVectorizer(
        stop_words=stop_words(), token_pattern=KEYWORD_PATTERN, min_df=MIN_DF, binary=True
    )
    try:
        return csc_matrix(counter.fit_transform(texts), dtype=np.float64)
    except ValueError:  # not a single word that occurs often enough
        return csc_matrix((len(texts), 0))


def _best_union(occurs: npt.NDArray[np.bool_], own: npt.NDArray[np.bool_]) -> float:
    """F1 of ``own`` and the texts with any of the words (columns) chosen greedily."""
    best, chosen = 0.0, np.zeros(len(own), bool)
    n_own = int(own.sum())
    for _ in range(min(WORDS_PER_THEME, occurs.shape[1])):
        unions = occurs | chosen[:, None]
        f1 = 2 * unions[own].sum(axis=0) / np.maximum(unions.sum(axis=0) + n_own, 1)
        place = int(f1.argmax())
        if f1[place] <= best:
            break
        best, chosen = float(f1[place]), unions[:, place]
    return best
