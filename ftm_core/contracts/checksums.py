"""SHA-256 of files, and the check that a model's weights are the published ones."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ftm_core.contracts.errors import InputError


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex, read in pieces; raises InputError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            f"The file {path}",
            f"cannot be read ({error.strerror})",
            "Install the package that it comes with again.",
        ) from error


def verify_sha256(path: Path, expected: str, *, repair: str = "install its package again") -> None:
    """Raise InputError unless the file has this SHA-256 (hex); ``repair`` ends the message."""
    actual = sha256_of(path)
    if actual != expected.lower():
        raise InputError(
            f"The file {path}",
            f"has the SHA-256 {actual}, but {expected.lower()} is expected",
            f"It is damaged or of another version: {repair}.",
        )
