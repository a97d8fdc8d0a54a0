"""A plain handler that plays an OpenAI-compatible server behind httpx's transport."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from ftm_core.contracts.settings import LlmSettings
from ftm_core.llm.answers import AnswerStore
from ftm_core.llm.client import LlmClient
from tests.fakes.llm_forms import first_sentence, in_form
from tests.fakes.llm_time import VirtualTime

MODEL = "Qwen/Qwen3-8B"
Reply = httpx.Response | Exception | Callable[[], Awaitable[httpx.Response]]


def completion(
    text: str | None, *, finish_reason: str = "stop", model: str = MODEL
) -> httpx.Response:
    """A chat completion with this text."""
    choice = {"index": 0, "message": {"content": text}, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 12, "completion_tokens": 7}
    return httpx.Response(200, json={"model": model, "choices": [choice], "usage": usage})


def refusal(status: int, message: str, **more: Any) -> httpx.Response:
    """An error answer in the form that vLLM and llama.cpp share."""
    return httpx.Response(status, json={"error": {"message": message, "code": status, **more}})


class FakeLlmServer:
    """Answers each prompt in the form asked for, or with what was put into ``replies`` first.

    While the clock is within an outage, connections are refused.
    """

    def __init__(self, time: VirtualTime | None = None) -> None:
        self.time = time or VirtualTime()
        self.replies: list[Reply] = []
        self.probe_replies: list[Reply] = []
        self.models: httpx.Response | None = None
        self.properties: httpx.Response | None = None
        self.outages: list[tuple[float, float]] = []
        self.bodies: list[dict[str, Any]] = []
        self.authorizations: list[str | None] = []
        self.n_probes = 0
        self.probes_on_their_way = 0
        self.most_probes_at_once = 0
        self.on_their_way = 0
        self.most_at_once = 0
        self.latency = 0.0

    @property
    def users(self) -> list[str]:
        """The user text of every completion request, in order."""
        return [body["messages"][-1]["content"] for body in self.bodies]

    async def handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/health":
            return await self._probe()
        if any(start <= self.time.seconds < end for start, end in self.outages):
            raise httpx.ConnectError("connection refused")
        if path == "/v1/models":
            listed = {"data": [{"id": MODEL, "max_model_len": 2048}]}
            return self.models or httpx.Response(200, json=listed)
        if path == "/props":
            return self.properties or httpx.Response(404)
        assert path == "/v1/chat/completions", path
        return await self._complete(request)

    async def _probe(self) -> httpx.Response:
        self.n_probes += 1
        self.probes_on_their_way += 1
        self.most_probes_at_once = max(self.most_probes_at_once, self.probes_on_their_way)
        try:
            await asyncio.sleep(0)
            if self.probe_replies:
                return await _given(self.probe_replies.pop(0))
            if any(start <= self.time.seconds < end for start, end in self.outages):
                raise httpx.ConnectError("connection refused")
            return httpx.Response(200)
        finally:
            self.probes_on_their_way -= 1

    async def _complete(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.bodies.append(body)
        self.authorizations.append(request.headers.get("authorization"))
        self.on_their_way += 1
        self.most_at_once = max(self.most_at_once, self.on_their_way)
        try:
            began = self.time.seconds
            await (self.time.sleep(self.latency) if self.latency else asyncio.sleep(0))
            if any(began <= start <= self.time.seconds for start, _ in self.outages if start):
                raise httpx.ReadError("connection reset")
            if self.replies:
                return await _given(self.replies.pop(0))
            text = first_sentence(body) or f"Answer to {body['messages'][-1]['content']}."
            if "response_format" not in body:
                text = f"Answer to {body['messages'][-1]['content']}."
            return completion(in_form(body, text))
        finally:
            self.on_their_way -= 1

    def client(
        self, *, answers: AnswerStore | None = None, real_time: bool = False, **settings: Any
    ) -> LlmClient:
        """A client of this server, in virtual time by default."""
        chosen = LlmSettings(**{"base_url": "http://llm.test/v1", **settings})
        transport = httpx.MockTransport(self.handle)
        if real_time:
            return LlmClient(chosen, answers=answers, transport=transport)
        return LlmClient(
            chosen,
            answers=answers,
            transport=transport,
            clock=self.time.clock,
            sleep=self.time.sleep,
            now=self.time.now,
        )


async def _given(reply: Reply) -> httpx.Response:
    if isinstance(reply, Exception):
        raise reply
    if isinstance(reply, httpx.Response):
        return reply
    return await reply()
