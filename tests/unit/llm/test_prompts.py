"""What is asked, and which texts are read from an answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftm_core.llm import prompts
from ftm_core.llm.messages import Answer


def answer(text: str, finish_reason: str = "stop") -> Answer:
    return Answer(text, "model", 1, 1, finish_reason, "hash", from_store=False)


def test_fault_20_the_prompt_shows_sentences_as_spoken() -> None:
    spoken = "We're not going to be paying what we'd paid for ocean freight a year ago."
    assert spoken in prompts.summary_prompt(["freight"], [spoken]).user


def test_prompts_of_one_kind_share_their_start() -> None:
    one = prompts.summary_prompt(["freight"], ["Freight fell."])
    other = prompts.summary_prompt(["wages"], ["Wages rose."])
    assert one.system == other.system
    assert one.schema == other.schema


def test_fault_3_prompts_are_bounded_however_much_is_given() -> None:
    sentences = ["word " * 1000] * 1000
    for prompt in (
        prompts.summary_prompt(["keyword"] * 1000, sentences),
        prompts.theme_prompt(["keyword"] * 1000, sentences),
    ):
        assert len(prompt.system) + len(prompt.user) < 4000


def test_shown_sentences_are_all_that_a_prompt_shows() -> None:
    sentences = [f"Sentence number {n}." for n in range(20)]
    shown = prompts.shown(sentences, prompts.SUMMARY_SENTENCES)
    user = prompts.summary_prompt(["k"], sentences).user
    assert [line[2:] for line in user.splitlines() if line.startswith("- ")] == shown


def test_correction_names_what_is_wrong() -> None:
    asked = prompts.summary_prompt(["freight"], ["Freight fell."])
    again = prompts.correction_prompt(asked, "It fell by 9%.", ["The sentences do not say '9'."])
    assert "It fell by 9%." in again.user
    assert "The sentences do not say '9'." in again.user
    assert again.schema == asked.schema


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"summary": "Costs fell."}', "Costs fell."),
        ('```json\n{"summary": "Costs fell."}\n```', "Costs fell."),
        ('Here it is: {"summary": "Costs\\nfell.", "more": 1}', "Costs fell."),
        ('{"summary": "**Costs** `fell`."}', "Costs fell."),
        # Fault B30: headings and tables of an answer.
        ('{"summary": "# Summary\\nCosts fell.\\n| a | b |\\n|---|---|"}', "Costs fell."),
        ('{"summary": ""}', None),
        ('{"summary": 3}', None),
        ('{"title": "Costs"}', None),
        ("Costs fell.", None),
        ("{", None),
        ("[1]", None),
    ],
)
def test_fields_of_an_answer(text: str, expected: str | None) -> None:
    fields = prompts.fields_of(answer(text), "summary")
    assert fields == (None if expected is None else {"summary": expected})


def test_fields_cut_short_end_at_a_whole_sentence() -> None:
    text = '{"title": "Freight \\"rates\\"", "description": "Rates fell. They may ri'
    fields = prompts.fields_of(answer(text, "length"), "title", "description")
    assert fields == {"title": 'Freight "rates"', "description": "Rates fell."}
    assert prompts.fields_of(answer('{"summary": "Rates fe', "length"), "summary") is None


@given(st.text())
def test_fields_never_fail_on_any_text(text: str) -> None:
    for reason in ("stop", "length"):
        fields = prompts.fields_of(answer(text, reason), "summary")
        assert fields is None or fields["summary"]


@given(st.text(min_size=1).filter(lambda text: prompts.clean_prose(text) != ""))
def test_fields_of_json_are_its_cleaned_texts(text: str) -> None:
    given_text = json.dumps({"summary": text})
    assert prompts.fields_of(answer(given_text), "summary") == {
        "summary": prompts.clean_prose(text)
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2", 1), ("2.", 1), ("Number: 3", 2), ("0", None), ("4", None), ("the second", None)],
)
def test_choice_of_an_answer(text: str, expected: int | None) -> None:
    assert prompts.choice_of(answer(text), 3) == expected


def test_whole_sentences_do_not_end_in_half_a_number() -> None:
    assert prompts.whole_sentences("Costs fell. Then they ro") == "Costs fell."
    assert prompts.whole_sentences("Costs fell. By 3.") == "Costs fell."
    assert prompts.whole_sentences("Costs fe") == ""


def test_prose_is_distinguished_from_keywords() -> None:
    assert not prompts.is_prose("freight, ocean, rates, trucking, carriers, lanes")
    assert not prompts.is_prose("Freight.")
    assert prompts.is_prose("The company says freight costs fell, wages rose, and prices held.")
