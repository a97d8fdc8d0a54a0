"""Keywords of themes and of groups of themes, by c-TF-IDF over their most central sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ftm_core.text.tokens import KEYWORD_PATTERN
from ftm_core.topics.keywords import choose_keywords

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Representative sentences of a theme: enough for stable counts, and a bound for a large quarter.
SENTENCES_PER_THEME = 300
# Sentences that a word must occur in, where there are enough sentences for that.
MIN_DF = 3
CANDIDATES_PER_KEYWORD = 4
# Keywords of two words name things ("gross margin") that one word does not.
NGRAM_MAX = 2
WORDS_IN_LABEL = 3


@dataclass(frozen=True)
class TermCounts:
    """How often each term occurs in the sentences of each theme, of shape (themes, terms)."""

    counts: csr_matrix
    terms: npt.NDArray[Any]

    def grouped(self, groups: npt.NDArray[np.int64]) -> TermCounts:
        """The counts of groups of themes; ``groups`` numbers the group of each theme."""
        from scipy.sparse import csr_matrix

        rows = np.arange(len(groups))
        member = csr_matrix((np.ones(len(groups)), (groups, rows)))
        return TermCounts(csr_matrix(member @ self.counts), self.terms)

    def keywords(self, n_keywords: int) -> list[tuple[str, ...]]:
        """The most distinctive terms of each row, best first, by c-TF-IDF (Grootendorst 2022).

        Rows without a term have no keywords.
        """
        counts = self.counts.astype(np.float64)
        totals = np.asarray(counts.sum(axis=1)).ravel()
        frequency = np.asarray(counts.sum(axis=0)).ravel()
        weight = np.log1p(totals.mean() / np.maximum(frequency, 1))
        chosen = []
        for row in range(counts.shape[0]):
            one = counts.getrow(row)
            scores = one.data * weight[one.indices]
            best = np.lexsort((one.indices, -scores))[: CANDIDATES_PER_KEYWORD * n_keywords]
            chosen.append(choose_keywords(self.terms[one.indices[best]].tolist(), n_keywords))
        return chosen


def count_terms(sentences: Sequence[Sequence[str]], ngram_max: int = NGRAM_MAX) -> TermCounts:
    """Terms of the representative sentences of each theme, stop words left out."""
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

    from ftm_core.topics.topic_model import stop_words

    texts = [text for group in sentences for text in group]
    themes = np.repeat(np.arange(len(sentences)), [len(group) for group in sentences])
    for min_df in (MIN_DF, 1):
        counter = CountVectorizer(
            stop_words=stop_words(),
            ngram_range=(1, ngram_max),
            token_pattern=KEYWORD_PATTERN,
            min_df=min_df,
        )
        try:
            found = counter.fit_transform(texts)
        except ValueError:  # not a single word that occurs often enough
            continue
        member = csr_matrix(
            (np.ones(len(texts)), (themes, np.arange(len(texts)))),
            shape=(len(sentences), len(texts)),
        )
        return TermCounts(csr_matrix(member @ found), counter.get_feature_names_out())
    return TermCounts(csr_matrix((len(sentences), 0)), np.zeros(0, dtype=object))


def label_of(keywords: Sequence[str]) -> str:
    """A theme's label: its first keywords."""
    return ", ".join(keywords[:WORDS_IN_LABEL])
