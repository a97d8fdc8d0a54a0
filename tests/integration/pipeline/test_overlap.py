"""Models and LLM work at the same time: neither waits until the other is done (fault 15)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx

from tests.fakes.chaos_models import RuleWorkers
from tests.fakes.llm_server import FakeLlmServer
from tests.integration.pipeline.conftest import N_FIRMS, Pipeline


class CountingWorkers(RuleWorkers):
    """Signals when so many firms are modelled, and delays later ones until an answer came."""

    def __init__(self, *, n_ahead: int) -> None:
        super().__init__()
        self.is_ahead = asyncio.Event()
        self.answered = asyncio.Event()
        self._n_ahead = n_ahead

    async def call(self, function: Any, *arguments: Any) -> Any:
        if len(self.modelled) >= self._n_ahead:
            await self.answered.wait()
        modelled = await super().call(function, *arguments)
        if len(self.modelled) >= self._n_ahead:
            self.is_ahead.set()
        return modelled


class LateServer(FakeLlmServer):
    """Answers nothing before the models are some firms ahead."""

    def __init__(self, workers: CountingWorkers) -> None:
        super().__init__()
        self._workers = workers

    async def _complete(self, request: httpx.Request) -> httpx.Response:
        await self._workers.is_ahead.wait()
        answered = await super()._complete(request)
        self._workers.answered.set()
        return answered


async def test_fault_15_modelling_and_llm_requests_overlap(
    pipeline: Pipeline,
) -> None:
    workers = CountingWorkers(n_ahead=3)
    pipeline = replace(pipeline, workers=workers, server=LateServer(workers))

    # In turn, either side would wait for the other for ever.
    async with asyncio.timeout(30):
        outcome = await pipeline.map()

    assert outcome.n_completed == N_FIRMS
    assert len(workers.modelled) == N_FIRMS
