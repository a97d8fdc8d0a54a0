"""What the LLM is shown, and what is taken of its answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftm_core.llm import prompts


def everything(prompt: prompts.Prompt) -> str:
    return prompt.system + prompt.user


def test_fault_20_the_llm_is_shown_sentences_as_they_were_spoken() -> None:
    spoken = "We were not able to pass on all of the freight costs to our customers."

    first = prompts.topic_summary_prompts(["freight"], [spoken])[0]

    assert spoken in first.user


def test_the_fixed_text_comes_first_so_that_the_prefix_is_shared() -> None:
    one = prompts.topic_summary_prompts(["freight"], ["Freight fell."])
    other = prompts.topic_summary_prompts(["wages"], ["Wages rose."])

    for left, right in zip(one, other, strict=True):
        assert left.system == right.system
        assert left.user != right.user


@given(
    st.lists(st.text(max_size=5000), min_size=1, max_size=40),
    st.lists(st.text(max_size=30), max_size=60),
)
def test_a_summary_prompt_is_bounded_whatever_the_sentences(
    sentences: list[str], keywords: list[str]
) -> None:
    for prompt in prompts.topic_summary_prompts(keywords, sentences):
        assert len(everything(prompt)) < 2000


@given(st.lists(st.text(max_size=3000), max_size=300))
def test_fault_3_a_theme_prompt_is_bounded_whatever_the_summaries(summaries: list[str]) -> None:
    prompt = prompts.theme_description_prompt(["freight"] * 10, summaries)

    assert len(everything(prompt)) < 4000


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Summary: Freight costs fell.", "Freight costs fell."),
        ("Here is a summary of the topic: Freight costs fell.", "Freight costs fell."),
        ("- Freight costs fell.\n- Wages rose.", "Freight costs fell. Wages rose."),
        ('"**Freight** costs fell."', "Freight costs fell."),
        ("  Freight\n costs   fell. ", "Freight costs fell."),
    ],
)
def test_labels_lists_and_markup_are_taken_off_an_answer(answer: str, expected: str) -> None:
    assert prompts.clean_prose(answer, cut_off=False) == expected


def test_an_answer_cut_by_its_limit_ends_at_its_last_whole_sentence() -> None:
    cut = "Freight costs fell by 3.5 percent. Wages rose and the comp"

    assert prompts.clean_prose(cut, cut_off=True) == "Freight costs fell by 3.5 percent."


@pytest.mark.parametrize(
    "cut", ["Hedged at an average rate close to 20.", "Hedged at a rate of $1"]
)
def test_an_answer_cut_within_its_only_sentence_loses_the_word_that_may_be_cut(cut: str) -> None:
    assert prompts.clean_prose(cut, cut_off=True) == cut.rsplit(" ", 1)[0]


def test_keywords_are_not_prose_and_sentences_are() -> None:
    assert not prompts.is_prose("freight, ocean, rates, trucking, carriers, lanes")
    assert not prompts.is_prose("Freight.")
    assert not prompts.is_prose("")
    assert prompts.is_prose("The company says freight costs fell, wages rose, and prices held.")


@pytest.mark.parametrize(
    ("text", "speaks"),
    [
        ("The sentence is a good example of how a single sentence can convey an idea.", True),
        ("The topic is gas, natural gas, infrastructure.", True),
        ("This text conveys that margins rose.", True),
        ("The original question is about the topic of surrender.", True),
        ("The company says that its topic of the year is freight.", False),
        ("The textile business grew by a tenth.", False),
        ("Questions of tariffs weigh on steel.", False),
    ],
)
def test_what_speaks_of_the_task_is_told_from_what_speaks_of_the_company(
    text: str, speaks: bool
) -> None:
    assert prompts.speaks_of_task(text) is speaks
