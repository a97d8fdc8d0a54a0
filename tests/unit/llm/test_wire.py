"""Reading thinking, waits and error bodies in every form."""

from __future__ import annotations

import datetime as dt

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftm_core.llm import wire
from ftm_core.llm.reply_text import RefusedAnswerError, answer_text

NOW = dt.datetime(2023, 2, 1, tzinfo=dt.UTC)


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<THINK>", "</Think >", "a", " ", "\n", "b."]))
)
def test_fault_1_no_text_with_a_think_tag_is_ever_returned(pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        answer = answer_text(text)
    except RefusedAnswerError:
        return
    assert "think" not in answer.lower()
    assert answer == answer.strip() != ""


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "Wed, 01 Feb 2023 00:01:00 GMT"}, 60.0),
        ({"retry-after": "Tue, 31 Jan 2023 00:00:00 GMT"}, 0.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Wed, 01 Feb 2023 00:01:00"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    assert wire.retry_after(httpx.Response(429, headers=headers), now=NOW) == expected


@pytest.mark.parametrize(
    ("message", "prompt_tokens", "context_length"),
    [
        (
            "This model's maximum context length is 2048 tokens. However, you requested 80 output "
            "tokens and your prompt contains at least 1969 input tokens, for a total of at least "
            "2049 tokens. Please reduce the length of the input prompt.",
            None,
            2048,
        ),
        (
            "This model's maximum context length is 2048 tokens. However, your prompt contains at "
            "least 2049 input tokens, which exceeds this limit even without any output tokens.",
            None,
            2048,
        ),
        (
            "This model's maximum context length is 2048 tokens. However, you requested 80 output "
            "tokens and your prompt contains 4000 input tokens.",
            4000,
            2048,
        ),
        (
            "This model's maximum context length is 4096 tokens. However, you requested 5000 "
            "tokens (4840 in the messages, 160 in the completion).",
            4840,
            4096,
        ),
        (
            "The decoder prompt (length 5000) is longer than the maximum model length of 2048.",
            None,
            2048,
        ),
        ("Input exceeds the context window", None, None),
    ],
)
def test_wordings_of_a_prompt_too_long(
    message: str, prompt_tokens: int | None, context_length: int | None
) -> None:
    for body in ({"error": {"message": message}}, {"message": message}, {"error": message}):
        overflow = wire.read_overflow(httpx.Response(400, json=body))
        assert overflow == wire.Overflow(prompt_tokens, context_length)


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(400, json={"error": {"message": "max_tokens must be at least 1"}}),
        httpx.Response(400, content=b"not json"),
        httpx.Response(400, json=[1]),
        httpx.Response(404, json={"error": {"message": "maximum context length"}}),
    ],
)
def test_other_refusals_are_not_about_length(response: httpx.Response) -> None:
    assert wire.read_overflow(response) is None


def test_a_reason_is_one_line_of_bounded_length() -> None:
    page = "<html>\n" + "word \n" * 1000
    reason = wire.reason_of(httpx.Response(403, text=page))
    assert reason.startswith("HTTP 403: <html> word word")
    assert "\n" not in reason
    assert len(reason) < 320
    assert wire.reason_of(httpx.Response(404)) == "HTTP 404: Not Found"
