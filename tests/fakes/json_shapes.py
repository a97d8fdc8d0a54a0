"""Compares what a command printed with --json with the schema that `ftm schema` shows for it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import jsonschema

from ftm_cli.results.schemas import json_schema

_VLLM = {"scale-up", "scale-down", "vllm"}
_PLANNED = {"run": "plan", "deploy": "deploy-plan", "destroy": "deploy-plan", "smoke": "plan"}


def schema_name(arguments: Sequence[str]) -> str:
    """The name in `ftm schema` of what these arguments print."""
    first, second = arguments[0], arguments[1] if len(arguments) > 1 else ""
    planned = "--dry-run" in arguments or "--plan" in arguments
    if first in _VLLM:
        return "vllm-plan" if planned else "vllm"
    if first == "ingest" and "--preview" in arguments:
        return "ingest-preview"
    if first == "ingest" and second in {"wrds", "merge-identifiers"}:
        return {"wrds": "ingest-wrds"}.get(second, second)
    if first == "models":
        return "models" if second == "list" else "models-fetch"
    if first == "step":
        return f"step-{second}"
    if first == "deploy" and "--roles" in arguments:
        return "deploy-roles"
    return _PLANNED.get(first, first) if planned else first


def check_shape(arguments: Sequence[str], stdout: str) -> None:
    """Fail unless ``stdout`` is one JSON document that fits the schema (one a line for logs)."""
    schema = json_schema(schema_name(arguments))
    documents = stdout.splitlines() if arguments[0] == "logs" else [stdout]
    for document in documents:
        jsonschema.validate(json.loads(document), schema)
