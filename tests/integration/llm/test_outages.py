"""The real server killed and started again under fifty concurrent calls."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import time
from dataclasses import dataclass, field

import httpx
import pytest

from ftm_core.contracts.errors import LlmUnavailableError
from ftm_core.contracts.settings import LlmSettings
from ftm_core.llm.client import LlmClient
from ftm_core.llm.local_server import LocalServer
from ftm_core.llm.messages import Prompt

N_CALLERS = 50
POLL = 2.0
# The two cores of a test machine may be busy when the poller is due.
SLACK = 1.5


class TappedTransport(httpx.AsyncBaseTransport):
    """The real network, with the health probes on their way counted."""

    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self.probes_on_their_way = 0
        self.most_probes_at_once = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/health":
            return await self._inner.handle_async_request(request)
        self.probes_on_their_way += 1
        self.most_probes_at_once = max(self.most_probes_at_once, self.probes_on_their_way)
        try:
            return await self._inner.handle_async_request(request)
        finally:
            self.probes_on_their_way -= 1

    async def aclose(self) -> None:
        await self._inner.aclose()


@dataclass
class Tally:
    """What fifty callers got while the controller was at work."""

    answered: int = 0
    failures: list[BaseException] = field(default_factory=list)
    stopping: bool = False


async def keep_asking(client: LlmClient, caller: int, tally: Tally) -> None:
    number = 0
    while not tally.stopping:
        number += 1
        question = Prompt("", f"Caller {caller}, question {number}: name a colour.")
        try:
            await client.complete(question, max_tokens=4)
        except Exception as error:  # noqa: BLE001 - every kind of failure counts here
            tally.failures.append(error)
        else:
            tally.answered += 1


def n_said(caplog: pytest.LogCaptureFixture, word: str) -> int:
    return sum(word in record.message for record in caplog.records)


async def kill_and_restart(
    server: LocalServer, tally: Tally, caplog: pytest.LogCaptureFixture
) -> tuple[float, float]:
    """Wait for three answers, kill, start again; when it was killed and when it was healthy.

    It starts again only once it was missed: a server that is back before the second probe was
    never away, and nobody would say that it recovered.
    """
    until = tally.answered + 3
    while tally.answered < until and not tally.failures:
        await asyncio.sleep(0.05)
    n_misses = n_said(caplog, "unhealthy")
    os.kill(server.pid, signal.SIGKILL)
    killed = time.time()
    while n_said(caplog, "unhealthy") == n_misses:
        await asyncio.sleep(0.05)
    await asyncio.to_thread(server.start)
    return killed, time.time()


async def run_outages(
    n_restarts: int, caplog: pytest.LogCaptureFixture
) -> tuple[Tally, list[tuple[float, float]], TappedTransport]:
    transport = TappedTransport()
    outages = []
    with LocalServer(slots=8) as server:
        settings = server.settings(
            LlmSettings(max_concurrent=N_CALLERS, timeout=180, health_wait=120, health_poll=POLL)
        )
        tally = Tally()
        async with LlmClient(settings, transport=transport) as client:
            callers = [
                asyncio.create_task(keep_asking(client, number, tally))
                for number in range(N_CALLERS)
            ]
            for _ in range(n_restarts):
                outages.append(await kill_and_restart(server, tally, caplog))
                while n_said(caplog, "recovered") < len(outages):
                    await asyncio.sleep(0.05)
            tally.stopping = True
            await asyncio.gather(*callers)
    return tally, outages, transport


@pytest.mark.models
@pytest.mark.parametrize("n_restarts", [3, pytest.param(20, marks=pytest.mark.long)])
async def test_fault_8_server_kills_under_fifty_calls_lose_nothing(
    n_restarts: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="ftm.llm")

    tally, outages, transport = await run_outages(n_restarts, caplog)

    assert tally.failures == []
    assert tally.answered >= N_CALLERS
    assert transport.most_probes_at_once == 1
    records = [record for record in caplog.records if record.name == "ftm.llm"]
    waits = [r for r in records if re.fullmatch(r"vLLM unhealthy, .*", r.message)]
    ends = [r for r in records if re.fullmatch(r"vLLM recovered after \d+\.\d{1}s", r.message)]
    # All else says why: the last word of a probe, each time that it changes.
    reasons = [r for r in records if r.message.startswith("The LLM server http://127.0.0.1:")]
    assert len(waits) + len(ends) + len(reasons) == len(records)
    assert n_restarts <= len(reasons) <= len(waits)
    assert len(ends) == n_restarts
    for number, (killed, healthy) in enumerate(outages):
        before = ends[number - 1].created if number else 0.0
        mine = [r.message for r in waits if before < r.created < ends[number].created]
        # One poller: its lines rise one interval at a time, each logged once.
        expected = [
            f"vLLM unhealthy, waiting... ({POLL * (step + 1):.0f}s / 120s)"
            for step in range(len(mine))
        ]
        assert mine == expected
        assert mine
        assert ends[number].created <= healthy + POLL + SLACK
        assert ends[number].created >= killed


@pytest.mark.models
async def test_fault_13_server_that_stays_down_ends_the_job_in_time() -> None:
    with LocalServer(slots=2) as server:
        settings = server.settings(
            LlmSettings(max_concurrent=10, health_wait=3, health_poll=0.5, timeout=60)
        )
        async with LlmClient(settings) as client:
            await client.complete(Prompt("", "Name a colour."), max_tokens=2)
            os.kill(server.pid, signal.SIGKILL)
            began = time.monotonic()
            outcomes = await asyncio.gather(
                *(
                    client.complete(Prompt("", f"Name animal {n}."), max_tokens=2)
                    for n in range(N_CALLERS)
                ),
                return_exceptions=True,
            )
            waited = time.monotonic() - began
    assert all(isinstance(outcome, LlmUnavailableError) for outcome in outcomes)
    assert 3 <= waited < 3 + SLACK
