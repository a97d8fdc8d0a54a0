"""Coherence and diversity of keywords; coherence from words said near each other.

The values are those of gensim 4.4, which slides its windows word by word in Python: on a thousand
calls it takes minutes. Here the windows of a call are bits of one row per word.
"""

from __future__ import annotations

import itertools
import math
import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ftm_core.text.tokens import KEYWORD_PATTERN

_WORD = re.compile(KEYWORD_PATTERN)
# Words of a topic that are measured, as is usual.
WORDS_MEASURED = 10
# As in gensim, so that words that never meet have a logarithm.
_EPSILON = 1e-12
# Pairs that are handled at once, which bounds memory for long calls and many keywords.
_PAIRS_AT_ONCE = 20_000

Kind = Literal["c_npmi", "c_v"]
# Words in a window. Source: Röder, Both and Hinneburg (WSDM 2015).
_WINDOW: dict[Kind, int] = {"c_npmi": 10, "c_v": 110}
_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]


class CallWords:
    """The words of some calls, in the order spoken, stop words left out."""

    def __init__(self) -> None:
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

        self._stop_words = ENGLISH_STOP_WORDS
        self._ids: dict[str, int] = {}
        self._words: dict[str, array[int]] = {}

    def add(self, transcript_id: str, text: str) -> None:
        """Take in the next sentence of a call."""
        ids = self._ids
        self._words.setdefault(transcript_id, array("i")).extend(
            ids.setdefault(word, len(ids))
            for word in _WORD.findall(text.lower())
            if word not in self._stop_words
        )

    def coherence(self, keywords_of: Sequence[Sequence[str]], kind: Kind) -> list[float | None]:
        """Coherence of each group of keywords, of as many as are given; None where not one pair is.

        ``c_npmi`` is the mean NPMI of pairs within ten words (Bouma, GSCL 2009), from -1 to 1;
        ``c_v`` compares the words' contexts of 110 words (Röder, Both and Hinneburg, WSDM 2015),
        from 0 to 1. A keyword counts by its words; those in no call are left out.
        """
        groups = [self._known(keywords) for keywords in keywords_of]
        measured = [place for place, group in enumerate(groups) if len(group) > 1]
        found: list[float | None] = [None] * len(groups)
        if measured:
            calls = [np.asarray(words, np.int64) for words in self._words.values()]
            counts = _count([groups[place] for place in measured], calls, _WINDOW[kind])
            for place in measured:
                npmi = counts.npmi(groups[place])
                value = _mean_of_pairs(npmi) if kind == "c_npmi" else _context_similarity(npmi)
                found[place] = None if math.isnan(value) else value
        return found

    def _known(self, keywords: Sequence[str]) -> list[int]:
        words = (word for keyword in keywords for word in keyword.lower().split())
        known = [self._ids[word] for word in dict.fromkeys(words) if word in self._ids]
        return known[:WORDS_MEASURED]


@dataclass(frozen=True)
class _Counts:
    """Windows with each word, with each pair of words (as ``word * n_words + word``), and all."""

    n_windows: int
    words: _Ints
    of_word: _Ints
    pairs: _Ints
    of_pair: _Ints

    def npmi(self, group: Sequence[int]) -> _Floats:
        """NPMI of each word of a group with each, of shape (words, words)."""
        places = np.searchsorted(self.words, group)
        first, second = np.meshgrid(places, places, indexing="ij")
        low, high = np.minimum(first, second), np.maximum(first, second)
        together = self.of_word[low]
        apart = low != high
        keys = (low * len(self.words) + high)[apart]
        together[apart] = self.of_pair[np.searchsorted(self.pairs, keys)]
        share = self.of_word / self.n_windows
        shared = together / self.n_windows + _EPSILON
        npmi: _Floats = np.log(shared / (share[first] * share[second])) / -np.log(shared)
        return npmi


def _count(groups: Sequence[Sequence[int]], calls: Sequence[_Ints], window: int) -> _Counts:
    """Count in how many windows of the calls the words of the groups occur, alone and in pairs."""
    words = np.unique(np.concatenate([np.asarray(group, np.int64) for group in groups]))
    n_words = len(words)
    keys = [
        min(pair) * n_words + max(pair)
        for group in groups
        for pair in itertools.combinations(np.searchsorted(words, group).tolist(), 2)
    ]
    pairs = np.unique(np.array(keys, np.int64))
    of_word, of_pair = np.zeros(n_words, np.int64), np.zeros(len(pairs), np.int64)
    low, high = pairs // n_words, pairs % n_words
    n_windows = 0
    for call in calls:
        n_own = max(1, len(call) - window + 1)
        n_windows += n_own
        places = np.minimum(np.searchsorted(words, call), n_words - 1)
        spoken = np.flatnonzero(words[places] == call)
        if not len(spoken):
            continue
        present, rows = np.unique(places[spoken], return_inverse=True)
        bits = _windows_with(rows, spoken, len(present), n_own, window)
        of_word[present] += np.bitwise_count(bits).sum(axis=1, dtype=np.int64)
        row_of = np.full(n_words, -1)
        row_of[present] = np.arange(len(present))
        both = np.flatnonzero((row_of[low] >= 0) & (row_of[high] >= 0))
        for start in range(0, len(both), _PAIRS_AT_ONCE):
            some = both[start : start + _PAIRS_AT_ONCE]
            met = bits[row_of[low[some]]] & bits[row_of[high[some]]]
            of_pair[some] += np.bitwise_count(met).sum(axis=1, dtype=np.int64)
    return _Counts(n_windows, words, of_word, pairs, of_pair)


def _windows_with(
    rows: _Ints, places: _Ints, n_rows: int, n_windows: int, window: int
) -> npt.NDArray[np.uint64]:
    """A bit per window of a call, set where the word of the row is in it.

    ``places`` are the places of the words in the call, ``rows`` the row of each. As in gensim, a
    word leaves the window with the first of its occurrences that does, until it is said again.
    """
    order = np.lexsort((places, rows))
    rows, places = rows[order], places[order]
    enters = np.maximum(0, places - window + 1)
    span = int(places.max()) + 2
    leaves = np.searchsorted(rows * span + places + 1, rows * span + enters, side="right")
    left = np.minimum(places[leaves] + 1, n_windows)
    # Stays of a word that overlap or follow at once are one, so that its ends flip single bits.
    is_first = np.ones(len(rows), bool)
    is_first[1:] = (rows[1:] != rows[:-1]) | (enters[1:] > left[:-1])
    is_last = np.append(is_first[1:], True)
    flips = np.zeros((n_rows, n_windows // 64 + 1), np.uint64)
    for row, place in ((rows[is_first], enters[is_first]), (rows[is_last], left[is_last])):
        np.add.at(flips, (row, place >> 6), np.uint64(1) << (place & 63).astype(np.uint64))
    return _parity_so_far(flips)


def _parity_so_far(flips: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Of each bit of a row, whether an odd number of the bits up to it are set."""
    bits = flips
    for shift in (1, 2, 4, 8, 16, 32):
        bits = bits ^ (bits << np.uint64(shift))
    odd = np.bitwise_xor.accumulate(bits >> np.uint64(63), axis=1)
    # A word after an odd number of set bits is inverted as a whole.
    bits[:, 1:] ^= -odd[:, :-1]
    return bits


def _mean_of_pairs(npmi: _Floats) -> float:
    return float(npmi[~np.eye(len(npmi), dtype=bool)].mean())


def _context_similarity(npmi: _Floats) -> float:
    """Mean cosine of each word's context with that of all words together."""
    together = npmi.sum(axis=0)
    lengths = np.linalg.norm(npmi, axis=1) * np.linalg.norm(together)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float((npmi @ together / lengths).mean())


def diversity(keywords_of: Iterable[Sequence[str]]) -> float | None:
    """Distinct words among all keywords, as a share of them (Dieng, Ruiz and Blei, TACL 2020)."""
    words = [word for keywords in keywords_of for keyword in keywords for word in keyword.split()]
    return len({word.lower() for word in words}) / len(words) if words else None
