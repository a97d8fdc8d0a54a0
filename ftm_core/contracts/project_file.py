"""The one reader of ftm.toml, and of other TOML files that a user writes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from ftm_core.contracts.errors import InputError


def read_toml(path: Path) -> dict[str, Any]:
    """All tables of a TOML file; empty when there is none. Raises InputError for a broken file."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(
            f"The file {path}",
            f"cannot be read ({error})",
            "Correct the file so that it is valid TOML.",
        ) from error
