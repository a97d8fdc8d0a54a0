"""Tables of ftm.toml that commands write, leaving every other line of the file as it is."""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftm_core.contracts.errors import InputError


def read_table(path: Path, name: str) -> dict[str, Any]:
    """Plain values of a table such as ``aws`` or ``aws.deploy``; empty when it is not there."""
    if not path.exists():
        return {}
    try:
        found: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(str(path), f"cannot be read ({error})", "Correct the file.") from error
    for part in name.split("."):
        found = found.get(part, {}) if isinstance(found, dict) else {}
    return dict(found) if isinstance(found, dict) else {}


def write_table(path: Path, name: str, values: Mapping[str, Any]) -> None:
    """Replace one table by strings, numbers and truth values; no values take the table away.

    The file is replaced as a whole. Raises InputError when it could not be read back.
    """
    read_table(path, name)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = _without(lines, name)
    while kept and not kept[-1].strip():
        kept.pop()
    if values:
        kept += ["", f"[{name}]"] if kept else [f"[{name}]"]
        kept += [
            f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()
        ]
    text = "\n".join(kept) + "\n" if kept else ""
    tomllib.loads(text)
    _replace(path, text)


def _without(lines: list[str], name: str) -> list[str]:
    kept, inside = [], False
    for line in lines:
        stripped = line.split("#", 1)[0].strip()
        if stripped.startswith("["):
            inside = stripped == f"[{name}]"
        if not inside:
            kept.append(line)
    return kept


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent or Path(), prefix=".ftm-toml-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.chmod(path.stat().st_mode if path.exists() else 0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
