"""The one LLM client of a job: each question asked once, its answer kept, outages shared."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import Awaitable, Callable
from typing import Self

import httpx

from ftm_core.contracts import events
from ftm_core.contracts.errors import InputError, LlmRequestError, StorageError
from ftm_core.contracts.settings import LlmSettings
from ftm_core.llm import wire
from ftm_core.llm.addresses import parse_address, proxy_fault
from ftm_core.llm.answers import AnswerStore
from ftm_core.llm.dialect import Dialect
from ftm_core.llm.messages import Answer, Parameters, Prompt, content_hash
from ftm_core.llm.prompt_budget import fit, shorten
from ftm_core.llm.sender import Sender, ServerRefusalError, Timing
from ftm_core.llm.sharing import SharedTask

# A server that does not report its context length is taken to have this many tokens.
UNKNOWN_CONTEXT_LENGTH = 4096
# Refusals without a single answer after which the server is blamed, no longer one item.
MAX_REFUSALS_WITHOUT_ANSWER = 5
_FLUSH_CHECK_SECONDS = 1.0
# These hold for every request: a key, a path or a method that is wrong (403 may be one text's).
_WRONG_ADDRESS = {401, 404, 405, 410}


class LlmClient:
    """Asks an OpenAI-compatible server for chat completions; one instance serves a whole job.

    ``answers`` is searched before the server is asked, and keeps each answer received.
    ``transport`` replaces the network; ``clock``, ``sleep`` and ``now`` replace time. Raises
    InputError when the settings name no usable URL or key.
    """

    def __init__(
        self,
        settings: LlmSettings,
        *,
        answers: AnswerStore | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        listener: events.Listener = events.ignore,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._settings = settings
        self._address = parse_address(settings.base_url, settings.api_key)
        self._base_url = self._address.api
        self._dialect = Dialect()
        self._n_answers = 0
        self._n_refusals = 0
        self._answers = answers
        self._listener = listener
        self._in_flight: dict[str, SharedTask[Answer]] = {}
        self._length: int | None = None
        self._length_question: SharedTask[int] = SharedTask()
        self._flusher: asyncio.Task[None] | None = None
        self._http = self._open_http(transport)
        self._sender = Sender(
            self._http,
            server=self._base_url,
            health_url=f"{self._address.server}/health",
            max_concurrent=settings.max_concurrent,
            timeout=settings.timeout,
            longest_wait=settings.health_wait,
            poll=settings.health_poll,
            timing=Timing(clock, sleep, now),
        )

    async def __aenter__(self) -> Self:
        if self._answers is not None:
            self._flusher = asyncio.create_task(_flush_regularly(self._answers))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._flusher is not None:
            self._flusher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._flusher
        await self._http.aclose()
        await self.save_answers()

    async def complete(self, prompt: Prompt, *, max_tokens: int) -> Answer:
        """The answer to ``prompt``, of at most ``max_tokens`` tokens, from the store or the server.

        Equal prompts at the same time are asked once. Raises LlmRequestError when this one prompt
        cannot be answered, LlmUnavailableError when the server stayed away past the allowed wait,
        StorageError when the answer cannot be kept.
        """
        parameters = Parameters(max_tokens=max_tokens)
        asked = content_hash(prompt, model=self._settings.model_name, parameters=parameters)
        if self._answers is not None and (kept := self._answers.find(asked)) is not None:
            return kept
        shared = self._in_flight.setdefault(asked, SharedTask())
        try:
            return await shared.join(lambda: self._ask(prompt, parameters, asked))
        finally:
            if shared.waiting == 0 and self._in_flight.get(asked) is shared:
                del self._in_flight[asked]

    async def ask(self, prompt: Prompt, max_tokens: int) -> Answer:
        """``complete``, in the form that item_texts asks with."""
        return await self.complete(prompt, max_tokens=max_tokens)

    async def context_length(self) -> int:
        """Tokens that prompt and answer may have together, as the server reports; asked once.

        vLLM reports max_model_len in its list of models, llama.cpp the length of one slot in its
        properties; of a server that reports neither, UNKNOWN_CONTEXT_LENGTH is assumed. Raises
        InputError when the server does not serve the model of the settings or refuses the key,
        LlmUnavailableError as ``complete`` does.
        """
        if self._length is None:
            self._length = await self._length_question.join(self._ask_context_length)
        return self._length

    async def try_completion(self) -> str:
        """Ask for one tiny completion and return its text; no answer is kept.

        Raises InputError when the server refuses it, LlmRequestError when it cannot be answered.
        """
        await self.context_length()
        parameters = Parameters(max_tokens=8)
        schema = '{"type":"object","properties":{"ok":{"type":"boolean"}},"required":["ok"]}'
        prompt = Prompt("Reply with JSON.", 'Reply with {"ok": true}.', schema)
        try:
            reply = await self._ask_server(prompt, parameters)
        except LlmRequestError as error:
            raise InputError(
                error.where, error.cause, "Correct the setting that the server names."
            ) from error
        return reply.text if isinstance(reply, wire.Completion) else ""

    async def wait_until_healthy(self) -> None:
        """Return once the server is healthy; raises LlmUnavailableError past the allowed wait."""
        await self._sender.recovery.check()

    async def save_answers(self) -> None:
        """Make every answer received so far safe; call it before a checkpoint that counts on them.

        Raises StorageError.
        """
        if self._answers is not None:
            await asyncio.to_thread(self._answers.flush)

    async def _ask(self, prompt: Prompt, parameters: Parameters, asked: str) -> Answer:
        length = await self.context_length()
        max_tokens = parameters.max_tokens
        fitting = fit(prompt, context_length=length, max_tokens=max_tokens)
        reply = await self._ask_server(fitting, parameters)
        if isinstance(reply, wire.Overflow):
            shorter = shorten(
                fitting,
                prompt_tokens=reply.prompt_tokens,
                context_length=reply.context_length or length,
                max_tokens=max_tokens,
            )
            reply = await self._ask_server(shorter, parameters)
        if isinstance(reply, wire.Overflow):
            raise LlmRequestError(
                f"The LLM server {self._base_url}",
                "refused the prompt as too long even after it was shortened once",
                "Serve the model with a longer context, or lower the answer's token limit.",
            )
        answer = Answer(
            text=reply.text,
            model=reply.model,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            finish_reason=reply.finish_reason,
            content_hash=asked,
            from_store=False,
        )
        if self._answers is not None:
            self._answers.add(answer)
            if self._answers.due:
                await asyncio.to_thread(self._answers.flush)
        return answer

    async def _ask_server(
        self, prompt: Prompt, parameters: Parameters
    ) -> wire.Completion | wire.Overflow:
        """Send the request, less what the server turned out to refuse; others then profit too."""
        model = self._settings.model_name
        while True:
            dialect = self._dialect
            try:
                reply = await self._sender.send(
                    "POST",
                    f"{self._base_url}/chat/completions",
                    dialect.body(prompt, model=model, parameters=parameters),
                    lambda response: wire.read_reply(response, asked_model=model),
                )
            except ServerRefusalError as refusal:
                if self._dialect == dialect:
                    self._learn(refusal, prompt)
                continue
            self._n_answers += 1
            return reply

    def _learn(self, refusal: ServerRefusalError, prompt: Prompt) -> None:
        """Leave out the refused field from now on; raises when no field is the cause."""
        if learned := self._dialect.without_refused(refusal.reason, prompt):
            self._dialect, note = learned
            self._listener(events.Note(f"The LLM server {self._base_url} {note}."))
            return
        self._n_refusals += 1
        first = self._n_answers == 0 and refusal.status in _WRONG_ADDRESS
        if self._n_answers == 0 and (first or self._n_refusals >= MAX_REFUSALS_WITHOUT_ANSWER):
            raise InputError(
                f"The LLM server {self._base_url}",
                f"refuses every request ({refusal.reason})",
                "Correct LLM_BASE_URL, LLM_MODEL_NAME or LLM_API_KEY; `ftm validate` tries them.",
            ) from refusal
        raise LlmRequestError(refusal.where, refusal.cause, refusal.hint) from refusal

    async def _ask_context_length(self) -> int:
        model_name = self._settings.model_name
        served = await self._served_models()
        listed = {model.name: model.max_length for model in served}
        if listed and model_name not in listed:
            raise InputError(
                f"The LLM server {self._base_url}",
                f"serves {', '.join(sorted(listed))}, not {model_name}",
                "Set LLM_MODEL_NAME to a model that it serves.",
            )
        if length := listed.get(model_name, 0):
            return length
        properties = await self._get(f"{self._address.server}/props")
        if length := wire.read_slot_length(properties.content):
            return length
        self._listener(
            events.Note(
                f"The LLM server does not report its context length: prompts are cut to fit "
                f"{UNKNOWN_CONTEXT_LENGTH} tokens."
            )
        )
        return UNKNOWN_CONTEXT_LENGTH

    async def _served_models(self) -> list[wire.ServedModel]:
        """The server's models, from the first likely URL that lists any; that URL is used on."""
        for url in self._address.alternatives():
            response = await self._get(f"{url}/models")
            if response.status_code in {401, 403}:
                raise InputError(
                    f"The LLM server {self._base_url}",
                    f"refused the key ({wire.reason_of(response)})",
                    "Set LLM_API_KEY to a key that it accepts.",
                )
            served = wire.read_models(response.content) if response.is_success else []
            if served:
                if url != self._base_url:
                    self._listener(
                        events.Note(f"LLM_BASE_URL: {url} is used in place of {self._base_url}.")
                    )
                    self._base_url = url
                return served
        return []

    def _open_http(self, transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
        authorization = self._address.authorization
        try:
            return httpx.AsyncClient(
                transport=transport,
                headers={"authorization": authorization} if authorization else {},
                timeout=self._settings.timeout,
                limits=httpx.Limits(max_connections=self._settings.max_concurrent + 2),
                # A proxy named in the environment could not reach this machine's own server.
                trust_env=not self._address.is_loopback,
            )
        except (ImportError, ValueError, OSError, httpx.InvalidURL) as error:
            raise proxy_fault(error) from error

    async def _get(self, url: str) -> httpx.Response:
        return await self._sender.send("GET", url, None, lambda response: response)


async def _flush_regularly(answers: AnswerStore) -> None:
    """Bound the time for which an answer is held, when no further answer comes to flush it."""
    while True:
        await asyncio.sleep(_FLUSH_CHECK_SECONDS)
        if answers.due:
            # A store that fails here keeps its answers pending, and fails the next answer's own
            # flush or the closing one, where somebody hears of it.
            with contextlib.suppress(StorageError):
                await asyncio.to_thread(answers.flush)
