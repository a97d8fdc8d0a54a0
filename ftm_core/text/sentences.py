"""Split spoken text into sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# sentencex was compared with pysbd, NLTK's punkt, spaCy's sentencizer and nupunkt on hand-checked
# boundaries of calls (bench/sentence_splitting.py). The few breaks it gets wrong are fixed below.

# Longer than any sentence that is spoken: quotation marks hid the ends inside it.
LONGEST_SENTENCE = 1000

# Spaces of several bytes: sentencex 1.0.32 panics at "I", one of these and a period.
_WIDE_SPACE = re.compile(r"[^\S\x00-\x7f]")
_HAS_WORD = re.compile(r"\w")
_LIST_NUMBER = re.compile(r"^\(?(\d{1,2}|[a-zA-Z])[.)]$")
_OPEN_END = re.compile(r"\b(approx|incl|excl|est|avg|eq|sect|vol|[ap]\.m)\.$", re.IGNORECASE)
# Never the end of a sentence; sentencex does not know them.
_NO_END = re.compile(r"\b(Ms|Messrs|Ft|[Ww]ww|WWW)\.$")
# An end only where no small letter follows. Sources in small letters alone have no other sign.
_END_BEFORE_CAPITAL = re.compile(r"\b(Mass|lbs|oz|yds|ex|approx|incl|excl|est|avg)\.$")
# sentencex takes May, me, no, art and Ida for abbreviations in every place. In calls they end
# sentences.
_MISSED_END = re.compile(
    r"(?:(?<=\bMay\.)|(?<=\b[Mm]e\.)|(?<=\b[Nn]o\.)|(?<=\bart\.)|(?<=\bIda\.))\s+(?=[A-Z])"
)
_CONTINUES = re.compile(
    r"^([\d$€£]|(Eastern|Central|Mountain|Pacific|Greenwich|E[SD]?T|P[SD]?T)\b)"
)
# An apostrophe before a year ('21) opens no quotation, and one after a plural (customers') closes
# none; sentencex would keep everything between two of them together.
_APOSTROPHES = re.compile(r"(?<!\w)['’‘](?=\d\ds?\b)|(?<=[sxz])['’](?=\s)", re.IGNORECASE)
_QUOTES = re.compile("[\"“”„«»()\\[\\]]|(?<!\\w)['’‘]|['’](?!\\w)")
# Stands for a mark that must not count. It is a letter, so that no sentence ends at it.
_MASK = "x"


def split(text: str) -> list[str]:
    """Sentences of ``text`` in order, each on one line, none of them blank.

    Abbreviations, initials, decimals, money and quotations stay whole; no word is dropped. What is
    longer than ``LONGEST_SENTENCE`` is split again, without regard to quotation marks.
    """
    sentences: list[str] = []
    for sentence in _joined(_pieces(_WIDE_SPACE.sub(" ", text), _APOSTROPHES)):
        if len(sentence) > LONGEST_SENTENCE:
            sentences += _joined(_pieces(sentence, _QUOTES))
        else:
            sentences.append(sentence)
    return sentences


def _pieces(text: str, not_counted: re.Pattern[str]) -> Iterator[str]:
    """What sentencex takes for sentences when the marks in ``not_counted`` are letters to it."""
    import sentencex

    masked = not_counted.sub(_MASK, text)
    if masked == text:
        found: Iterable[str] = sentencex.segment("en", text)
    else:
        # The mask is as long as what it stands for, so places in one text are places in the other.
        found = (
            text[place["start_index"] : place["end_index"]]
            for place in sentencex.get_sentence_boundaries("en", masked)
        )
    for piece in found:
        if "." in piece[:-2]:
            yield from _MISSED_END.split(piece)
        else:
            yield piece


def _joined(pieces: Iterable[str]) -> list[str]:
    """Pieces without blank ones; a piece that continues the one before it is put back."""
    sentences: list[str] = []
    carried = ""
    for piece in pieces:
        words = " ".join(piece.split())
        if not words:
            continue
        if carried:
            words, carried = f"{carried} {words}", ""
        if len(words) <= 4 and _LIST_NUMBER.match(words):
            carried = words
        elif sentences and (not _HAS_WORD.search(words) or _belongs_to(sentences[-1], words)):
            sentences[-1] = f"{sentences[-1]} {words}"
        else:
            sentences.append(words)
    if carried:
        sentences.append(carried)
    return sentences


def _belongs_to(earlier: str, words: str) -> bool:
    """Whether a break after an abbreviation such as "approx." cut a sentence in two."""
    if not earlier.endswith("."):
        return False
    end = earlier[-8:]
    if _NO_END.search(end) or (words[0].islower() and _END_BEFORE_CAPITAL.search(end)):
        return True
    return bool(_CONTINUES.match(words) and _OPEN_END.search(end))
