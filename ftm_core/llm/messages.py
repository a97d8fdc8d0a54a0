"""What is asked of the LLM and what it answered, as plain values."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Prompt:
    """One question: system text, user text, and the version of the template it was made from."""

    system: str
    user: str
    version: str


@dataclass(frozen=True)
class Parameters:
    """How the answer is to be generated; part of the content hash, so that a change asks anew."""

    max_tokens: int
    seed: int
    temperature: float = 0.0
    enable_thinking: bool = False


@dataclass(frozen=True)
class Answer:
    """One usable answer, its cost in tokens, and the hash of what was asked.

    ``model`` is the name the server gave in its answer. ``finish_reason`` is ``stop``, or
    ``length`` when max_tokens cut the text. ``from_store`` tells that no request was sent.
    """

    text: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str
    content_hash: str
    from_store: bool


def content_hash(prompt: Prompt, *, model: str, parameters: Parameters) -> str:
    """SHA-256, in hex, over the prompt's text, the model asked for and the parameters."""
    content = {
        "system": prompt.system,
        "user": prompt.user,
        "model": model,
        "max_tokens": parameters.max_tokens,
        "seed": parameters.seed,
        "temperature": parameters.temperature,
        "enable_thinking": parameters.enable_thinking,
    }
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
