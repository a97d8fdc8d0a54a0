"""What counts as a word, and the mask that stands for a name."""

from __future__ import annotations

import re

# A number with its separators, or letters and digits joined by hyphens, apostrophes and "&".
WORD = re.compile(r"\d+(?:[.,]\d+)+|[^\W_]+(?:[-'’&][^\W_]+)*")
# A word that can be a keyword, as scikit-learn's vectorizers take it: two characters or more that
# begin with a letter. Its tails of contractions ("ll", "ve") are stop words of the vectorizer.
KEYWORD_PATTERN = r"(?u)\b[^\W\d_][\w-]*[^\W_]\b"
# What a transcript puts in place of a name that was left out, with its possessive ending.
MASK = re.compile(r"<unk>(?:['’]s)?", re.IGNORECASE)

_CONTRACTION = re.compile(r"['’](?:s|re|ve|ll|d|m|t)$")


def uncontracted(word: str) -> str:
    """The word in lower case before its contraction: "what" of "what's"."""
    # Few words have one, and nearly all words of a quarter pass here.
    return _CONTRACTION.sub("", word) if "'" in word or "’" in word else word
