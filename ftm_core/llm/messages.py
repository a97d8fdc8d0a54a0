"""What is asked of the LLM and what it answered, as plain values."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Prompt:
    """One question: system text, user text, and the JSON schema of its answer ("" for plain text).

    The schema is JSON text, so that a prompt can be compared and hashed.
    """

    system: str
    user: str
    schema: str = ""


# Sent with every request. At temperature 0 its value changes nothing; a fixed one makes servers
# that sample anyway repeatable.
SEED = 42


@dataclass(frozen=True)
class Parameters:
    """How the answer is generated; part of the content hash, so that a change asks again."""

    max_tokens: int
    seed: int = SEED
    temperature: float = 0.0
    enable_thinking: bool = False


@dataclass(frozen=True)
class Answer:
    """One usable answer, its cost in tokens, and the hash of what was asked.

    ``model`` is the name the server gave in its answer. ``finish_reason`` is ``stop``, or
    ``length`` when max_tokens cut the text. ``from_store`` says that no request was sent.
    """

    text: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str
    content_hash: str
    from_store: bool


def content_hash(prompt: Prompt, *, model: str, parameters: Parameters) -> str:
    """SHA-256, in hex, over the prompt's text and schema, the model and the parameters.

    What a server refuses is left out of the request and not of the hash: the question is the same.
    """
    content = {
        "system": prompt.system,
        "user": prompt.user,
        "schema": prompt.schema,
        "model": model,
        "max_tokens": parameters.max_tokens,
        "seed": parameters.seed,
        "temperature": parameters.temperature,
        "enable_thinking": parameters.enable_thinking,
    }
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
