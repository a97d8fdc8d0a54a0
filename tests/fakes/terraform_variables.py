"""Defaults of the Terraform modules' variables, read from where they are written."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_MODULES = Path(__file__).parents[2] / "infra" / "terraform"


def variable_default(module: str, name: str) -> Any:
    """Default of a Terraform variable, as it is written."""
    text = (_MODULES / module / "variables.tf").read_text(encoding="utf-8")
    block = text.split(f'variable "{name}" {{')[1].split("\n}")[0]
    written = re.search(r"^  default\s+= (.*)$", block, re.MULTILINE)
    assert written is not None, f"{module} has no default for {name}"
    return json.loads(written.group(1))
