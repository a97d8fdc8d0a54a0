"""Whether what a summary states, its numbers and names, occurs in the sentences it stands on."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9&]*(?:[-][A-Za-z0-9]+)*")
_SENTENCE_START = re.compile(r"(?:^|[.!?:]\s+)[\"'“‘(]*([A-Za-z][\w&-]*)")


def _numbers(text: str) -> set[str]:
    """Numbers by value: 1,000 is 1000 and 4.50 is 4.5."""
    found = set()
    for match in _NUMBER.findall(text):
        plain = match.replace(",", "")
        if "." in plain:
            plain = plain.rstrip("0").rstrip(".")
        found.add(plain.lstrip("0") or "0")
    return found


def _names(text: str) -> set[str]:
    """Capitalised words that no beginning of a sentence explains."""
    starts = {match.start(1) for match in _SENTENCE_START.finditer(text)}
    return {
        match.group().lower()
        for match in _WORD.finditer(text)
        if match.start() not in starts
        and len(match.group()) > 1
        and any(letter.isupper() for letter in match.group())
    }


def _parts(word: str) -> set[str]:
    return {word, *word.split("-")}


class Sources:
    """The words and numbers of the sentences that a text may rest on."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._words: set[str] = set()
        self._numbers: set[str] = set()
        for text in texts:
            self._numbers |= _numbers(text)
            for word in _WORD.findall(text.lower()):
                self._words |= _parts(word)

    def __or__(self, other: Sources) -> Sources:
        both = Sources(())
        both._words = self._words | other._words
        both._numbers = self._numbers | other._numbers
        return both

    def ungrounded(self, text: str) -> list[str]:
        """Numbers and capitalised names of ``text`` that occur in no source, sorted."""
        names = {name for name in _names(text) if not _parts(name) & self._words}
        return sorted((_numbers(text) - self._numbers) | names)
