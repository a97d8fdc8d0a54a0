"""How much of what is said names a matter, and could not be said of anything."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ftm_core.transcripts.filler import is_filler, uncontracted
from ftm_core.transcripts.small_talk import ACKNOWLEDGING, FUNCTION_WORDS, MASK

_WORD = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*|\d[\d.,]*")


def share_of_matter(texts: Iterable[str]) -> float:
    """Words of ``texts`` that name a matter, as a share of all their words, from 0 to 1.

    Stop words (scikit-learn's), words of acknowledgement and filler name none, however they are
    contracted; numbers do. Masked names do not count. Without a word at all it is 0.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    empty = ENGLISH_STOP_WORDS | FUNCTION_WORDS | ACKNOWLEDGING
    words = [
        uncontracted(word)
        for text in texts
        for word in _WORD.findall(MASK.sub(" ", text).replace("’", "'").lower())
    ]
    naming = sum(
        word.isdigit() or (len(word) > 1 and word not in empty and not is_filler(word))
        for word in words
    )
    return naming / len(words) if words else 0.0
