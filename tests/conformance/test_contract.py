"""What the client relies on, asked of each server; where they differ, both forms are handled."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest

from ftm_core.contracts.errors import InputError
from ftm_core.llm import wire
from ftm_core.llm.client import LlmClient
from ftm_core.llm.dialect import Dialect
from ftm_core.llm.messages import Parameters, Prompt
from tests.conformance.conftest import Target

pytestmark = pytest.mark.models

QUESTION = Prompt(
    "You summarise earnings calls in one sentence.",
    "Sentences:\n- Freight rates rose by a tenth.\n- Shipping took longer.\n\nWhat is reported?",
)
# One token a digit: by its length it fits, and only the server's own count shows that it does not.
DIGITS = Prompt("Summarise.", "Numbers:\n" + "\n".join(["- " + "7193" * 20] * 50))


async def raw(target: Target, **changes: Any) -> httpx.Response:
    """One completion request as the client makes it, with ``changes`` to its body."""
    body = Dialect().body(
        changes.pop("prompt", QUESTION),
        model=target.model_name,
        parameters=Parameters(max_tokens=4, seed=42),
    )
    async with httpx.AsyncClient(trust_env=False, timeout=300) as http:
        return await http.post(f"{target.base_url}/chat/completions", json={**body, **changes})


async def busy(target: Target) -> int:
    """Requests that the server is working on."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        if target.kind == "local":
            slots = (await http.get(f"{target.root}/slots")).json()
            return sum(slot["is_processing"] for slot in slots)
        metrics = (await http.get(f"{target.root}/metrics")).text
    return int(
        sum(float(n) for n in re.findall(r"^vllm:num_requests_running\S* (\S+)", metrics, re.M))
    )


async def test_health_models_and_context_length(target: Target) -> None:
    async with LlmClient(target.settings()) as client:
        await client.wait_until_healthy()
        assert await client.context_length() == target.context_length


async def test_other_model_in_settings_is_refused_before_any_topic(target: Target) -> None:
    async with LlmClient(target.settings(model_name="no/such-model")) as client:
        with pytest.raises(InputError, match="not no/such-model"):
            await client.complete(QUESTION, max_tokens=4)


async def test_an_unknown_model_in_a_request(target: Target) -> None:
    response = await raw(target, model="no/such-model")
    if target.kind == "vllm":
        assert response.status_code == 404
        assert "no/such-model" in wire.reason_of(response)
    else:
        assert response.status_code == 200  # it serves its one model under any name
        assert response.json()["model"] == target.model_name


async def test_an_answer_is_bounded_counted_and_repeatable(target: Target) -> None:
    answers = []
    for _ in range(2):
        async with LlmClient(target.settings()) as client:
            answers.append(await client.complete(QUESTION, max_tokens=12))
    first, second = answers
    assert first.text == second.text
    assert first.model == target.model_name
    assert first.finish_reason in {"stop", "length"}
    assert 0 < first.completion_tokens <= 12
    assert 30 < first.prompt_tokens < 100


async def test_the_thinking_switch_reaches_the_chat_template(target: Target) -> None:
    off = (await raw(target)).json()["usage"]["prompt_tokens"]
    kwargs = {"enable_thinking": True}
    on = (await raw(target, chat_template_kwargs=kwargs)).json()["usage"]["prompt_tokens"]
    assert off > on


async def test_prompt_too_long_is_refused_with_its_counts(target: Target) -> None:
    response = await raw(target, prompt=DIGITS)
    overflow = wire.read_overflow(response)
    assert response.status_code == 400
    assert overflow is not None
    assert overflow.context_length == target.context_length
    if target.kind == "vllm":
        # It says "at least" one more than its context.
        assert overflow.prompt_tokens is None
    else:
        assert overflow.prompt_tokens is not None
        assert overflow.prompt_tokens > target.context_length - 4


async def test_a_prompt_too_long_is_shortened_once_and_answered(target: Target) -> None:
    async with LlmClient(target.settings()) as client:
        answer = await client.complete(DIGITS, max_tokens=4)
    assert target.context_length / 2 < answer.prompt_tokens <= target.context_length - 4


async def test_an_answer_that_would_not_fit_beside_its_prompt(target: Target) -> None:
    # Both continue to the end of their context; the client never asks for that much.
    response = await raw(target, max_tokens=target.context_length)
    assert response.status_code == 200
    assert response.json()["choices"][0]["finish_reason"] in {"stop", "length"}


async def test_a_faulty_request_is_refused_with_a_reason(target: Target) -> None:
    response = await raw(target, messages="not a list")
    assert response.status_code in {400, 422}
    assert wire.read_overflow(response) is None
    assert re.match(r"HTTP 4\d\d: .*(list|array|messages)", wire.reason_of(response))


async def test_damaged_text_is_answered(target: Target) -> None:
    damaged = Prompt("Summarise.", "Half \ud83d a character, “quotes”, 毛利率, \x07.")
    async with LlmClient(target.settings()) as client:
        answer = await client.complete(damaged, max_tokens=12)
    assert answer.completion_tokens > 0


async def test_a_cancelled_call_is_taken_back_by_the_server(target: Target) -> None:
    endless = Prompt("", "Count from one to a thousand, each number on its own line.")
    async with LlmClient(target.settings()) as client:
        await client.context_length()
        call = asyncio.create_task(client.complete(endless, max_tokens=800))
        async with asyncio.timeout(60):
            while await busy(target) == 0:
                await asyncio.sleep(0.1)
        call.cancel()
        async with asyncio.timeout(30):
            while await busy(target) > 0:
                await asyncio.sleep(0.1)
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_ten_calls_at_once_are_all_answered(target: Target) -> None:
    async with LlmClient(target.settings(max_concurrent=10)) as client:
        answers = await asyncio.gather(
            *(
                client.complete(Prompt("", f"Name {n + 2} colours."), max_tokens=6)
                for n in range(10)
            )
        )
    assert all(answer.text for answer in answers)
    assert len({answer.content_hash for answer in answers}) == 10
