"""Theme titles: what is asked for one, what is taken of the answer, whether it names the matter."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, groupby

from ftm_core.llm.messages import Prompt
from ftm_core.llm.prompts import LABEL, LIST_MARK, PROMPT_VERSION, SUMMARY_CHARACTERS, cut
from ftm_core.text import lexicons
from ftm_core.text.stems import stem
from ftm_core.text.tokens import WORD

_SYSTEM = "You write headlines of two to six words and nothing else. Name no company."
# The first keywords are the theme's own; later ones it shares with others.
_TELLING = 6
_FIRST = 3
# Which of them are asked about, by place: a small model makes a plain headline of two or three.
_ASKED_TOGETHER = ((0, 1), (0, 2), (0, 1, 2))
# What one summary alone says is of one firm, and no matter of a theme.
_SAID_BY = 2


def theme_title_prompts(description: str, keywords: Sequence[str]) -> tuple[Prompt, ...]:
    """Ask for the title of a theme; to be tried in turn until an answer is good (`Judge`).

    First from its description, without keywords, for a small model repeats those; then from a few
    keywords alone.
    """
    telling = telling_keywords(keywords)
    asked = (tuple(telling[place : place + 1] for place in places) for places in _ASKED_TOGETHER)
    phrases = dict.fromkeys(" and ".join(chain.from_iterable(words)) for words in asked)
    shown = cut(description, SUMMARY_CHARACTERS)
    return (
        Prompt(
            _SYSTEM, f"{shown}\n\nGive this text a headline of at most six words.", PROMPT_VERSION
        ),
        *(
            Prompt(
                _SYSTEM, f"Write a headline of at most six words about {phrase}.", PROMPT_VERSION
            )
            for phrase in phrases
        ),
        Prompt(
            _SYSTEM, f"Turn these keywords into a title: {', '.join(telling[:3])}.", PROMPT_VERSION
        ),
    )


def telling_keywords(keywords: Sequence[str]) -> list[str]:
    """The first keywords that name a matter, no two with a word in common; all where none does.

    Of "rate" and "tax rate" the longer tells, if it is among the first too: a late one is of a part
    of the theme alone.
    """
    naming = [word for word in keywords if _naming(word)]
    telling: list[str] = []
    for word in naming:
        if any(_is_part_of(word, other) for other in naming[:_FIRST]):
            continue
        if not any(_stems(_words(word)) & _stems(_words(other)) for other in telling):
            telling.append(word)
    return (telling or list(keywords))[:_TELLING]


@dataclass(frozen=True)
class Judge:
    """Says of titles how well they name the matter of a theme.

    Only words that name a matter count, in any form. Known is a word of the theme's telling
    keywords; foreign one that is in none of its keywords and in fewer than two of ``summaries``
    (in none, where there is but one). A number is foreign, for no theme is of one. Foreign words
    count as often as they are said.
    """

    keywords: Sequence[str]
    summaries: Sequence[str]

    def is_good(self, title: str) -> bool:
        """Whether a title has a known word and another one, none twice, and none is foreign."""
        known, foreign = self._counts(title)
        stems = [
            stem(word)
            for word in WORD.findall(title.lower())
            if word not in lexicons.words("function_words")
        ]
        distinct = len(set(stems)) == len(stems) > 1
        return known > 0 and foreign == 0 and distinct

    def score(self, title: str) -> tuple[int, int]:
        """Known words less foreign ones; where they are as many, known words."""
        known, foreign = self._counts(title)
        return known - foreign, known

    def _counts(self, title: str) -> tuple[int, int]:
        telling = _stems(chain.from_iterable(map(_naming, telling_keywords(self.keywords))))
        said = Counter(chain.from_iterable(_stems(_words(text)) for text in self.summaries))
        needed = min(_SAID_BY, len(self.summaries))
        shared = {form for form, n_summaries in said.items() if n_summaries >= needed}
        shared |= _stems(chain.from_iterable(map(_words, self.keywords)))
        naming = _naming(title)
        known = {word for word in naming if stem(word) in telling}
        foreign = [
            word
            for word in WORD.findall(title.lower())
            if word in naming - known and (word[0].isdigit() or stem(word) not in shared)
        ]
        return len(known), len(foreign)


def _words(text: str) -> set[str]:
    return set(WORD.findall(text.lower()))


def _naming(text: str) -> set[str]:
    lists = ("general_business_words", "measure_words", "function_words")
    empty: frozenset[str] = frozenset().union(*map(lexicons.words, lists))
    return {
        word
        for word in _words(text)
        if word not in empty and not lexicons.contains("keyword_filler", word)
    }


def _is_part_of(keyword: str, longer: str) -> bool:
    words, others = _words(keyword), _words(longer)
    return len(words) < len(others) and _stems(words) <= _stems(others)


def _stems(words: Iterable[str]) -> set[str]:
    return {stem(word) for word in words}


TITLE_WORDS = 8
# How a weak model begins where a title was asked for.
_LEAD_IN = re.compile(
    r"^(?:the compan(?:y|ies)|this (?:theme|title|report)|companies)(?:['’]s)?\s+"
    r"(?:(?:is|are|has|have|been|recently|currently|also|a|an|the)\s+)*"
    r"(?:(?:committed|set|able|planning|expected|looking|working) (?:to|on)\s+)?"
    r"|^(?:the\s+)?(?:positive\s+|negative\s+|growing\s+)?(?:impact|importance|rise|role|power|"
    r"future|approach|commitment)\s+(?:of|to)\s+(?:the\s+)?(?=\w+)",
    re.IGNORECASE,
)
# What follows these is a statement or an ornament: "Rates: A New Era", "Pricing is a key driver".
_MATTER_END = re.compile(r":\s|\s(?:is|are|was|were|has|have|will)\s", re.IGNORECASE)
_CLAUSE_END = re.compile(r"[,;.]|\s(?:and|that|which|while|because|with|who)\s", re.IGNORECASE)
_ARTICLES = frozenset(("a", "an", "the"))
_LOOSE_ENDS = frozenset(
    "a an the and or of to in on for with by from its their that is are".split()
)


def clean_title(text: str) -> str:
    """A title from an answer: its first line, without label, quotes, markup or final stop.

    It is brought down to its matter: the lead-in goes ("The company is ...", "The impact of ..."),
    then what follows a colon or is said of the matter ("... is a key driver"). A line of more than
    TITLE_WORDS words is a sentence, and ends with its first clause of two words or more. Last go
    words said twice running, words beyond TITLE_WORDS, loose words at the end and an article in
    front.
    """
    first = next((line for line in text.splitlines() if line.strip()), "")
    title = LABEL.sub("", LIST_MARK.sub("", first)).replace("**", "").strip()
    title = title.strip("\"'“”#* ").rstrip(".:;, ").strip()
    is_sentence = len(title.split()) > TITLE_WORDS
    title = _LEAD_IN.sub("", title)
    if end := _MATTER_END.search(title):
        title = title[: end.start()]
    if is_sentence:
        for end in _CLAUSE_END.finditer(title):
            if len(title[: end.start()].split()) >= 2:
                title = title[: end.start()]
                break
    # A weak model may go round in circles: "Rates Rates Rates".
    words = [word for word, _ in groupby(title.split())][:TITLE_WORDS]
    if title.isupper() and len(words) > 1:
        words = [word.lower() for word in words]
    while len(words) > 1 and words[-1].lower() in _LOOSE_ENDS:
        del words[-1]
    if len(words) > 1 and words[0].lower() in _ARTICLES:
        del words[0]
    shortened = " ".join(words).strip("\"'“” ")
    return shortened[:1].upper() + shortened[1:]
