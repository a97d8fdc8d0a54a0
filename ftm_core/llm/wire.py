"""The chat completions protocol as pure functions: request bodies, answers, error bodies."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from ftm_core.llm.messages import Parameters, Prompt

_THINK_BLOCK = re.compile(r"<think>.*?</think>", re.DOTALL | re.IGNORECASE)
_THINK_TAG = re.compile(r"</?think\b[^>]*>?", re.IGNORECASE)
_CONTEXT_WORDS = re.compile(
    r"context[ _](?:length|size|window)|maximum model length", re.IGNORECASE
)
# vLLM: "maximum context length is 2048 tokens", or "maximum model length of 2048".
_LIMIT_WORDS = re.compile(r"maximum (?:context|model) length (?:is|of) (\d+)", re.IGNORECASE)
# vLLM: "prompt contains 1969 tokens", "(1969 in the messages". Since 0.32 it counts no further than
# its context and says "contains at least 2049 input tokens", which is no count of the prompt.
_PROMPT_WORDS = re.compile(
    r"contains (\d+) (?:input )?tokens|\((\d+) in the messages", re.IGNORECASE
)
_LONGEST_REASON = 300


class MalformedAnswerError(ValueError):
    """The body is not a chat completion: cut short on its way, or from something else."""


class RefusedAnswerError(ValueError):
    """The body is a chat completion whose text must not be stored."""


class RejectedRequestError(ValueError):
    """The server refused the request itself (4xx), with its reason."""


@dataclass(frozen=True)
class Completion:
    """The parts of a chat completion that are kept."""

    text: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str


@dataclass(frozen=True)
class Overflow:
    """A prompt too long for the context, with the counts (tokens) where the server told them."""

    prompt_tokens: int | None
    context_length: int | None


def request_body(prompt: Prompt, *, model: str, parameters: Parameters) -> dict[str, Any]:
    """The JSON body of one chat completion request."""
    messages = [{"role": "user", "content": _sendable(prompt.user)}]
    if prompt.system:
        messages.insert(0, {"role": "system", "content": _sendable(prompt.system)})
    return {
        "model": model,
        "messages": messages,
        "temperature": parameters.temperature,
        "seed": parameters.seed,
        "max_tokens": parameters.max_tokens,
        "stream": False,
        "chat_template_kwargs": {"enable_thinking": parameters.enable_thinking},
    }


def read_json(body: bytes) -> dict[str, Any]:
    """A JSON object; raises MalformedAnswerError for anything else."""
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise MalformedAnswerError("the answer is not JSON; it may have been cut short") from error
    if not isinstance(parsed, dict):
        raise MalformedAnswerError("the answer is not a JSON object")
    return parsed


@dataclass(frozen=True)
class ServedModel:
    """One model that a server lists; ``max_length`` is its context in tokens, 0 if not told."""

    name: str
    max_length: int


def read_models(body: bytes) -> list[ServedModel]:
    """The models of a ``/v1/models`` answer; empty when it is no such list."""
    try:
        listed = read_json(body).get("data")
    except MalformedAnswerError:
        return []
    if not isinstance(listed, list):
        return []
    return [
        ServedModel(str(item["id"]), _count(item.get("max_model_len")) or _slot_context(item))
        for item in listed
        if isinstance(item, dict) and "id" in item
    ]


def _slot_context(item: dict[str, Any]) -> int:
    # Its n_ctx_train, beside it, is what the model was trained for and not what is served.
    meta = item.get("meta")
    return _count(meta.get("n_ctx")) if isinstance(meta, dict) else 0


def read_slot_length(body: bytes) -> int:
    """Context of one slot (tokens) from llama.cpp's ``/props``; 0 when it is not told."""
    try:
        told = read_json(body).get("default_generation_settings")
    except MalformedAnswerError:
        return 0
    return _count(told.get("n_ctx")) if isinstance(told, dict) else 0


def read_reply(response: httpx.Response, *, asked_model: str) -> Completion | Overflow:
    """The completion that an answer holds, or that its prompt was too long.

    Raises RejectedRequestError for any other refusal, and what ``read_completion`` raises.
    """
    if response.is_success:
        return read_completion(response.content, asked_model=asked_model)
    if overflow := read_overflow(response):
        return overflow
    raise RejectedRequestError(reason_of(response))


def read_completion(body: bytes, *, asked_model: str) -> Completion:
    """Read a chat completion, its thinking removed.

    Raises MalformedAnswerError when it is not one, RefusedAnswerError when its text is empty or
    holds thinking that cannot be told from the answer.
    """
    parsed = read_json(body)
    try:
        choice = parsed["choices"][0]
        content = choice["message"].get("content")
        finish_reason = str(choice.get("finish_reason") or "")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise MalformedAnswerError("the answer has no choices[0].message") from error
    if content is not None and not isinstance(content, str):
        raise MalformedAnswerError("the answer's content is not text")
    usage = parsed.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Completion(
        text=without_thinking(content or "", finish_reason=finish_reason),
        model=str(parsed.get("model") or asked_model),
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        finish_reason=finish_reason,
    )


def without_thinking(text: str, *, finish_reason: str = "stop") -> str:
    """The answer less its ``<think>`` blocks; raises RefusedAnswerError when none is left.

    Templates that open the block themselves leave only the closing tag in the answer: all before
    it is thinking. An opening tag without a close means that the answer was never reached.
    """
    answer = _THINK_BLOCK.sub("", text)
    if "</think>" in answer.lower():
        answer = answer[answer.lower().rindex("</think>") + len("</think>") :]
    if _THINK_TAG.search(answer):
        raise RefusedAnswerError(f"holds unfinished thinking (finish reason {finish_reason!r})")
    answer = answer.strip()
    if not answer:
        raise RefusedAnswerError(f"holds no text (finish reason {finish_reason!r})")
    return answer


def read_overflow(response: httpx.Response) -> Overflow | None:
    """What an error answer says about a prompt too long, or None when it says something else."""
    if response.status_code not in {400, 413, 422}:
        return None
    error = _error_object(response)
    told = " ".join(str(error.get(key) or "") for key in ("type", "code", "message"))
    if "exceed_context_size" not in told and not _CONTEXT_WORDS.search(told):
        return None
    limit = _LIMIT_WORDS.search(told)
    prompt = _PROMPT_WORDS.search(told)
    prompt_tokens = _count(error.get("n_prompt_tokens")) or (
        int(prompt.group(1) or prompt.group(2)) if prompt else None
    )
    context_length = _count(error.get("n_ctx")) or (int(limit.group(1)) if limit else None)
    return Overflow(prompt_tokens, context_length)


def reason_of(response: httpx.Response) -> str:
    """Status and the server's own words, on one line of bounded length."""
    words = str(_error_object(response).get("message") or response.text or response.reason_phrase)
    words = " ".join(words.split())
    if len(words) > _LONGEST_REASON:
        words = words[: _LONGEST_REASON - 1] + "…"
    return f"HTTP {response.status_code}: {words}" if words else f"HTTP {response.status_code}"


def retry_after(response: httpx.Response, *, now: dt.datetime) -> float | None:
    """Seconds to wait by the Retry-After header, as a number or a date; None without a usable one.

    A date is taken against the answer's own Date header, so that a wrong clock does not matter.
    """
    value = response.headers.get("retry-after", "").strip()
    if not value:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    try:
        until = parsedate_to_datetime(value)
        since = parsedate_to_datetime(response.headers["date"])
    except KeyError:
        since = now
    except ValueError:
        return None
    if until.tzinfo is None or since.tzinfo is None:
        return None
    return max(0.0, (until - since).total_seconds())


def _error_object(response: httpx.Response) -> dict[str, Any]:
    try:
        parsed = json.loads(response.content)
    except ValueError:
        return {}
    if isinstance(parsed, dict):
        inner = parsed.get("error", parsed)
        return inner if isinstance(inner, dict) else {"message": str(inner)}
    return {}


def _sendable(text: str) -> str:
    """The text with half characters (lone surrogates of damaged sources) replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
