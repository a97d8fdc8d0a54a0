"""Whether the numbers and names in a text occur in the sentences that it is based on.

A heuristic: names are recognized by their capital letters, and a name may end in another way than
the source word, so a wrong name that begins like a right one is not noticed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from ftm_core.text import lexicons
from ftm_core.text.tokens import WORD, uncontracted

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_SENTENCE_START = re.compile(r"(?:^|[.!?:]\s+)[\"'“‘(]*([A-Za-z][\w&-]*)")
_SPELT = {
    word: str(number)
    for number, word in enumerate(
        "one two three four five six seven eight nine ten eleven twelve".split(), start=1
    )
}
# Letters that a name and a source word must share to be forms of one: America and American.
_SHORTEST_STEM = 4
_ENDING = 2


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
    """Capitalised words that no beginning of a sentence explains, function words left out."""
    starts = {match.start(1) for match in _SENTENCE_START.finditer(text)}
    names = {
        uncontracted(match.group().lower())
        for match in WORD.finditer(text)
        if (word := match.group()) != word.lower() and match.start() not in starts
    }
    return {name for name in names if len(name) > 1} - lexicons.words("function_words")


def _are_forms_of_one(first: str, second: str) -> bool:
    shared = min(len(first), len(second)) - _ENDING
    return shared >= _SHORTEST_STEM and first[:shared] == second[:shared]


def claims(text: str) -> set[str]:
    """Numbers and capitalised names of a text, which its sources must hold."""
    return _numbers(text) | _names(text)


class SourceVocabulary:
    """The words and numbers of the sentences that a text may rest on."""

    def __init__(self, texts: Iterable[str]) -> None:
        # No word or number reaches over the end of a line.
        self._text = "\n".join(texts)

    # Many texts claim no number and no name: words are taken only where one is looked for.
    @cached_property
    def _words(self) -> set[str]:
        words = set(map(uncontracted, set(WORD.findall(self._text.lower()))))
        return words | {part for word in words if "-" in word for part in word.split("-")}

    @cached_property
    def _spelt(self) -> set[str]:
        return {_SPELT[word] for word in self._words & _SPELT.keys()}

    def ungrounded(self, text: str) -> list[str]:
        """Numbers and capitalised names of ``text`` that occur in no source, sorted."""
        return sorted(self.lacking(claims(text)))

    def lacking(self, claims: set[str]) -> set[str]:
        """Those ``claims`` of a text that occur in no source.

        A number up to twelve may be spelt there, and a name may end otherwise.
        """
        left = claims and claims - _numbers(self._text)
        return {claim for claim in left if not self._knows(claim)}

    def _knows(self, name: str) -> bool:
        if not any(map(str.isalpha, name)):
            return name in self._spelt
        if {name, *name.split("-")} & self._words:
            return True
        return any(_are_forms_of_one(name, word) for word in self._words)
