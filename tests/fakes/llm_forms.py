"""Answers in the form that a request asks for, made of the request's own words."""

from __future__ import annotations

import json
import re
from typing import Any


def properties_of(body: dict[str, Any]) -> list[str]:
    """Names of the texts that a request's JSON schema asks for; none for a number or plain text."""
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema", {})
    return list(schema.get("properties", {}))


def wants_number(body: dict[str, Any]) -> bool:
    """Whether a request asks to choose a candidate by its number."""
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema", {})
    return bool(schema.get("type") == "integer")


def in_form(body: dict[str, Any], text: str, *, title: str = "") -> str:
    """``text`` as the body's schema wants it: in a JSON object, or as the first candidate."""
    if wants_number(body):
        return "1"
    names = properties_of(body)
    if not names:
        return text
    given = {"title": title or first_keyword(body)}
    return json.dumps({name: given.get(name, text) for name in names})


def first_sentence(body: dict[str, Any]) -> str:
    """The first sentence that a prompt shows; "" when it shows none."""
    found = re.search(r"^- (.+)$", str(body["messages"][-1]["content"]), re.MULTILINE)
    return found.group(1) if found else ""


def first_keyword(body: dict[str, Any]) -> str:
    """The first of the keywords that a prompt names."""
    found = re.search(r"^(?:Subject|Keywords): ([^,\n]+)", body["messages"][-1]["content"], re.M)
    return found.group(1) if found else "subject"
