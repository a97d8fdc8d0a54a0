"""Texts of themes: written ones in one response, selected ones in sentences that were said."""

from __future__ import annotations

import pytest

from ftm_core.checks.answer_evidence import AnswerEvidence
from ftm_core.data.quarter_store import QuarterStore
from ftm_core.llm.answers import AnswerStore
from tests.fakes.small_quarter import QUARTER, SmallQuarter

SPOKEN = [
    "Ocean freight rates fell by half.",
    "Wages rose in the U.S. and abroad.",
    "We hired 40 welders",
    "Wages rose.",
]


@pytest.fixture(scope="module")
def evidence(finished_quarter: SmallQuarter) -> AnswerEvidence:
    storage = finished_quarter.storage
    answers = AnswerStore.open(storage, QUARTER)
    found = AnswerEvidence(QuarterStore(storage, QUARTER).finished, answers)
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


PRICING = ("Pricing in the quarter", "Companies show how pricing changed over the year.")
FREIGHT = ("Freight in the quarter", "Companies show how freight changed over the year.")
MORE = "They expect more of it."


@pytest.mark.parametrize(
    ("title", "description"),
    [
        (PRICING[0], f"{PRICING[1]} {MORE}"),
        (PRICING[0], "Wages rose."),
        ("Freight rates", f"{PRICING[1]} {MORE}"),
    ],
)
def test_written_text_beside_a_selected_one_is_evident(
    evidence: AnswerEvidence, title: str, description: str
) -> None:
    assert evidence.fault_of_theme(title, description) is None


def test_title_and_description_of_two_responses_are_a_fault(evidence: AnswerEvidence) -> None:
    fault = evidence.fault_of_theme(FREIGHT[0], f"{PRICING[1]} {MORE}")
    assert fault is not None
    assert "no response gave the title" in fault
