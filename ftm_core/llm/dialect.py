"""Which request fields a server takes: learned from its refusals, once for a whole job."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import Any

from ftm_core.llm.messages import Parameters, Prompt

# The field that a refusal names, in the words of the servers seen: vLLM, llama.cpp, Ollama,
# LM Studio, TGI, OpenAI and gateways in front of them. The first that fits and is still sent goes.
_REFUSALS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (field, re.compile(pattern, re.IGNORECASE))
    for field, pattern in (
        ("max_completion_tokens", r"max_completion_tokens"),
        (
            "system_role",
            r"system[ _]?(?:role|message|prompt)s?\b.{0,60}(?:not support|not allow|unsupported)"
            r"|(?:not|n't) support.{0,40}\bsystem\b"
            r"|roles must alternate|invalid role: ?.?system|only .{0,20}user.{0,40}roles",
        ),
        ("template_kwargs", r"chat_template|enable_thinking"),
        (
            "schema",
            r"response[_ ]format|json[_ ]schema|guided|grammar|structured[_ ]output",
        ),
        ("seed", r"\bseed\b"),
        ("temperature", r"\btemperature\b"),
    )
)
# A refusal that names no field, of a server that forbids every field it does not know.
_UNKNOWN_FIELD = re.compile(
    r"extra inputs are not permitted|extra fields not permitted|unknown field|unrecognized"
    r"|additional properties",
    re.IGNORECASE,
)
_NOTES = {
    "max_completion_tokens": "refuses max_tokens; max_completion_tokens is sent instead",
    "system_role": "refuses the system role; its text is sent at the start of the user's",
    "template_kwargs": "refuses chat_template_kwargs; thinking cannot be switched off there",
    "schema": "refuses response_format; the form of answers is asked for in words alone",
    "seed": "refuses a seed; answers may differ from run to run",
    "temperature": "refuses temperature 0; answers may differ from run to run",
}


@dataclass(frozen=True)
class Dialect:
    """The request fields that are still sent to one server."""

    template_kwargs: bool = True
    system_role: bool = True
    seed: bool = True
    temperature: bool = True
    max_completion_tokens: bool = False
    refused_schemas: frozenset[str] = frozenset()

    def body(self, prompt: Prompt, *, model: str, parameters: Parameters) -> dict[str, Any]:
        """The JSON body of one chat completion request."""
        limit = "max_completion_tokens" if self.max_completion_tokens else "max_tokens"
        body: dict[str, Any] = {
            "model": model,
            "messages": self._messages(prompt),
            limit: parameters.max_tokens,
            "stream": False,
        }
        if self.temperature:
            body["temperature"] = parameters.temperature
        if self.seed:
            body["seed"] = parameters.seed
        if self.template_kwargs:
            body["chat_template_kwargs"] = {"enable_thinking": parameters.enable_thinking}
        if prompt.schema and _kind(prompt.schema) not in self.refused_schemas:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {
                    "name": "answer",
                    "strict": True,
                    "schema": json.loads(prompt.schema),
                },
            }
        return body

    def without_refused(self, reason: str, prompt: Prompt) -> tuple[Dialect, str] | None:
        """The dialect less the field that ``reason`` refuses and a note on it, or None.

        None means that the refusal names nothing that was sent with ``prompt`` and can be left out.
        """
        for field, pattern in _REFUSALS:
            if pattern.search(reason) and self._sends(field, prompt):
                return self._less(field, prompt), _NOTES[field]
        if _UNKNOWN_FIELD.search(reason):
            for field in ("template_kwargs", "schema", "seed"):
                if self._sends(field, prompt):
                    return self._less(field, prompt), _NOTES[field]
        return None

    def _messages(self, prompt: Prompt) -> list[dict[str, str]]:
        system, user = _sendable(prompt.system), _sendable(prompt.user)
        if not system:
            return [{"role": "user", "content": user}]
        if not self.system_role:
            return [{"role": "user", "content": f"{system}\n\n{user}"}]
        return [{"role": "system", "content": system}, {"role": "user", "content": user}]

    def _sends(self, field: str, prompt: Prompt) -> bool:
        if field == "schema":
            return bool(prompt.schema) and _kind(prompt.schema) not in self.refused_schemas
        if field == "system_role":
            return self.system_role and bool(prompt.system)
        if field == "max_completion_tokens":
            return not self.max_completion_tokens
        return bool(getattr(self, field))

    def _less(self, field: str, prompt: Prompt) -> Dialect:
        if field == "schema":
            refused = self.refused_schemas | {_kind(prompt.schema)}
            return dataclasses.replace(self, refused_schemas=refused)
        if field == "max_completion_tokens":
            return dataclasses.replace(self, max_completion_tokens=True)
        if field == "system_role":
            return dataclasses.replace(self, system_role=False)
        if field == "template_kwargs":
            return dataclasses.replace(self, template_kwargs=False)
        if field == "seed":
            return dataclasses.replace(self, seed=False)
        return dataclasses.replace(self, temperature=False)


def _kind(schema: str) -> str:
    """Objects are taken by more servers than bare values are, so each is learned on its own."""
    return str(json.loads(schema).get("type", ""))


def _sendable(text: str) -> str:
    """The text with half characters (lone surrogates of damaged sources) replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")
