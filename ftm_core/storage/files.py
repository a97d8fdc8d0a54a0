"""Files of the operating system: its errors translated, wherever a write first meets them."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from ftm_core.contracts.errors import ObjectMissingError, StorageError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# What the system answers when a path names nothing that holds bytes.
_NO_SUCH_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR})
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def output_file(descriptor: int, where: str) -> IO[bytes]:
    """A buffered file on ``descriptor`` whose writes raise StorageError naming ``where``.

    Only its own writes are translated: an OSError of the code that fills it is not the store's.
    """
    return io.BufferedWriter(_TranslatingFile(descriptor, where))


def scratch_file(where: str) -> IO[bytes]:
    """A temporary file without a name, so that a killed process leaves none, to fill and reread."""
    with translated(f"temporary file for {where}"):
        with tempfile.TemporaryFile(buffering=0) as unnamed:
            raw = _TranslatingFile(os.dup(unnamed.fileno()), f"temporary file for {where}", "r+b")
        return io.BufferedRandom(raw)


class _TranslatingFile(io.FileIO):
    def __init__(self, descriptor: int, where: str, mode: str = "wb") -> None:
        super().__init__(descriptor, mode)
        self._where = where

    def write(self, data: ReadableBuffer, /) -> int:
        with translated(self._where):
            return super().write(data)


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn an operating-system error into a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SUCH_FILE:
            raise ObjectMissingError(
                where, "does not exist", "Run the step that makes it first."
            ) from error
        if error.errno in _DISK_FULL:
            raise StorageError(
                where,
                "could not be written: the disk is full",
                "Free some space and run the same command again; finished work is kept.",
            ) from error
        raise StorageError(
            where,
            f"could not be read or written ({error.strerror or error})",
            "Check the path and its permissions.",
        ) from error
