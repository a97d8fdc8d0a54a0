"""Texts of themes that were selected: a title in some sentence, whole sentences as description."""

from __future__ import annotations

import pytest

from ftm_core.checks.answer_evidence import AnswerEvidence
from ftm_core.data.quarter_store import QuarterStore
from tests.fakes.small_quarter import QUARTER, SmallQuarter

SPOKEN = [
    "Ocean freight rates fell by half.",
    "Wages rose in the U.S. and abroad.",
    "We hired 40 welders",
    "Wages rose.",
]


@pytest.fixture(scope="module")
def evidence(finished_quarter: SmallQuarter) -> AnswerEvidence:
    found = AnswerEvidence(QuarterStore(finished_quarter.storage, QUARTER).finished)
    found.add_spoken(SPOKEN[:2])
    found.add_spoken(SPOKEN[2:])
    return found


@pytest.mark.parametrize(
    "description",
    [
        "Ocean freight rates fell by half.",
        "Wages rose. Ocean freight rates fell by half.",
        "We hired 40 welders. Wages rose in the U.S. and abroad. Wages rose.",
    ],
)
def test_description_of_whole_sentences_is_evident(
    evidence: AnswerEvidence, description: str
) -> None:
    assert evidence.fault_of_theme("Freight rates", description) is None


@pytest.mark.parametrize(
    "description",
    [
        "Ocean freight rates fell.",
        "Freight rates fell by half.",
        "Wages rose. Prices fell.",
        "Wages rose in the U.S.",
        "Wages rose.Wages rose.",
    ],
)
def test_description_of_parts_of_sentences_is_a_fault(
    evidence: AnswerEvidence, description: str
) -> None:
    fault = evidence.fault_of_theme("Freight rates", description)
    assert fault is not None
    assert "nor was it said" in fault


def test_title_that_nobody_said_is_a_fault(evidence: AnswerEvidence) -> None:
    fault = evidence.fault_of_theme("Share buybacks", "Wages rose.")
    assert fault is not None
    assert "no sentence holds it" in fault
