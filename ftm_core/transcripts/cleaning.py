r"""Undo what export tools did to texts: HTML, escaped line breaks, UTF-8 read as Windows-1252.

Only what can be read in one way is undone: nobody speaks ``&amp;``, ``<br/>``, ``\n`` or ``â€™``.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable
from html.entities import html5

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|([A-Za-z][A-Za-z0-9]{1,31}));")
# Tools escape what is escaped already: &amp;amp;rsquo; is undone in three steps.
_TIMES_ESCAPED = 3
_BLOCK_TAG = re.compile(r"</?(?:br|p|div|li|ul|ol|tr|td|h[1-6])(?:\s[^<>]{0,300})?/?>", re.I)
_INLINE_TAG = re.compile(r"</?(?:a|b|em|font|i|span|strong|sub|sup|u)(?:\s[^<>]{0,300})?/?>", re.I)
_ESCAPE = re.compile(r"(?:\\r)?\\n|\\[rt\"']")
_ESCAPED = {"\\t": " ", '\\"': '"', "\\'": "'"}
_LOST = "\ufffd"
_EXCERPT = 15

HTML = "HTML entities or tags"
ESCAPES = "line breaks or quotes written with a backslash"
MOJIBAKE = "UTF-8 that was read as Windows-1252"
LOST = "the mark of a lost character (U+FFFD)"


def _misread_characters() -> dict[str, str]:
    """Characters by what their UTF-8 bytes look like in Windows-1252 and in Latin-1."""
    typographic = "‘’‚“”„†‡•…‰′″‹›€™–—―‐‑\u2009\u200b\u202f"
    common = [chr(code) for code in (*range(0xA0, 0xC0), *range(0xE0, 0x100))]
    found = {}
    for letter in (*typographic, *common):
        data = letter.encode()
        found[data.decode("latin-1")] = letter
        found["".join(_in_windows(byte) for byte in data)] = letter
    # The last byte of a closing quote has no character in Windows-1252, and gets lost.
    return {**found, "â€\ufffd": "”", "â€": "”"}


def _in_windows(byte: int) -> str:
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)


_MISREAD = _misread_characters()
_MISREAD_FORM = re.compile("|".join(sorted(map(re.escape, _MISREAD), key=len, reverse=True)))


class TextCleaner:
    """Cleans one text after another; ``counts`` and ``examples`` have by kind what was found."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def clean(self, text: str) -> str:
        """The text without the marks of export tools; most texts come back as they are."""
        if not text.isascii():
            if "â" in text or "Ã" in text or "Â" in text:
                text = self._noted(MOJIBAKE, text, _without_misread)
            if _LOST in text:
                self._note(LOST, text, text.index(_LOST))
        if "&" in text or "<" in text:
            text = self._noted(HTML, text, _without_html)
        if "\\" in text:
            text = self._noted(ESCAPES, text, _without_escapes)
        return text

    def warnings(self) -> list[str]:
        """What was undone, with counts and an example of each kind."""
        messages = [
            f"Texts with {kind}: {self.counts[kind]:,}, such as {self.examples[kind]!r}. They are "
            "stored with the characters that were meant."
            for kind in (HTML, ESCAPES, MOJIBAKE)
            if self.counts[kind]
        ]
        if self.counts[LOST]:
            messages.append(
                f"Texts with {LOST}: {self.counts[LOST]:,}, such as {self.examples[LOST]!r}. What "
                "was lost cannot be restored; export the data again as UTF-8."
            )
        return messages

    def _noted(self, kind: str, text: str, undo: Callable[[str], str]) -> str:
        cleaned = undo(text)
        if cleaned != text:
            place = next(at for at, letter in enumerate(f"{cleaned}\x00") if text[at] != letter)
            self._note(kind, text, place)
        return cleaned

    def _note(self, kind: str, text: str, place: int) -> None:
        self.counts[kind] += 1
        if kind not in self.examples:
            self.examples[kind] = text[max(0, place - _EXCERPT) : place + _EXCERPT].strip()


def unescaped(text: str) -> str:
    """A text with its HTML entities replaced by their characters."""
    for _ in range(_TIMES_ESCAPED):
        if "&" not in text:
            break
        text = _ENTITY.sub(_character, text)
    return text


def _character(match: re.Match[str]) -> str:
    name = match.group(1)
    if name is not None and f"{name};" not in html5:
        return match.group()
    return html.unescape(match.group())


def _without_html(text: str) -> str:
    text = unescaped(text)
    return _INLINE_TAG.sub("", _BLOCK_TAG.sub("\n", text)) if "<" in text else text


def _without_escapes(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match.group(), "\n"), text)


def _without_misread(text: str) -> str:
    return _MISREAD_FORM.sub(lambda match: _MISREAD[match.group()], text)
