"""Tables of ftm.toml that commands write, leaving the rest of the file as it is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from ftm_core.contracts.errors import InputError
from ftm_core.contracts.project_file import read_toml


def read_table(path: Path, name: str) -> dict[str, Any]:
    """Plain values of a table such as ``aws`` or ``aws.deploy``; empty when it is not there."""
    found: Any = read_toml(path)
    for part in name.split("."):
        found = found.get(part, {}) if isinstance(found, dict) else {}
    return dict(found) if isinstance(found, dict) else {}


def write_table(path: Path, name: str, values: Mapping[str, Any]) -> None:
    """Make strings, numbers and truth values the only plain ones of a table; its tables stay.

    No values take the table away, however it is written: ``[name]``, dotted keys, or inline.
    Comments and other lines stay. The file is replaced as a whole. Raises InputError when the
    values could not be read back.
    """
    read_table(path, name)
    text = path.read_bytes().decode("utf-8") if path.exists() else ""
    try:
        document = tomlkit.parse(text)
        _set(document, name.split("."), values)
        changed = tomlkit.dumps(document)
        if not changed.strip():
            changed = ""
        _check(changed, name, values)
    except (TOMLKitError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"The table [{name}] of {path}",
            f"could not be changed ({error})",
            f"Change it by hand: write it as [{name}], with one line for each value.",
        ) from error
    _replace(path, changed)


def _set(table: MutableMapping[str, Any], parts: list[str], values: Mapping[str, Any]) -> None:
    head, *rest = parts
    if head not in table:
        if not values:
            return
        table[head] = tomlkit.table(is_super_table=bool(rest))
    inner = table[head]
    if rest:
        _set(inner, rest, values)
    else:
        try:
            _change(inner, values)
        except KeyError:
            # Dotted keys cannot be taken out one by one: the table is written in the usual form.
            tables = {key: value for key, value in inner.items() if isinstance(value, dict)}
            del table[head]
            table[head] = inner = tomlkit.item({**values, **tables})
    if not inner:
        del table[head]


def _change(table: MutableMapping[str, Any], values: Mapping[str, Any]) -> None:
    for key in [key for key, value in table.items() if not isinstance(value, dict)]:
        if key not in values:
            del table[key]
    for key, value in values.items():
        if table.get(key) != value:
            table[key] = value


def _check(text: str, name: str, values: Mapping[str, Any]) -> None:
    """Raise ValueError unless ``text`` holds exactly ``values`` as plain values of the table."""
    found: Any = tomlkit.parse(text).unwrap()
    for part in name.split("."):
        found = found.get(part, {})
    plain = {key: value for key, value in found.items() if not isinstance(value, dict)}
    if plain != dict(values):
        raise ValueError(f"it would hold {plain}")


def _replace(path: Path, text: str) -> None:
    # A link, as dotfile managers make, stays one.
    target = path.resolve()
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".ftm-toml-")
    except OSError as error:
        raise _not_written(path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
        temporary.chmod(path.stat().st_mode if path.exists() else 0o644)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _not_written(path, error) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _not_written(path: Path, error: OSError) -> InputError:
    return InputError(
        f"The file {path}",
        f"could not be written ({error.strerror})",
        "Check the folder's permissions.",
    )
