"""Coherence of keywords by NPMI, from counts of the sentences in which they occur together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ftm_core.topics.words import WORD_PATTERN


def npmi(n_both: int, n_first: int, n_second: int, n_sentences: int) -> float:
    """Normalised pointwise mutual information of two events, from -1 to 1.

    NPMI(x, y) = ln(p(x, y) / (p(x) p(y))) / -ln p(x, y), after G. Bouma, "Normalized (Pointwise)
    Mutual Information in Collocation Extraction", GSCL 2009. Its limits stand where the formula
    has no value: -1 for events that never meet, 1 for two that are in every sentence.
    """
    if n_both == 0:
        return -1.0
    if n_both == n_sentences:
        return 1.0
    both = n_both / n_sentences
    expected = (n_first / n_sentences) * (n_second / n_sentences)
    return math.log(both / expected) / -math.log(both)


class Cooccurrence:
    """In which sentences each keyword occurs, kept sparse."""

    def __init__(self, keywords: Iterable[str]) -> None:
        from sklearn.feature_extraction.text import CountVectorizer

        words = sorted({keyword.lower() for keyword in keywords})
        self._places = {word: place for place, word in enumerate(words)}
        longest = max((len(word.split()) for word in words), default=1)
        # Keywords are cut from the text in this way, so that a bigram may span a stop word.
        self._vectorizer = CountVectorizer(
            vocabulary=self._places,
            ngram_range=(1, longest),
            stop_words="english",
            token_pattern=WORD_PATTERN,
            binary=True,
            dtype=np.int32,
        )
        self._matrices: list[Any] = []
        self._columns: Any = None
        self.n_sentences = 0

    def add(self, texts: Sequence[str]) -> None:
        """Count more sentences."""
        self.n_sentences += len(texts)
        if texts and self._places:
            self._matrices.append(self._vectorizer.transform(texts))
            self._columns = None

    def coherence(self, keywords: Sequence[str]) -> float | None:
        """Mean NPMI over the pairs of keywords, or None when no pair can be judged.

        A pair that shares a word ("freight", "ocean freight") meets by its form and says nothing,
        so it is left out; so is a keyword that occurs in no sentence counted.
        """
        chosen = [word.lower() for word in dict.fromkeys(keywords)]
        places = [self._places[word] for word in chosen if word in self._places]
        if len(places) < 2 or not self._matrices:
            return None
        if self._columns is None:
            from scipy.sparse import vstack

            self._columns = vstack(self._matrices).tocsc()
        columns = self._columns[:, places]
        counts = (columns.T @ columns).toarray()
        words = [word for word in chosen if word in self._places]
        values = [
            npmi(
                int(counts[first, second]),
                int(counts[first, first]),
                int(counts[second, second]),
                self.n_sentences,
            )
            for first, second in itertools.combinations(range(len(words)), 2)
            if counts[first, first]
            and counts[second, second]
            and not set(words[first].split()) & set(words[second].split())
        ]
        return sum(values) / len(values) if values else None


def diversity(keywords_of: Iterable[Sequence[str]]) -> float | None:
    """Distinct words among all keywords, as a share of them (Dieng, Ruiz and Blei, TACL 2020)."""
    words = [word for keywords in keywords_of for keyword in keywords for word in keyword.split()]
    return len({word.lower() for word in words}) / len(words) if words else None
