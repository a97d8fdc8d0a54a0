"""What counts as a word, and as a form of the same word: topics, titles, themes over time."""

from __future__ import annotations

from functools import cache
from typing import Any

import snowballstemmer

from ftm_core.transcripts.filler import uncontracted

# Two letters or more, hyphens inside them; numbers carry no topic.
WORD_PATTERN = r"(?u)\b[^\W\d_][\w-]*[^\W_]\b"


@cache
def stem(word: str) -> str:
    """What the forms of a word share, by Porter's stemmer for English (snowballstem.org)."""
    return str(_stemmer().stemWord(uncontracted(word.lower().replace("’", "'"))))


@cache
def _stemmer() -> Any:
    return snowballstemmer.stemmer("english")
