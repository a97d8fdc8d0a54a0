"""What the forms of a word have in common."""

from __future__ import annotations

from functools import cache
from typing import Any

from ftm_core.text.tokens import uncontracted


@cache
def stem(word: str) -> str:
    """The stem of a word without its contraction, by Porter's stemmer (snowballstem.org)."""
    return str(_stemmer().stemWord(uncontracted(word.lower())))


@cache
def _stemmer() -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer("english")
