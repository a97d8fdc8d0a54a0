"""The version of the code that decides output rows, for the fingerprint of a run."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

# Everything that a row's values depend on besides inputs and settings. Storage, retries and
# progress are left out: they decide when a row is written, not what is in it.
ROW_PACKAGES = ("text", "topics", "themes", "llm")
ROW_FILES = ("contracts/schemas.py",)


@cache
def row_code_version() -> str:
    """A digest of ftm's row-deciding files, word lists included."""
    return digest_of(Path(__file__).parent)


def digest_of(folder: Path) -> str:
    """Twelve hex digits that change with any row-deciding file below ``folder``."""
    files = [folder / name for name in ROW_FILES]
    for package in ROW_PACKAGES:
        files += (folder / package).rglob("*.py")
        files += (folder / package).rglob("*.txt")
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]
