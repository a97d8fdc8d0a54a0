"""Cutting a prompt to the context: what goes first, what stays, and that it always fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftm_core.contracts.errors import LlmRequestError
from ftm_core.llm.messages import Prompt
from ftm_core.llm.prompt_budget import TEMPLATE_TOKENS, estimate_tokens, fit, shorten


def summaries_prompt(n_lines: int) -> Prompt:
    lines = "\n".join(f"- summary number {n} about pricing" for n in range(n_lines))
    return Prompt("Describe.", f"Summaries:\n{lines}\n\nKeywords: a, b\nWhat is it?")


def test_a_prompt_that_fits_is_left_alone() -> None:
    prompt = summaries_prompt(10)
    assert fit(prompt, context_length=2048, max_tokens=80) is prompt


def test_the_last_lines_of_the_longest_block_go_first() -> None:
    cut = fit(summaries_prompt(200), context_length=500, max_tokens=80)
    assert cut.user.startswith("Summaries:\n- summary number 0 about pricing\n- summary number 1")
    assert cut.user.endswith(" about pricing\n\nKeywords: a, b\nWhat is it?")
    assert cut.system == "Describe."
    assert cut.schema == ""


def test_one_long_line_loses_words_from_its_end() -> None:
    prompt = Prompt("", "Sentences:\n- " + "growth " * 3000 + "\n\nWhat is reported?")
    cut = fit(prompt, context_length=400, max_tokens=80)
    assert cut.user.startswith("Sentences:\n- growth growth")
    assert cut.user.endswith("growth\n\nWhat is reported?")


@given(
    blocks=st.lists(st.lists(st.text(max_size=400), max_size=30), min_size=1, max_size=6),
    context_length=st.integers(200, 4096),
    max_tokens=st.integers(8, 120),
)
def test_fault_3_a_cut_prompt_always_fits(
    blocks: list[list[str]], context_length: int, max_tokens: int
) -> None:
    prompt = Prompt("System.", "\n\n".join("\n".join(block) for block in blocks))
    try:
        cut = fit(prompt, context_length=context_length, max_tokens=max_tokens)
    except LlmRequestError:
        return
    if cut is not prompt:
        room = context_length - max_tokens - TEMPLATE_TOKENS
        assert estimate_tokens(cut.system) + estimate_tokens(cut.user) <= room + 1
        assert cut.user.strip()
    assert fit(cut, context_length=context_length, max_tokens=max_tokens) == cut


def test_fault_3_a_theme_of_five_thousand_firms_is_cut_quickly() -> None:
    prompt = summaries_prompt(50_000)
    cut = fit(prompt, context_length=2048, max_tokens=160)
    assert estimate_tokens(cut.user) <= 2048


def test_no_room_at_all_fails_the_item() -> None:
    prompt = Prompt("A long instruction. " * 50, "Sentences:\n- one")
    with pytest.raises(LlmRequestError, match="does not fit"):
        fit(prompt, context_length=300, max_tokens=200)


def test_shortening_follows_the_servers_counts() -> None:
    prompt = summaries_prompt(100)
    cut = shorten(prompt, prompt_tokens=1000, context_length=580, max_tokens=80)
    assert 0.40 < len(cut.user) / len(prompt.user) < 0.46
    assert cut.user.endswith("What is it?")


def test_shortening_without_a_count_leaves_a_byte_per_token() -> None:
    cut = shorten(summaries_prompt(100), prompt_tokens=None, context_length=1000, max_tokens=80)
    size = len(cut.system) + len(cut.user)
    assert 700 < size <= 1000 - 80 - TEMPLATE_TOKENS


def test_shortening_without_counts_keeps_half() -> None:
    prompt = summaries_prompt(100)
    cut = shorten(prompt, prompt_tokens=None, context_length=None, max_tokens=80)
    assert 0.45 < len(cut.user) / len(prompt.user) <= 0.5


def test_shortening_always_shortens() -> None:
    prompt = summaries_prompt(100)
    cut = shorten(prompt, prompt_tokens=100, context_length=4000, max_tokens=80)
    assert len(cut.user) < len(prompt.user)


def test_an_answer_that_fills_the_context_leaves_no_prompt() -> None:
    with pytest.raises(LlmRequestError):
        shorten(summaries_prompt(10), prompt_tokens=100, context_length=80, max_tokens=80)
