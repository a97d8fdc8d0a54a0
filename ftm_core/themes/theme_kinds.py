"""What kind of theme it is: about a subject, about how results are reported, or procedure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from ftm_core.text import lexicons
from ftm_core.text.substance import share_of_content_words, share_of_courtesies, share_with_numbers

Kind = Literal["subject", "results", "procedure"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# Fitted on 363 labeled themes of MAEC 2016Q3; precision and recall on 296 themes of 2017Q1 are
# tested (tests/unit/themes/test_theme_kinds.py, tests/data/theme_kinds.csv).
MIN_COURTESIES = 0.2
MAX_RESULTS_OF_COURTESIES = 0.6
MIN_RESULTS = 0.4
MIN_PROCEDURE = 0.3
MIN_NAMING = 0.2
MIN_NUMBERS = 0.25
SOME_RESULTS = 0.2
SOME_PROCEDURE = 0.1


@dataclass(frozen=True)
class ThemeTalk:
    """How the central sentences of a theme are worded, each a share from 0 to 1.

    ``naming``: words that name a subject; ``courtesies``: sentences that thank, welcome or hand
    over; ``numbers``: sentences with a digit.
    """

    naming: float
    courtesies: float
    numbers: float

    @classmethod
    def of(cls, sentences: Sequence[str]) -> ThemeTalk:
        """Measure ``sentences``, the most central ones of a theme."""
        return cls(
            share_of_content_words(sentences),
            share_of_courtesies(sentences),
            share_with_numbers(sentences),
        )


def kind_of(keywords: Sequence[str], talk: ThemeTalk) -> Kind:
    """The kind of a theme by its keywords and by how its central sentences are worded.

    The LLM is not asked: a small one calls every theme a business subject. Keywords decide where
    enough of them belong to one kind. Otherwise sentences of few words that name a subject are
    results when they hold numbers, and talk about the call when one keyword is.
    """
    procedure = _share(
        any(lexicons.contains("procedure_words", word) for word in keyword.split())
        for keyword in keywords
    )
    results = _share(
        all(lexicons.contains("results_words", word) for word in keyword.split())
        for keyword in keywords
    )
    if talk.courtesies >= MIN_COURTESIES and results < MAX_RESULTS_OF_COURTESIES:
        return "procedure"
    if results >= MIN_RESULTS and results >= procedure:
        return "results"
    if procedure >= MIN_PROCEDURE:
        return "procedure"
    if talk.naming < MIN_NAMING:
        if talk.numbers >= MIN_NUMBERS or results >= SOME_RESULTS:
            return "results"
        if procedure >= SOME_PROCEDURE:
            return "procedure"
    return "subject"


def _share(verdicts: Iterable[bool]) -> float:
    listed = list(verdicts)
    return sum(listed) / len(listed) if listed else 0.0
