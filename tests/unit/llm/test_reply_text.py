"""No thinking and no character that a table cannot hold is left in an answer."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftm_core.llm import wire
from ftm_core.llm.reply_text import RefusedAnswerError, answer_text, clean_characters

ANSWER = "Revenue grew."
# Fault B11: every marker seen in answers of reasoning models.
THINKING = [
    "<think>hm</think>{}",
    "<thinking>Okay, let me see …</thinking> {}",
    "<reasoning>hm</reasoning>\n{}",
    "<reflection>hm</reflection>{}",
    "<|thinking|>hm<|/thinking|>{}",
    "[THINK]hm[/THINK]{}",
    "◁think▷hm◁/think▷{}",
    "hm</thinking>{}",
    "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>{}<|return|>",
    "analysisThe user wants a summary.assistantfinal{}",
    "analysisWe need this. assistant final {}",
]
UNFINISHED = [
    "<thinking>Okay, let me",
    "[THINK]hm",
    "◁think▷hm",
    "<|channel|>analysis<|message|>hm",
    "analysisWe need to summarize this",
    "Fine. <reasoning>But",
]


@pytest.mark.parametrize("form", THINKING)
def test_fault_b11_thinking_is_removed_in_every_marker(form: str) -> None:
    assert answer_text(form.format(ANSWER)) == ANSWER


@pytest.mark.parametrize("text", UNFINISHED)
def test_fault_b11_unfinished_thinking_is_refused(text: str) -> None:
    with pytest.raises(RefusedAnswerError, match="thinking"):
        answer_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "Management thinks 2 < 3 and rethinks <growth>.",
        "analysis of the market continues",
        "[Think tank] rates fell.",
        "The final assistant arrived.",
    ],
)
def test_a_word_about_thinking_is_no_thinking(text: str) -> None:
    assert answer_text(text) == text


@given(st.text())
def test_fault_b1_a_cleaned_text_can_be_stored(text: str) -> None:
    cleaned = clean_characters(text)
    assert cleaned.encode("utf-8").decode("utf-8") == cleaned
    assert not any(ord(letter) < 32 and letter not in "\n\t" for letter in cleaned)
    assert clean_characters(cleaned) == cleaned


def test_fault_b1_a_lone_surrogate_and_nul_are_removed() -> None:
    response = httpx.Response(
        200,
        content=(
            b'{"model": "m\\u0000", "choices": [{"finish_reason": "stop", '
            b'"message": {"content": "Sales\\u0000 rose. \\ud83d"}}]}'
        ),
    )
    completion = wire.read_completion(response, asked_model="asked")
    assert (completion.text, completion.model) == ("Sales rose.", "m")


def _ended(reason: object) -> httpx.Response:
    choice = {"message": {"content": ANSWER}, "finish_reason": reason}
    return httpx.Response(200, json={"choices": [choice]})


@pytest.mark.parametrize("reason", ["stop", "length", "eos_token", "stop_sequence"])
def test_fault_b10_a_whole_answer_is_kept(reason: str) -> None:
    kept = wire.read_completion(_ended(reason), asked_model="m")
    assert kept.finish_reason in {"stop", "length"}


@pytest.mark.parametrize("reason", ["content_filter", "tool_calls"])
def test_fault_b10_a_withheld_answer_is_refused(reason: str) -> None:
    with pytest.raises(RefusedAnswerError, match=reason):
        wire.read_completion(_ended(reason), asked_model="m")


@pytest.mark.parametrize("reason", ["abort", "error", None, "", ["stop"]])
def test_fault_b10_an_answer_cut_by_the_server_is_asked_again(reason: object) -> None:
    with pytest.raises(wire.MalformedAnswerError, match="ended the answer early"):
        wire.read_completion(_ended(reason), asked_model="m")


def test_fault_b24_an_error_within_a_success_is_not_asked_again() -> None:
    body = {"error": {"message": "insufficient credits", "code": 402}}
    with pytest.raises(wire.RejectedRequestError, match="insufficient credits"):
        wire.read_completion(httpx.Response(200, json=body), asked_model="m")


@pytest.mark.parametrize("body", ["data: {}\n\ndata: [DONE]", "<html>Sign in</html>"])
def test_fault_b24_another_body_is_shown(body: str) -> None:
    with pytest.raises(wire.MalformedAnswerError, match=r"DONE|Sign in"):
        wire.read_completion(httpx.Response(200, text=body), asked_model="m")
