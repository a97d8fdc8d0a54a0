"""What ``select`` chooses among: sentences and phrases taken verbatim from what was said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from ftm_core.text import lexicons
from ftm_core.text.stems import stem
from ftm_core.text.tokens import WORD

# Sentences offered for one summary, phrases for one title.
SENTENCE_CANDIDATES = 3
PHRASE_CANDIDATES = 6
DESCRIPTION_SENTENCES = 3
# Words of a sentence that reads well on its own. Shorter ones lack a subject, longer ones ramble.
_FEWEST_WORDS = 7
_MOST_WORDS = 40
_LONGEST_PHRASE = 4

_OPENING = re.compile(
    r"^(?:(?:and|but|so|now|well|okay|ok|yeah|yes|no|right|sure|again|also|look|listen|actually|"
    r"i mean|you know|i think|i would say|as you know|obviously)\b[,.]?\s+)+(?=\S)",
    re.IGNORECASE,
)
_ASIDE = re.compile(r",\s*(?:you know|i mean|i guess|kind of|sort of),(?=\s)", re.IGNORECASE)
# Where a transcript hides a name, could not hear one, or left a gap.
_GAP = re.compile(r"<unk>|\(technical difficulty\)|\(inaudible\)|\[[^\]]*\]|\s{2,}|--\s*$", re.I)
# A phrase never reaches over these: punctuation within a sentence, and words that join clauses.
_BREAK = re.compile(r"[,;:.!?()\[\]\"“”]|\s[-–—]+\s|\.\.\.|<unk>", re.IGNORECASE)
# Words between two things rather than parts of a name for one.
_LINKING = frozenset(
    """
    about above across after against along among around below beside beyond during except inside
    onto per since than through toward under until versus via within without some any both every
    few many most none other same such if because although though while whereas whether however
    therefore compared driven due including versus approximately roughly
    million billion thousand percent
    """.split()
)
# A name for a thing ends in none of these: "repurchased", "primarily".
_NO_NOUN = re.compile(r"(?:ed|ly)$", re.IGNORECASE)


def clean_sentence(text: str) -> str:
    """A spoken sentence without the words in front that say nothing, its first letter a capital."""
    # A hidden name at the start leaves its comma behind.
    text = _ASIDE.sub("", " ".join(text.split())).lstrip(" ,;:-–—") or text.strip()
    return _capital(_OPENING.sub("", text) or text)


def sentence_candidates(
    sentences: Sequence[str], keywords: Sequence[str], limit: int = SENTENCE_CANDIDATES
) -> list[str]:
    """Up to ``limit`` cleaned sentences, the best first; never none where there is a sentence.

    Sentences that read well on their own come before others, and those that hold a keyword before
    those that do not; among equals the given order stands.
    """
    stems = _stems(" ".join(keywords))
    cleaned = list(dict.fromkeys(clean_sentence(text) for text in sentences if text.strip()))

    def rank(place: int) -> tuple[int, int]:
        text = cleaned[place]
        words = WORD.findall(text)
        reads_well = _FEWEST_WORDS <= len(words) <= _MOST_WORDS and not _GAP.search(text)
        reads_well = reads_well and not text.endswith("?")
        on_subject = bool(stems & _stems(text))
        return -(2 * reads_well + on_subject), place

    return [cleaned[place] for place in sorted(range(len(cleaned)), key=rank)][:limit]


def phrase_candidates(
    sentences: Sequence[str], keywords: Sequence[str], limit: int = PHRASE_CANDIDATES
) -> list[str]:
    """Up to ``limit`` phrases of one to four words that occur in the sentences, the best first.

    A phrase is a run of words with a meaning of their own, function words and filler between two
    runs. It scores by the keywords in it, earlier ones more, and by the sentences that say it. Of
    two phrases of the same stems the first is taken. Where no run holds a keyword, any run counts.
    """
    weights: dict[str, float] = {}
    for place, keyword in enumerate(keywords):
        for part in WORD.findall(keyword):
            weights.setdefault(stem(part), 1.0 / (1 + place))
    phrases: dict[frozenset[str], str] = {}
    spoken_by: dict[frozenset[str], set[int]] = {}
    for number, sentence in enumerate(sentences):
        for phrase in _phrases(sentence):
            key = frozenset(_stems(phrase))
            phrases.setdefault(key, phrase)
            spoken_by.setdefault(key, set()).add(number)

    def score(key: frozenset[str]) -> float:
        known = sum(weights.get(form, 0.0) for form in key)
        # A phrase of two or three words names; a single word says too little, four are a sentence.
        length = {1: 0.5, 2: 1.0, 3: 1.0}.get(len(phrases[key].split()), 0.7)
        return float(known * length * len(spoken_by[key]) ** 0.5)

    ranked = sorted(phrases, key=lambda key: (-score(key), phrases[key]))
    chosen: list[frozenset[str]] = []
    for key in ranked:
        if score(key) > 0 or not chosen:
            chosen.append(key)
    return [phrases[key] for key in chosen[:limit]]


def title_of(phrase: str) -> str:
    """A phrase as a title: its first letter a capital."""
    return _capital(phrase)


def _capital(text: str) -> str:
    first = text[:1].upper()
    return first + text[1:] if len(first) == 1 else text


def _phrases(sentence: str) -> Iterator[str]:
    """Runs of words that mean something, and the shorter phrases at the end of long ones."""
    for part in _BREAK.split(sentence):
        run: list[str] = []
        end = 0
        for match in WORD.finditer(part):
            word = match.group()
            # "MPS' capabilities" is no phrase without its apostrophe.
            if (run and part[end : match.start()] != " ") or _is_empty(word):
                yield from _ends_of(run)
                run = []
            if not _is_empty(word):
                run.append(word)
            end = match.end()
        yield from _ends_of(run)


def _ends_of(run: list[str]) -> Iterator[str]:
    """The last words of a run: "strong second quarter freight rates" is of freight rates."""
    while run and _NO_NOUN.search(run[-1]):
        run = run[:-1]
    for length in range(1, min(len(run), _LONGEST_PHRASE) + 1):
        yield " ".join(run[-length:])


@lru_cache(maxsize=1 << 16)
def _is_empty(word: str) -> bool:
    lower = word.lower().replace("’", "'")
    return (
        lower in lexicons.words("function_words")
        or lower in _LINKING
        or lexicons.contains("keyword_filler", lower)
        or any(letter.isdigit() for letter in lower)
        or len(lower) < 2
        or "'" in lower
    )


def _stems(text: str) -> set[str]:
    return {stem(word) for word in WORD.findall(text.lower()) if not _is_empty(word)}
