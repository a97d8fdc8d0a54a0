"""A network that fails one request in four, between the client and the real server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import LlmSettings
from ftm_core.llm.answers import AnswerStore
from ftm_core.llm.client import LlmClient
from ftm_core.llm.local_server import LocalServer
from ftm_core.llm.messages import Prompt
from ftm_core.storage import open_storage
from tests.fakes.chaos_proxy import ChaosProxy

QUARTER = Quarter.parse("2023Q1")


@pytest.mark.models
@pytest.mark.parametrize("n_calls", [60, pytest.param(2000, marks=pytest.mark.long)])
async def test_nothing_is_lost_or_asked_twice_through_a_faulty_network(
    n_calls: int, tmp_path: Path
) -> None:
    storage = open_storage(str(tmp_path))
    questions = [Prompt("", f"Name colour {number}.") for number in range(n_calls)]
    with LocalServer(slots=8) as server:
        address = urlsplit(server.base_url)
        assert address.hostname is not None
        assert address.port is not None
        proxy = ChaosProxy(
            address.hostname,
            address.port,
            error=0.05,
            error_status=502,
            reset=0.05,
            truncated=0.04,
            cut=0.04,
            slow=0.05,
            slow_seconds=1.0,
            storm=0.02,
            retry_after=1,
        )
        with proxy.serving():
            settings = server.settings(
                LlmSettings(max_concurrent=20, health_poll=1, health_wait=60, timeout=120)
            ).model_copy(update={"base_url": f"{proxy.url}/v1"})
            answers = AnswerStore.open(storage, QUARTER, writer="job")
            async with LlmClient(settings, answers=answers) as client:
                got = await asyncio.gather(
                    *(client.complete(question, max_tokens=4) for question in questions)
                )
            faults = proxy.done.copy()
            again = AnswerStore.open(storage, QUARTER)
            async with LlmClient(settings, answers=again) as client:
                repeated = [await client.complete(q, max_tokens=4) for q in questions]

    assert {fault for fault, count in faults.items() if count} >= {"error", "reset", "slow"}
    assert [answer.text for answer in repeated] == [answer.text for answer in got]
    assert all(answer.from_store for answer in repeated)
    assert proxy.done == faults
    assert len(again) == n_calls
