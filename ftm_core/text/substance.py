"""How much of a text names a subject, rather than words that fit any subject."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ftm_core.text import lexicons
from ftm_core.text.tokens import MASK, WORD, uncontracted

# What a sentence that thanks, welcomes, hands over, looks forward or is pleased names is named in
# passing.
_COURTESY = re.compile(
    r"\b(?:thanks?|thanked|thanking|thankful|grateful|welcome|appreciate|congratulat\w+"
    r"|look(?:ing)? forward to (?:\w+ly )?(?!20\d\d)\w+|turn(?:ing)? (?:it|the call|now)|remarks"
    r"|conference call|(?:today|morning|afternoon)'s call"
    r"|(?:pleased|proud|excited|delighted|thrilled|honored) (?:to|with|by|about|that|of|at))\b",
    re.IGNORECASE,
)


def share_of_content_words(sentences: Iterable[str]) -> float:
    """Words of ``sentences`` that name a subject, as a share of all their words, from 0 to 1.

    Stop words (scikit-learn's), words of acknowledgement, filler, numbers and the words that go
    with numbers name none, however they are contracted; nor does any word of a courtesy. Masked
    names do not count. Without a word at all it is 0.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    empty = ENGLISH_STOP_WORDS.union(
        *map(lexicons.words, ("function_words", "acknowledgements", "measure_words"))
    )
    n_words = n_naming = 0
    for sentence in sentences:
        plain = MASK.sub(" ", sentence).replace("’", "'")
        words = [uncontracted(word) for word in WORD.findall(plain.lower())]
        n_words += len(words)
        if not _COURTESY.search(plain):
            n_naming += sum(
                len(word) > 1
                and not word[0].isdigit()
                and word not in empty
                and not lexicons.contains("keyword_filler", word)
                for word in words
            )
    return n_naming / n_words if n_words else 0.0


def share_of_courtesies(sentences: Sequence[str]) -> float:
    """Sentences that thank, welcome, hand over or look forward, as a share from 0 to 1."""
    found = sum(bool(_COURTESY.search(MASK.sub(" ", text).replace("’", "'"))) for text in sentences)
    return found / len(sentences) if sentences else 0.0


def share_with_numbers(sentences: Sequence[str]) -> float:
    """Sentences with a digit, as a share from 0 to 1."""
    found = sum(any(letter.isdigit() for letter in text) for text in sentences)
    return found / len(sentences) if sentences else 0.0
