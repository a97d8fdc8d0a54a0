"""Kinds of themes, judged on labeled themes of real calls that the rule was not fitted on."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from ftm_core.themes.theme_kinds import ThemeTalk, kind_of

LABELED = Path(__file__).parents[2] / "data" / "theme_kinds.csv"
HELD_OUT = "2017Q1"


@pytest.fixture(scope="module")
def verdicts() -> Counter[tuple[str, str]]:
    """How often a theme labeled as the first kind was given the second."""
    found: Counter[tuple[str, str]] = Counter()
    with LABELED.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["quarter"] == HELD_OUT:
                talk = ThemeTalk(
                    *(float(row[name]) for name in ("naming", "courtesies", "numbers"))
                )
                found[row["kind"], kind_of(row["keywords"].split("; "), talk)] += 1
    assert sum(found.values()) > 250
    return found


@pytest.mark.parametrize(
    ("kind", "precision", "recall"),
    [("procedure", 0.85, 0.65), ("results", 0.85, 0.7), ("subject", 0.85, 0.9)],
)
def test_kind_of_labeled_themes_is_mostly_right(
    verdicts: Counter[tuple[str, str]], kind: str, precision: float, recall: float
) -> None:
    right = verdicts[kind, kind]
    assert right >= precision * sum(n for (_, given), n in verdicts.items() if given == kind)
    assert right >= recall * sum(n for (label, _), n in verdicts.items() if label == kind)


def test_few_subjects_are_taken_for_procedure(verdicts: Counter[tuple[str, str]]) -> None:
    """Procedure is hidden where themes are shown, so a subject must hardly ever be called that."""
    subjects = sum(n for (label, _), n in verdicts.items() if label == "subject")
    assert verdicts["subject", "procedure"] <= 0.01 * subjects


def test_share_of_thanks_and_of_results_is_measured() -> None:
    talk = ThemeTalk.of(
        ["Thank you for joining the call.", "Freight rates rose 8% in the quarter."]
    )
    assert (talk.courtesies, talk.numbers) == (0.5, 0.5)
    assert 0 < talk.naming < 0.5


def test_talk_of_no_sentence_is_zero() -> None:
    assert ThemeTalk.of([]) == ThemeTalk(0.0, 0.0, 0.0)
