"""How much of what is said names a matter, and could not be said of anything."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ftm_core.transcripts.filler import is_filler, uncontracted
from ftm_core.transcripts.small_talk import ACKNOWLEDGING, FUNCTION_WORDS, MASK

# Words that tell how a figure is told, or which way it goes, and not what it is a figure of.
MEASURING = frozenset(
    """
    annual annualized annually approximately average averaged averages averaging basis billion
    billions comparable compare compared compares comparison decline declined declines decrease
    decreased digit digits double fiscal forecast guidance high higher hundred improve improved
    improvement improvements improving increase increased increases increasing low lower mid
    million millions momentum nearly outlook percent percentage percentages performance q1 q2 q3
    q4 quarter-over-quarter quarterly range ranged ranges ranging ratio ratios relatively roughly
    sequential sequentially significant significantly single slightly solid strength strong
    stronger substantial substantially thousand thousands total trend trends up versus
    year-over-year
    """.split()
)
# What a sentence that thanks, welcomes, hands over, looks forward or is pleased names is named in
# passing.
_COURTESY = re.compile(
    r"\b(?:thanks?|thanked|thanking|thankful|grateful|welcome|appreciate|congratulat\w+"
    r"|look(?:ing)? forward to (?:\w+ly )?(?!20\d\d)\w+|turn(?:ing)? (?:it|the call|now)|remarks"
    r"|conference call|(?:today|morning|afternoon)'s call"
    r"|(?:pleased|proud|excited|delighted|thrilled|honored) (?:to|with|by|about|that|of|at))\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*|\d[\d.,]*")


def share_of_matter(sentences: Iterable[str]) -> float:
    """Words of ``sentences`` that name a matter, as a share of all their words, from 0 to 1.

    Stop words (scikit-learn's), words of acknowledgement, filler, numbers and the words that go
    with numbers name none, however they are contracted; nor does any word of a courtesy. Masked
    names do not count. Without a word at all it is 0.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    empty = ENGLISH_STOP_WORDS | FUNCTION_WORDS | ACKNOWLEDGING | MEASURING
    n_words = n_naming = 0
    for sentence in sentences:
        plain = MASK.sub(" ", sentence).replace("’", "'")
        words = [uncontracted(word) for word in _WORD.findall(plain.lower())]
        n_words += len(words)
        if not _COURTESY.search(plain):
            n_naming += sum(
                len(word) > 1
                and not word[0].isdigit()
                and word not in empty
                and not is_filler(word)
                for word in words
            )
    return n_naming / n_words if n_words else 0.0
