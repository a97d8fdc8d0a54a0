"""The chat completions protocol as pure functions: answers, error bodies, lists of models."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from ftm_core.llm.reply_text import RefusedAnswerError, answer_text, clean_characters

# Servers' own words for an answer that is complete, and for one that max_tokens cut short.
_COMPLETE = frozenset({"stop", "eos_token", "stop_sequence", "end_turn", "eos"})
_CUT_SHORT = frozenset({"length", "max_tokens"})
# Asking again would give the same: the text was withheld, or is no text but a call of a tool.
_FINAL_REASONS = frozenset({"content_filter", "tool_calls", "function_call", "refusal"})
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
# llama.cpp and LM Studio answer 500 where a model's chat template raises an error.
_TEMPLATE_WORDS = re.compile(
    r"system role|roles must alternate|chat[_ ]template|jinja|response_format|json_schema",
    re.IGNORECASE,
)
_LONGEST_REASON = 300


class MalformedAnswerError(ValueError):
    """The body is not a chat completion: cut short on its way, or from something else."""


class RejectedRequestError(ValueError):
    """The server refused the request itself, with its reason; ``status`` is HTTP's."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


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
    """A prompt too long for the context, with the token counts where the server reported them."""

    prompt_tokens: int | None
    context_length: int | None


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
    """One model that a server lists; ``max_length`` is its context in tokens, 0 if not reported."""

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
    """Context of one slot (tokens) from llama.cpp's ``/props``; 0 when it is not reported."""
    try:
        properties = read_json(body).get("default_generation_settings")
    except MalformedAnswerError:
        return 0
    return _count(properties.get("n_ctx")) if isinstance(properties, dict) else 0


def read_reply(response: httpx.Response, *, asked_model: str) -> Completion | Overflow:
    """The completion that an answer holds, or that its prompt was too long.

    Raises RejectedRequestError for any other refusal, and what ``read_completion`` raises.
    """
    if response.is_success:
        return read_completion(response, asked_model=asked_model)
    if overflow := read_overflow(response):
        return overflow
    raise RejectedRequestError(reason_of(response), response.status_code)


def read_completion(response: httpx.Response, *, asked_model: str) -> Completion:
    """Read a chat completion, its thinking removed.

    Raises MalformedAnswerError when it is not one or was cut short by the server,
    RejectedRequestError when it is an error in the form of a success, RefusedAnswerError when its
    text is withheld, empty, or holds thinking that cannot be separated from the answer.
    """
    try:
        parsed = read_json(response.content)
    except MalformedAnswerError as error:
        raise MalformedAnswerError(f"{error}: {_excerpt(response.text)!r}") from error
    if parsed.get("error"):
        raise RejectedRequestError(reason_of(response), response.status_code)
    try:
        choice = parsed["choices"][0]
        content = choice["message"].get("content")
        reported = choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise MalformedAnswerError(
            f"the answer has no choices[0].message: {_excerpt(response.text)!r}"
        ) from error
    if content is not None and not isinstance(content, str):
        raise MalformedAnswerError("the answer's content is not text")
    usage = parsed.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    finish_reason = _finish_reason(reported)
    return Completion(
        text=answer_text(content or "", finish_reason=finish_reason),
        model=clean_characters(str(parsed.get("model") or "")).strip() or asked_model,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        finish_reason=finish_reason,
    )


def _finish_reason(reported: Any) -> str:
    """``stop`` or ``length``; an answer that ended for any other reason is not a whole one."""
    reason = reported if isinstance(reported, str) else ""
    if reason in _COMPLETE:
        return "stop"
    if reason in _CUT_SHORT:
        return "length"
    if reason in _FINAL_REASONS:
        raise RefusedAnswerError(f"was withheld by the server (finish reason {reported!r})")
    raise MalformedAnswerError(f"the server ended the answer early (finish reason {reported!r})")


def read_overflow(response: httpx.Response) -> Overflow | None:
    """What an error answer says about a prompt too long, or None when it says something else."""
    if response.status_code not in {400, 413, 422}:
        return None
    error = _error_object(response)
    message = " ".join(str(error.get(key) or "") for key in ("type", "code", "message"))
    if "exceed_context_size" not in message and not _CONTEXT_WORDS.search(message):
        return None
    limit = _LIMIT_WORDS.search(message)
    prompt = _PROMPT_WORDS.search(message)
    prompt_tokens = _count(error.get("n_prompt_tokens")) or (
        int(prompt.group(1) or prompt.group(2)) if prompt else None
    )
    context_length = _count(error.get("n_ctx")) or (int(limit.group(1)) if limit else None)
    return Overflow(prompt_tokens, context_length)


def blames_request(response: httpx.Response) -> bool:
    """Whether a server error (500) is the request's own: a chat template that refuses its roles."""
    return response.status_code == 500 and bool(_TEMPLATE_WORDS.search(reason_of(response)))


def reason_of(response: httpx.Response) -> str:
    """Status and the server's own words, on one line of bounded length."""
    error = _error_object(response)
    message = error.get("message") or error.get("detail") or response.text or response.reason_phrase
    words = _excerpt(message if isinstance(message, str) else json.dumps(message))
    return f"HTTP {response.status_code}: {words}" if words else f"HTTP {response.status_code}"


def retry_after(response: httpx.Response, *, now: dt.datetime) -> float | None:
    """Seconds to wait by the Retry-After header, as a number or a date; None without a usable one.

    A date is taken against the answer's own Date header, so that a wrong clock has no effect.
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


def _excerpt(text: str) -> str:
    words = " ".join(clean_characters(text).split())
    return words if len(words) <= _LONGEST_REASON else words[: _LONGEST_REASON - 1] + "…"


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
