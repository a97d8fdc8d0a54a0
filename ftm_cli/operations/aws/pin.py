"""The pin: which profile, account and region every AWS call of this project belongs to."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from ftm_cli.operations.aws.project_file import read_table, write_table
from ftm_cli.results.setup import Pin
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.settings import PROJECT_FILE

_TABLE = "aws"
_ACCOUNT = re.compile(r"\d{12}")
# Every partition has names of its own: us-west-2, us-gov-west-1, us-isob-east-1, eusc-de-east-1.
_REGION = re.compile(r"[a-z]{2,8}(-[a-z]+)+-\d{1,2}")


def read_pin(path: Path | None = None) -> Pin | None:
    """The pin of ftm.toml, or None; raises InputError for one that is incomplete or malformed."""
    path = path or Path(PROJECT_FILE)
    table = read_table(path, _TABLE)
    names = [field.name for field in dataclasses.fields(Pin)]
    if not any(name in table for name in names):
        return None
    values = {name: str(table.get(name, "")) for name in names}
    for name, value in values.items():
        if not value:
            raise _malformed(path, f"has no {name}")
    return checked(Pin(**values), f"The table [{_TABLE}] of {path}")


def checked(pin: Pin, where: str) -> Pin:
    """``pin`` itself, if account and region have the right form; raises InputError when not."""
    if not _ACCOUNT.fullmatch(pin.account_id):
        raise InputError(
            where,
            f"names the account {pin.account_id!r}, which is not twelve digits",
            "Write the ID of the account.",
        )
    if not _REGION.fullmatch(pin.region):
        raise InputError(
            where, f"names {pin.region!r}, which is not a region", "Write one like us-west-2."
        )
    return pin


def write_pin(pin: Pin, path: Path | None = None) -> None:
    """Keep the pin in ftm.toml; other values of its table stay."""
    path = path or Path(PROJECT_FILE)
    others = {
        name: value
        for name, value in read_table(path, _TABLE).items()
        if not isinstance(value, dict)
    }
    write_table(path, _TABLE, others | dataclasses.asdict(pin))


def clear_pin(path: Path | None = None) -> bool:
    """Take the pin out of ftm.toml; whether there was one."""
    path = path or Path(PROJECT_FILE)
    names = {field.name for field in dataclasses.fields(Pin)}
    table = read_table(path, _TABLE)
    if not names & set(table):
        return False
    rest = {
        name: value
        for name, value in table.items()
        if name not in names and not isinstance(value, dict)
    }
    write_table(path, _TABLE, rest)
    return True


def _malformed(path: Path, what: str) -> InputError:
    return InputError(
        f"The table [{_TABLE}] of {path}", what, "Pin again with `ftm pin-profile NAME`."
    )
