"""Servers that refuse one field of the request: learned once, and left out for the whole job."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from ftm_core.contracts import events
from ftm_core.contracts.errors import InputError, LlmRequestError
from ftm_core.contracts.settings import LlmSettings
from ftm_core.llm.client import MAX_REFUSALS_WITHOUT_ANSWER, LlmClient
from ftm_core.llm.messages import Prompt
from tests.fakes.llm_server import MODEL, completion

SCHEMA = '{"type":"object","properties":{"summary":{"type":"string"}},"required":["summary"]}'
CHOICE = '{"type":"integer","enum":[1,2]}'


def _message(text: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": text, **more}}


@dataclass(frozen=True)
class Strict:
    """A server that refuses requests of one kind: when, with which status, and in which words."""

    name: str
    refuses: Callable[[dict[str, Any]], bool]
    status: int
    body: Any


def _has(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda body: name in body


def _system(body: dict[str, Any]) -> bool:
    return any(message["role"] == "system" for message in body["messages"])


def _root_is_no_object(body: dict[str, Any]) -> bool:
    asked = body.get("response_format", {}).get("json_schema", {}).get("schema", {})
    return bool(asked) and asked["type"] != "object"


# The words are those that each server was seen to answer with, or has in its source.
SERVERS = [
    Strict(
        "vLLM, Mistral tokenizer",
        _has("chat_template_kwargs"),
        400,
        _message("chat_template is not supported for Mistral tokenizers.", code=400),
    ),
    Strict(
        "TGI, strict fields",
        _has("chat_template_kwargs"),
        422,
        {
            "detail": [
                {
                    "type": "extra_forbidden",
                    "loc": ["body", "chat_template_kwargs"],
                    "msg": "Extra inputs are not permitted",
                }
            ]
        },
    ),
    Strict(
        "gateway that names no field",
        _has("chat_template_kwargs"),
        422,
        _message("Extra inputs are not permitted"),
    ),
    Strict("vLLM, Gemma 2", _system, 400, _message("System role not supported")),
    Strict(
        "llama.cpp, template without a system role",
        _system,
        500,
        _message("Value is not callable: jinja error: System role not supported", code=500),
    ),
    Strict(
        "Gemma API",
        _system,
        400,
        _message("Developer instruction is not enabled: model does not support a system message"),
    ),
    Strict(
        "vLLM, alternating roles",
        _system,
        400,
        _message("Conversation roles must alternate user/assistant/user/assistant/..."),
    ),
    Strict(
        "OpenAI, reasoning models",
        _has("max_tokens"),
        400,
        _message(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            type="invalid_request_error",
            param="max_tokens",
            code="unsupported_parameter",
        ),
    ),
    Strict(
        "OpenAI, temperature",
        _has("temperature"),
        400,
        _message(
            "Unsupported value: 'temperature' does not support 0.0 with this model. "
            "Only the default (1) value is supported.",
            param="temperature",
            code="unsupported_value",
        ),
    ),
    Strict("seedless", _has("seed"), 400, _message("Unrecognized request argument: seed")),
    Strict(
        "LM Studio, older",
        _has("response_format"),
        400,
        {"error": "'response_format.type' must be 'json_object' or 'text'"},
    ),
    Strict(
        "vLLM, no grammar backend",
        _has("response_format"),
        400,
        _message("The guided decoding backend does not support this json_schema"),
    ),
    Strict(
        "OpenAI, root of a schema",
        _root_is_no_object,
        400,
        _message(
            "Invalid schema for response_format 'answer': schema must be a JSON Schema of "
            "'type: \"object\"', got 'type: \"integer\"'.",
            param="response_format",
        ),
    ),
]


@dataclass
class StrictServer:
    """Plays one or more strict servers at once and remembers what it was sent."""

    kinds: list[Strict]
    bodies: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def handle(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"data": [{"id": MODEL, "max_model_len": 4096}]})
        body = json.loads(request.content)
        self.bodies.append(body)
        for kind in self.kinds:
            if kind.refuses(body):
                return httpx.Response(kind.status, json=kind.body)
        return completion("1")

    def listen(self, event: events.Event) -> None:
        if isinstance(event, events.Note):
            self.notes.append(event.text)

    def client(self) -> LlmClient:
        settings = LlmSettings(base_url="http://llm.test/v1", max_concurrent=10)
        transport = httpx.MockTransport(self.handle)
        return LlmClient(settings, transport=transport, listener=self.listen)


def prompt(number: int) -> Prompt:
    return Prompt("Be brief.", f"Question {number}", SCHEMA if number % 2 else CHOICE)


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
async def test_fault_b4_a_refused_field_is_left_out_once(kind: Strict) -> None:
    server = StrictServer([kind])
    async with server.client() as client:
        first = await client.complete(prompt(0), max_tokens=8)
        await client.complete(prompt(1), max_tokens=8)
        n_learning = len(server.bodies)
        await asyncio.gather(*(client.complete(prompt(n), max_tokens=8) for n in range(2, 20)))
    assert first.text == "1"
    # Each of the two schemas may have to be refused for itself; nothing is refused later.
    assert n_learning <= 4
    assert len(server.bodies) == n_learning + 18
    assert not any(kind.refuses(body) for body in server.bodies[n_learning:])
    assert 1 <= len(server.notes) <= 2


async def test_fault_b4_ten_requests_at_once_learn_together() -> None:
    server = StrictServer([SERVERS[0], SERVERS[3], SERVERS[7], SERVERS[8], SERVERS[9]])
    async with server.client() as client:
        await asyncio.gather(*(client.complete(prompt(1 + 2 * n), max_tokens=8) for n in range(10)))
    assert len(server.notes) == 5
    last = server.bodies[-1]
    assert [message["role"] for message in last["messages"]] == ["user"]
    assert last["messages"][0]["content"].startswith("Be brief.\n\nQuestion")
    assert last["max_completion_tokens"] == 8
    assert not {"max_tokens", "temperature", "seed", "chat_template_kwargs"} & set(last)


async def test_request_hash_is_the_same_without_refused_fields() -> None:
    hashes = set()
    for kinds in ([], SERVERS[:1], [SERVERS[3], SERVERS[10]]):
        async with StrictServer(list(kinds)).client() as client:
            hashes.add((await client.complete(prompt(1), max_tokens=8)).content_hash)
    assert len(hashes) == 1


@pytest.mark.parametrize("status", [400, 409, 422])
async def test_fault_b4_refusals_of_every_request_end_the_run(status: int) -> None:
    kind = Strict("all", lambda _: True, status, _message("the model is not loaded"))
    server = StrictServer([kind])
    async with server.client() as client:
        for number in range(MAX_REFUSALS_WITHOUT_ANSWER - 1):
            with pytest.raises(LlmRequestError, match="the model is not loaded"):
                await client.complete(prompt(number), max_tokens=8)
        with pytest.raises(InputError, match=r"refuses every request .*the model is not loaded"):
            await client.complete(prompt(99), max_tokens=8)


@pytest.mark.parametrize("status", [401, 404, 405])
async def test_fault_b8_a_wrong_path_or_key_ends_the_run_at_once(status: int) -> None:
    kind = Strict("all", lambda _: True, status, _message("no such page"))
    async with StrictServer([kind]).client() as client:
        with pytest.raises(InputError, match="refuses every request"):
            await client.complete(prompt(1), max_tokens=8)


async def test_try_completion_says_what_validate_needs_to_know() -> None:
    async with StrictServer([SERVERS[0]]).client() as client:
        assert await client.try_completion() == "1"
    kind = Strict("all", lambda _: True, 400, _message("quota exceeded"))
    async with StrictServer([kind]).client() as client:
        with pytest.raises(InputError, match="quota exceeded"):
            await client.try_completion()
