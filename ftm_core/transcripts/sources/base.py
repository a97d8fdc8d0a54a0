"""What every source gives: its columns, its checksum, and its rows one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ftm_core.contracts.errors import InputError

# No line, row or field of a transcript is near this long; a damaged file can be one endless line.
LONGEST_RECORD = 4 * 1024 * 1024
PREVIEW_HINT = "`ftm ingest --preview SOURCE` shows how a source is read."
_BLOCK = 1024 * 1024


class Row(NamedTuple):
    """One row as the source has it: its file, its number in the file, its values by column."""

    file: str
    number: int
    values: Mapping[str, Any]


class Damage(NamedTuple):
    """A row that cannot be taken apart into values, and why."""

    file: str
    number: int
    value: str
    reason: str


class Skipped(NamedTuple):
    """A file that holds no earnings call, such as a brief, and why it is left out."""

    file: str
    reason: str


Record = Row | Damage | Skipped


class Source(Protocol):
    """A file or folder of transcripts.

    Every method raises InputError naming the place when the source as a whole cannot be read.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        ...

    @property
    def form(self) -> str:
        """What the files are and how their text is encoded, for people."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """What a user should know of how the files are read, such as a detected encoding."""
        ...

    @property
    def size(self) -> int:
        """How much there is to read, in ``unit``; what ``read_so_far`` counts towards."""
        ...

    @property
    def unit(self) -> str:
        """What ``size`` is measured in."""
        ...

    @property
    def read_so_far(self) -> int:
        """How much ``rows`` has read up to now."""
        ...

    def checksum(self) -> str:
        """SHA-256 of the content."""
        ...

    def rows(self, wanted: tuple[str, ...]) -> Iterator[Record]:
        """Every row in order, with at least the ``wanted`` columns, in bounded memory."""
        ...


def file_checksum(path: Path) -> str:
    """SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with readable(path), path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn an operating-system error into an InputError that names the file."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"The file {path}",
            f"cannot be read ({error.strerror or error})",
            "Check the path and its permissions.",
        ) from error


def refuse_empty(path: Path) -> None:
    """Raise InputError for a file without content."""
    with readable(path):
        if path.stat().st_size == 0:
            raise InputError(f"The file {path}", "is empty", "Export the file again.")
