"""What the client sends, what it makes of each kind of answer, and what it never asks twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ftm_core.contracts import events
from ftm_core.contracts.errors import (
    InputError,
    LlmRequestError,
    LlmUnavailableError,
    StorageError,
)
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import LlmSettings
from ftm_core.llm.answers import FLUSH_SECONDS, AnswerStore
from ftm_core.llm.client import UNKNOWN_CONTEXT_LENGTH, LlmClient
from ftm_core.llm.messages import Answer, Prompt
from ftm_core.storage import open_storage
from tests.fakes.llm_bucket import BucketLike
from tests.fakes.llm_server import MODEL, FakeLlmServer, Reply, completion, refusal

QUARTER = Quarter.parse("2023Q1")
VLLM_TOO_LONG = (
    "This model's maximum context length is 2048 tokens. However, you requested 80 output tokens "
    "and your prompt contains 4000 input tokens, for a total of 4080 tokens."
)


def prompt(text: str, system: str = "Be brief.") -> Prompt:
    return Prompt(system, text)


async def ask(server: FakeLlmServer, question: Prompt, max_tokens: int = 20) -> Answer:
    async with server.client() as client:
        return await client.complete(question, max_tokens=max_tokens)


async def test_request_is_deterministic_bounded_and_without_thinking() -> None:
    server = FakeLlmServer()
    async with server.client(api_key="secret-key") as client:
        answer = await client.complete(prompt("Sentences"), max_tokens=33)
    assert server.bodies == [
        {
            "model": MODEL,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Sentences"},
            ],
            "temperature": 0.0,
            "seed": 42,
            "max_tokens": 33,
            "stream": False,
            "chat_template_kwargs": {"enable_thinking": False},
        }
    ]
    assert server.authorizations == ["Bearer secret-key"]
    assert (answer.text, answer.model, answer.prompt_tokens, answer.completion_tokens) == (
        "Answer to Sentences.",
        MODEL,
        12,
        7,
    )
    assert len(answer.content_hash) == 64
    assert not answer.from_store


@pytest.mark.parametrize(
    "fault",
    [
        refusal(500, "worker died"),
        refusal(502, "bad gateway"),
        refusal(503, "no target"),
        refusal(504, "gateway timeout"),
        refusal(408, "request timeout"),
        httpx.ConnectError("connection refused"),
        httpx.ReadError("connection reset by peer"),
        httpx.RemoteProtocolError("peer closed connection without sending complete body"),
        httpx.ReadTimeout("timed out"),
        httpx.Response(200, content=b'{"choices": [{"message": {"cont'),
        httpx.Response(200, content=b""),
        httpx.Response(200, json={"choices": []}),
        httpx.Response(200, json=["not", "an", "object"]),
        httpx.Response(200, json={"choices": [{"message": {"content": ["parts"]}}]}),
        httpx.Response(200, content=b"<html>proxy page</html>"),
    ],
    ids=lambda fault: str(getattr(fault, "status_code", type(fault).__name__)),
)
async def test_a_passing_fault_is_asked_again(fault: Reply) -> None:
    server = FakeLlmServer()
    server.replies = [fault]
    assert (await ask(server, prompt("u"))).text == "Answer to u."
    assert len(server.bodies) == 2


@pytest.mark.parametrize("status", [401, 403, 404, 409, 422])
async def test_another_refusal_fails_its_topic_with_the_servers_reason(status: int) -> None:
    server = FakeLlmServer()
    server.replies = [completion("Fine."), refusal(status, "The model `x` does not exist.")]
    async with server.client() as client:
        await client.complete(prompt("first"), max_tokens=20)
        with pytest.raises(LlmRequestError, match=rf"HTTP {status}: The model `x` does not exist"):
            await client.complete(prompt("u"), max_tokens=20)
    assert len(server.bodies) == 2


async def test_lasting_error_of_a_healthy_server_fails_its_topic() -> None:
    server = FakeLlmServer()
    server.replies = [refusal(500, "cannot") for _ in range(100)]
    with pytest.raises(LlmRequestError, match=r"8 times .* HTTP 500: cannot"):
        await ask(server, prompt("u"))
    assert server.time.seconds < 60


async def test_an_answer_that_never_comes_is_given_up_after_its_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The operator is told once what to do: without it a slow server looks like a hanging run."""
    server = FakeLlmServer()

    async def never() -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    server.replies = [never for _ in range(5)]
    async with server.client(timeout=0.05) as client:
        with pytest.raises(LlmRequestError, match=r"no answer within 0\.05 s"):
            await client.complete(prompt("u"), max_tokens=20)
    assert len(server.bodies) == 3
    (told,) = [record.message for record in caplog.records if record.name == "ftm.llm"]
    assert "gave no answer within 0.05 s" in told
    assert "raise LLM_TIMEOUT" in told


@pytest.mark.parametrize("value", ["20", "Wed, 01 Feb 2023 00:00:20 GMT"])
async def test_429_honours_retry_after_in_both_forms(value: str) -> None:
    server = FakeLlmServer()
    server.replies = [httpx.Response(429, headers={"retry-after": value})]
    assert (await ask(server, prompt("u"))).text == "Answer to u."
    assert server.time.seconds == pytest.approx(20)


async def test_a_retry_after_date_is_read_by_the_servers_own_clock() -> None:
    server = FakeLlmServer()
    headers = {
        "date": "Mon, 04 Mar 2030 10:00:00 GMT",
        "retry-after": "Mon, 04 Mar 2030 10:00:12 GMT",
    }
    server.replies = [httpx.Response(429, headers=headers)]
    await ask(server, prompt("u"))
    assert server.time.seconds == pytest.approx(12)


async def test_429_holds_back_the_other_calls_too() -> None:
    server = FakeLlmServer()
    server.replies = [httpx.Response(429, headers={"retry-after": "30"})]
    async with server.client(max_concurrent=1) as client:
        await asyncio.gather(*(client.complete(prompt(f"u{n}"), max_tokens=20) for n in range(5)))
    assert len(server.bodies) == 6
    assert server.time.seconds == pytest.approx(30)


async def test_a_429_storm_loses_nothing() -> None:
    server = FakeLlmServer()
    server.replies = [httpx.Response(429) for _ in range(60)]
    async with server.client(max_concurrent=10) as client:
        answers = await asyncio.gather(
            *(client.complete(prompt(f"u{n}"), max_tokens=20) for n in range(40))
        )
    assert len({answer.text for answer in answers}) == 40


async def test_a_wait_for_a_slot_between_two_429_is_no_throttling() -> None:
    server = FakeLlmServer()
    server.latency = 50
    asked_to_wait = httpx.Response(429, headers={"retry-after": "1"})
    server.replies = [
        asked_to_wait,
        *(completion(f"Answer {n}.") for n in range(19)),
        asked_to_wait,
    ]
    async with server.client(max_concurrent=1) as client:
        await asyncio.gather(*(client.complete(prompt(f"u{n}"), max_tokens=20) for n in range(20)))
    assert [place for place, user in enumerate(server.users) if user == "u0"] == [0, 20, 21]
    assert server.time.seconds > 600


@pytest.mark.parametrize("headers", [{"retry-after": "3600"}, {"retry-after": "0"}, {}])
async def test_throttling_past_the_wait_ends_the_job_as_retryable(
    headers: dict[str, str],
) -> None:
    server = FakeLlmServer()
    server.replies = [httpx.Response(429, headers=headers) for _ in range(1000)]
    with pytest.raises(LlmUnavailableError, match="slow down"):
        await ask(server, prompt("u"))
    assert server.time.seconds <= 600


@pytest.mark.parametrize(
    "body",
    [
        refusal(400, VLLM_TOO_LONG, type="BadRequestError", param="input_tokens"),
        refusal(
            400,
            "request (4000 tokens) exceeds the available context size (2048 tokens)",
            type="exceed_context_size_error",
            n_prompt_tokens=4000,
            n_ctx=2048,
        ),
        refusal(400, "too long", code="context_length_exceeded"),
    ],
    ids=["vllm", "llama.cpp", "openai"],
)
async def test_a_prompt_refused_as_too_long_is_shortened_once(body: httpx.Response) -> None:
    server = FakeLlmServer()
    server.replies = [body]
    items = "\n".join(f"- sentence number {n}" for n in range(100))
    question = prompt(f"Sentences:\n{items}\n\nWhat is reported?")

    answer = await ask(server, question)

    long, short = server.users
    assert long == question.user
    assert len(short) < 0.95 * len(long)
    assert short.startswith("Sentences:\n- sentence number 0\n")
    assert short.endswith("\n\nWhat is reported?")
    assert answer.text.startswith("Answer to Sentences")


async def test_a_prompt_still_too_long_fails_its_topic() -> None:
    server = FakeLlmServer()
    server.replies = [refusal(400, VLLM_TOO_LONG) for _ in range(5)]
    with pytest.raises(LlmRequestError, match="shortened once"):
        await ask(server, prompt("words " * 100))
    assert len(server.bodies) == 2


async def test_fault_3_no_prompt_exceeds_the_context_of_the_model() -> None:
    server = FakeLlmServer()
    items = "\n".join(f"- a sentence about revenue, number {n}" for n in range(5000))
    await ask(server, prompt(f"Sentences:\n{items}\n\nWhat is reported?"), max_tokens=80)
    [sent] = server.users
    assert len(sent) < 2048 * 3
    assert sent.endswith("What is reported?")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<think>hmm, growth?</think>\n\nRevenue grew.", "Revenue grew."),
        ("<think>\n\n</think>\n\nRevenue grew.", "Revenue grew."),
        ("hmm, growth?</think>Revenue grew.", "Revenue grew."),
        ("<THINK>a</THINK>Revenue <think>b</think>grew.", "Revenue grew."),
    ],
)
async def test_fault_1_thinking_is_stripped(content: str, expected: str, tmp_path: Path) -> None:
    server = FakeLlmServer()
    server.replies = [completion(content)]
    answers = AnswerStore.open(open_storage(str(tmp_path)), QUARTER, writer="job")
    async with server.client(answers=answers) as client:
        answer = await client.complete(prompt("u"), max_tokens=20)
    assert answer.text == expected
    assert b"think" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*.jsonl"))


@pytest.mark.parametrize(
    "content",
    [
        "<think>I should look at",
        "Fine. <think>But wait",
        "<think>only thought</think>",
        "",
        None,
        "  ",
    ],
)
async def test_fault_1_answer_with_endless_thinking_is_not_cached(
    content: str | None, tmp_path: Path
) -> None:
    server = FakeLlmServer()
    server.replies = [completion(content, finish_reason="length")]
    answers = AnswerStore.open(open_storage(str(tmp_path)), QUARTER, writer="job")
    async with server.client(answers=answers) as client:
        with pytest.raises(LlmRequestError, match="an answer that holds"):
            await client.complete(prompt("u"), max_tokens=20)
    assert len(answers) == 0
    assert len(server.bodies) == 1


async def test_an_answer_found_is_never_asked_for_again(tmp_path: Path) -> None:
    server = FakeLlmServer()
    storage = open_storage(str(tmp_path))
    questions = [prompt(f"u{n}") for n in range(20)]
    first: list[Answer] = []
    for run in range(2):
        answers = AnswerStore.open(storage, QUARTER, writer="job")
        async with server.client(answers=answers) as client:
            got = await asyncio.gather(*(client.complete(q, max_tokens=20) for q in questions))
        if run == 0:
            first = list(got)
    assert len(server.bodies) == 20
    assert [answer.text for answer in got] == [answer.text for answer in first]
    assert [answer.content_hash for answer in got] == [answer.content_hash for answer in first]
    assert {answer.from_store for answer in got} == {True}


@pytest.mark.parametrize(
    "change",
    [{"model_name": "another"}],
)
async def test_changed_parameter_sends_a_new_request(
    change: dict[str, Any], tmp_path: Path
) -> None:
    server = FakeLlmServer()
    server.models = httpx.Response(200, json={"data": [{"id": MODEL}, {"id": "another"}]})
    answers = AnswerStore.open(open_storage(str(tmp_path)), QUARTER, writer="job")
    for settings in ({}, change):
        async with server.client(answers=answers, **settings) as client:
            await client.complete(prompt("u"), max_tokens=20)
    async with server.client(answers=answers) as client:
        await client.complete(prompt("u"), max_tokens=21)
    assert len(server.bodies) == 3


async def test_equal_prompts_at_the_same_time_are_asked_once() -> None:
    server = FakeLlmServer()
    async with server.client() as client:
        answers = await asyncio.gather(
            *(client.complete(prompt(f"u{n % 3}"), max_tokens=20) for n in range(30))
        )
    assert len(server.bodies) == 3
    assert len({answer.text for answer in answers}) == 3


async def test_cancelling_one_of_two_equal_requests_answers_the_other() -> None:
    server = FakeLlmServer()
    server.latency = 5.0
    async with server.client() as client:
        first = asyncio.create_task(client.complete(prompt("u"), max_tokens=20))
        while not server.on_their_way:
            await asyncio.sleep(0)
        second = asyncio.create_task(client.complete(prompt("u"), max_tokens=20))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).text == "Answer to u."
    assert first.cancelled()
    assert len(server.bodies) == 1


async def test_cancellation_takes_the_request_back_and_frees_its_slot() -> None:
    server = FakeLlmServer()
    server.latency = 1000.0
    async with server.client(max_concurrent=1) as client:
        call = asyncio.create_task(client.complete(prompt("slow"), max_tokens=20))
        while not server.on_their_way:
            await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        server.latency = 0.0
        assert (await client.complete(prompt("u"), max_tokens=20)).text == "Answer to u."
    assert server.on_their_way == 0


async def test_no_more_requests_than_allowed_are_on_their_way() -> None:
    server = FakeLlmServer()
    server.latency = 1.0
    async with server.client(max_concurrent=4) as client:
        await asyncio.gather(*(client.complete(prompt(f"u{n}"), max_tokens=20) for n in range(40)))
    assert server.most_at_once == 4
    assert server.time.seconds == pytest.approx(10)


async def test_damaged_text_is_sent_in_a_form_that_servers_read() -> None:
    server = FakeLlmServer()
    await ask(server, prompt("half \ud83d and NUL \x00 and “quotes”"))
    assert server.users == ["half ? and NUL \x00 and “quotes”"]


@pytest.mark.parametrize(
    ("models", "properties", "expected"),
    [
        ({"data": [{"id": MODEL, "max_model_len": 4321}]}, None, 4321),
        ({"data": [{"id": MODEL, "meta": {"n_ctx": 1024, "n_ctx_train": 8192}}]}, None, 1024),
        (
            {"data": [{"id": MODEL, "meta": {"n_ctx_train": 8192}}]},
            {"default_generation_settings": {"n_ctx": 512}},
            512,
        ),
        ({"data": [{"id": MODEL}]}, None, UNKNOWN_CONTEXT_LENGTH),
        ({"detail": "Not Found"}, None, UNKNOWN_CONTEXT_LENGTH),
    ],
    ids=["vllm", "llama.cpp", "older llama.cpp", "hosted", "no list"],
)
async def test_the_context_length_is_the_one_that_is_served(
    models: object, properties: object, expected: int
) -> None:
    server = FakeLlmServer()
    server.models = httpx.Response(200, json=models)
    server.properties = httpx.Response(200, json=properties) if properties else None
    async with server.client() as client:
        assert await client.context_length() == expected


async def test_unknown_context_length_is_reported_once() -> None:
    server = FakeLlmServer()
    server.models = httpx.Response(404)
    notices: list[events.Event] = []
    settings = LlmSettings(base_url="http://llm.test/v1")
    async with LlmClient(
        settings, transport=httpx.MockTransport(server.handle), listener=notices.append
    ) as client:
        await client.context_length()
        await client.context_length()
    assert len(notices) == 1


async def test_a_model_that_is_not_served_stops_before_any_topic() -> None:
    server = FakeLlmServer()
    async with server.client(model_name="other/model") as client:
        with pytest.raises(InputError, match=r"serves Qwen/Qwen3-8B, not other/model"):
            await client.complete(prompt("u"), max_tokens=20)
    assert server.bodies == []


async def test_a_refused_key_stops_before_any_topic_and_is_not_shown() -> None:
    server = FakeLlmServer()
    server.models = refusal(401, "Unauthorized")
    async with server.client(api_key="secret-key") as client:
        with pytest.raises(InputError, match="refused the key") as caught:
            await client.context_length()
    assert "secret-key" not in str(caught.value)


@pytest.mark.parametrize(
    "broken",
    [
        {"base_url": ""},
        {"base_url": "127.0.0.1:8000/v1"},
        {"base_url": "ftp://host/v1"},
        {"base_url": "http:///v1"},
        {"base_url": "http://llm.test/v1", "api_key": "line\nbreak"},
        {"base_url": "http://[::1/v1"},
        {"base_url": "http://host:port/v1"},
    ],
)
def test_settings_that_name_no_server_are_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        LlmClient(LlmSettings(**broken))


@pytest.mark.parametrize("suffix", ["", "/"])
async def test_health_is_asked_at_the_servers_own_address(suffix: str) -> None:
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(200)

    settings = LlmSettings(base_url=f"http://llm.test:8000/v1{suffix}")
    async with LlmClient(settings, transport=httpx.MockTransport(handle)) as client:
        await client.wait_until_healthy()
    assert seen == ["http://llm.test:8000/health"]


async def test_no_error_of_the_http_library_leaves_the_client() -> None:
    kinds: list[Callable[[str], Exception]] = [
        kind
        for kind in vars(httpx).values()
        if isinstance(kind, type) and issubclass(kind, httpx.HTTPError)
        if kind is not httpx.HTTPStatusError
    ]
    assert len(kinds) > 15
    for kind in kinds:
        server = FakeLlmServer()
        server.replies = [kind("broken") for _ in range(20)]
        with pytest.raises(LlmRequestError):
            await ask(server, prompt("u"))


async def test_answers_are_saved_without_a_further_one_and_at_the_end(tmp_path: Path) -> None:
    now = 0.0
    storage: Any = BucketLike(tmp_path)
    server = FakeLlmServer()
    answers = AnswerStore.open(storage, QUARTER, writer="job", clock=lambda: now)
    async with server.client(answers=answers) as client:
        await client.complete(prompt("first"), max_tokens=20)
        assert len(AnswerStore.open(storage, QUARTER)) == 0
        now = FLUSH_SECONDS
        async with asyncio.timeout(5):
            while not storage.writes:
                await asyncio.sleep(0.01)
        await client.complete(prompt("second"), max_tokens=20)
    assert len(AnswerStore.open(storage, QUARTER)) == 2


async def test_a_store_that_fails_is_no_fault_of_a_topic(tmp_path: Path) -> None:
    now = 0.0
    storage: Any = BucketLike(tmp_path)
    storage.failing = True
    server = FakeLlmServer()
    answers = AnswerStore.open(storage, QUARTER, writer="job", clock=lambda: now)
    client = server.client(answers=answers)
    async with client:
        await client.complete(prompt("first"), max_tokens=20)
        now = 2 * FLUSH_SECONDS
        with pytest.raises(StorageError, match="throttled"):
            await client.complete(prompt("second"), max_tokens=20)
        storage.failing = False
    assert len(AnswerStore.open(storage, QUARTER)) == 2


async def test_answers_are_safe_before_a_checkpoint_counts_on_them(tmp_path: Path) -> None:
    storage: Any = BucketLike(tmp_path)
    answers = AnswerStore.open(storage, QUARTER, writer="job")
    async with FakeLlmServer().client(answers=answers) as client:
        answer = await client.complete(prompt("u"), max_tokens=20)
        await client.save_answers()
        assert AnswerStore.open(storage, QUARTER).contains(answer.content_hash)
