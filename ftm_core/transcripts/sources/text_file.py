"""What sources of text files share: one file's encoding and progress, and numbered lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ftm_core.contracts.errors import InputError
from ftm_core.transcripts.sources.base import (
    LONGEST_RECORD,
    file_checksum,
    readable,
    refuse_empty,
)
from ftm_core.transcripts.sources.encodings import Encoding, find_encoding


class TextFile:
    """What sources of one text file share: encoding, checksum, and progress in kB.

    Whoever reads the file keeps ``_position``, in bytes, up to date.
    """

    unit = "kB"

    def __init__(self, path: Path, name: str | None, encoding: str | None) -> None:
        self._path = path
        self._name = name or path.name
        self._position = 0
        refuse_empty(path)
        self._encoding: Encoding = find_encoding(path, encoding)

    @property
    def size(self) -> int:
        """File size in kB."""
        with readable(self._path):
            return self._path.stat().st_size // 1000

    @property
    def read_so_far(self) -> int:
        """Kilobytes read."""
        return self._position // 1000

    def checksum(self) -> str:
        """SHA-256 of the file."""
        return file_checksum(self._path)


def numbered_lines(path: Path, file: BinaryIO, hint: str) -> Iterator[tuple[int, bytes]]:
    """Lines of an open file from number 1; raises InputError with ``hint`` for an endless one."""
    number = 0
    while line := file.readline(LONGEST_RECORD):
        number += 1
        if len(line) == LONGEST_RECORD and not line.endswith(b"\n"):
            raise InputError(
                f"Row {number} of {path}", f"is longer than {LONGEST_RECORD} bytes", hint
            )
        yield number, line
