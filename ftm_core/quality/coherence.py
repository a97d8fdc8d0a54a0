"""Coherence and diversity of keywords; coherence by gensim, from words said near each other."""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterable, Sequence
from typing import Literal

from ftm_core.text.tokens import KEYWORD_PATTERN

_WORD = re.compile(KEYWORD_PATTERN)
# Words of a topic that are judged, as is usual.
WORDS_JUDGED = 10

Kind = Literal["c_npmi", "c_v"]


class CallWords:
    """The words of some calls, in the order spoken, stop words left out."""

    def __init__(self) -> None:
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

        self._stop_words = ENGLISH_STOP_WORDS
        self._words: dict[str, list[str]] = {}

    def add(self, transcript_id: str, text: str) -> None:
        """Take in the next sentence of a call."""
        words = (word for word in _WORD.findall(text.lower()) if word not in self._stop_words)
        self._words.setdefault(transcript_id, []).extend(words)

    def coherence(self, keywords_of: Sequence[Sequence[str]], kind: Kind) -> list[float | None]:
        """Coherence of each group of keywords, of as many as are given; None where not one pair is.

        ``c_npmi`` is the mean NPMI of pairs within ten words (Bouma, GSCL 2009), from -1 to 1;
        ``c_v`` compares the words' contexts of 110 words (Röder, Both and Hinneburg, WSDM 2015),
        from 0 to 1. A keyword counts by its words; those in no call are left out.
        """
        from gensim.corpora import Dictionary
        from gensim.models import CoherenceModel

        texts = list(self._words.values())
        dictionary = Dictionary(texts)
        words_of = [self._known(keywords, dictionary.token2id) for keywords in keywords_of]
        judged = {place: words for place, words in enumerate(words_of) if len(words) > 1}
        found: list[float | None] = [None] * len(words_of)
        if judged:
            model = CoherenceModel(
                topics=list(judged.values()), texts=texts, dictionary=dictionary, coherence=kind,
                topn=WORDS_JUDGED, processes=1,
            )  # fmt: skip
            for place, value in zip(judged, model.get_coherence_per_topic(), strict=True):
                found[place] = None if math.isnan(value) else float(value)
        return found

    def _known(self, keywords: Sequence[str], known: Container[str]) -> list[str]:
        words = (word for keyword in keywords for word in keyword.lower().split())
        return [word for word in dict.fromkeys(words) if word in known][:WORDS_JUDGED]


def diversity(keywords_of: Iterable[Sequence[str]]) -> float | None:
    """Distinct words among all keywords, as a share of them (Dieng, Ruiz and Blei, TACL 2020)."""
    words = [word for keywords in keywords_of for keyword in keywords for word in keyword.split()]
    return len({word.lower() for word in words}) / len(words) if words else None
