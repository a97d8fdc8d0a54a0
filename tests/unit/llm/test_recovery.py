"""One outage is waited for once, by one poller, within its limit."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import pytest

from ftm_core.contracts.errors import LlmRequestError, LlmUnavailableError
from ftm_core.llm.messages import Prompt
from tests.fakes.llm_server import FakeLlmServer, refusal


def prompt(text: str) -> Prompt:
    return Prompt("system", text)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == "ftm.llm"]


async def ask_many(server: FakeLlmServer, count: int, **settings: Any) -> list[object]:
    async with server.client(**settings) as client:
        return await asyncio.gather(
            *(client.complete(prompt(f"u{n}"), max_tokens=20) for n in range(count)),
            return_exceptions=True,
        )


async def test_fifty_calls_share_one_poller_and_log_the_exact_lines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    server = FakeLlmServer()
    server.outages = [(0.0, 95.0)]

    answers = await ask_many(server, 50)

    assert [answer.text for answer in answers] == [f"Answer to u{n}." for n in range(50)]  # type: ignore[attr-defined]
    assert lines(caplog) == [
        "The LLM server http://llm.test/v1 is unhealthy: http://llm.test/health: ConnectError "
        "connection refused",
        "vLLM unhealthy, waiting... (30s / 600s)",
        "vLLM unhealthy, waiting... (60s / 600s)",
        "vLLM unhealthy, waiting... (90s / 600s)",
        "vLLM unhealthy, waiting... (120s / 600s)",
        "vLLM recovered after 120.0s",
    ]
    assert server.most_probes_at_once == 1
    assert server.n_probes == 6  # two to notice, four polls
    assert server.time.seconds < 95 + 30 + 1


async def test_fault_8_a_long_outage_in_the_middle_fails_no_call() -> None:
    server = FakeLlmServer()
    server.latency = 2.0
    server.outages = [(7.0, 590.0)]

    answers = await ask_many(server, 200)

    assert not [answer for answer in answers if isinstance(answer, BaseException)]
    assert server.most_probes_at_once == 1


async def test_fault_8_one_bad_answer_fails_its_own_call_alone() -> None:
    server = FakeLlmServer()
    server.replies = [refusal(400, "no such thing")]

    answers = await ask_many(server, 30)

    failed = [answer for answer in answers if isinstance(answer, BaseException)]
    assert len(failed) == 1
    assert isinstance(failed[0], LlmRequestError)
    assert "no such thing" in str(failed[0])


async def test_fault_13_outage_on_the_last_attempt_leads_to_a_retry() -> None:
    server = FakeLlmServer()
    server.replies = [refusal(500, "worker failed") for _ in range(7)]  # one more would be the end

    async def goes_down() -> httpx.Response:
        server.outages = [(server.time.seconds, server.time.seconds + 45)]
        raise httpx.ReadError("connection reset")

    server.replies.append(goes_down)

    [answer] = await ask_many(server, 1)

    assert answer.text == "Answer to u0."  # type: ignore[attr-defined]


async def test_a_wait_past_its_limit_ends_every_call_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = FakeLlmServer()
    server.outages = [(0.0, 10_000.0)]

    # More calls than slots: those still queued must not wait for the same outage again.
    outcomes = await ask_many(server, 35, max_concurrent=10)

    assert all(isinstance(outcome, LlmUnavailableError) for outcome in outcomes)
    assert server.time.seconds == pytest.approx(600, abs=1)
    assert lines(caplog)[-1] == "vLLM unhealthy, waiting... (600s / 600s)"


async def test_after_giving_up_a_further_call_fails_without_asking() -> None:
    server = FakeLlmServer()
    server.outages = [(0.0, 100.0)]
    async with server.client(health_wait=60) as client:
        with pytest.raises(LlmUnavailableError):
            await client.complete(prompt("first"), max_tokens=20)
        probes = server.n_probes
        with pytest.raises(LlmUnavailableError, match="60 s"):
            await client.complete(prompt("second"), max_tokens=20)
    assert server.n_probes == probes


async def test_a_zero_wait_gives_up_after_one_probe() -> None:
    server = FakeLlmServer()
    server.outages = [(0.0, 100.0)]
    [outcome] = await ask_many(server, 1, health_wait=0)
    assert isinstance(outcome, LlmUnavailableError)
    assert server.n_probes == 1


async def test_cancelling_the_first_caller_leaves_the_poll_to_others() -> None:
    server = FakeLlmServer()
    async with server.client() as client:
        await client.context_length()
        server.outages = [(0.0, 100.0)]
        first = asyncio.create_task(client.complete(prompt("first"), max_tokens=20))
        while server.n_probes < 3:
            await asyncio.sleep(0)
        others = [
            asyncio.create_task(client.complete(prompt(f"u{n}"), max_tokens=20)) for n in range(5)
        ]
        await asyncio.sleep(0)
        first.cancel()
        answers = await asyncio.gather(*others)
    assert first.cancelled()
    assert len(answers) == 5
    assert server.most_probes_at_once == 1
    assert server.time.seconds == pytest.approx(120)


async def test_cancelling_everyone_ends_the_polling() -> None:
    server = FakeLlmServer()
    server.outages = [(0.0, 10_000.0)]
    async with server.client() as client:
        calls = [
            asyncio.create_task(client.complete(prompt(f"u{n}"), max_tokens=20)) for n in range(5)
        ]
        while server.n_probes < 3:
            await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        probes = server.n_probes
        for _ in range(500):
            await asyncio.sleep(0)
    assert server.n_probes == probes


async def test_one_lost_probe_is_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    server = FakeLlmServer()
    server.replies = [refusal(502, "bad gateway")]
    server.probe_replies = [httpx.ReadError("connection reset")]
    [answer] = await ask_many(server, 1)
    assert answer.text == "Answer to u0."  # type: ignore[attr-defined]
    assert lines(caplog) == []
    assert server.time.seconds < 3


async def test_a_server_that_is_loading_its_model_is_waited_for() -> None:
    server = FakeLlmServer()
    server.probe_replies = [refusal(503, "Loading model") for _ in range(4)]
    async with server.client() as client:
        await client.wait_until_healthy()
    assert server.time.seconds == pytest.approx(90)


async def test_server_without_health_page_is_healthy_while_it_answers() -> None:
    server = FakeLlmServer()
    server.probe_replies = [httpx.Response(404)]
    async with server.client() as client:
        await client.wait_until_healthy()
    assert server.time.seconds == 0


async def test_prompt_that_takes_the_server_down_each_time_fails() -> None:
    server = FakeLlmServer()

    async def crash() -> httpx.Response:
        server.outages = [(server.time.seconds, server.time.seconds + 20)]
        raise httpx.RemoteProtocolError("server disconnected")

    server.replies = [crash for _ in range(100)]
    [outcome] = await ask_many(server, 1)
    assert isinstance(outcome, LlmRequestError)
    assert len(server.bodies) == 25
