"""Files of the operating system: its errors translated, wherever a write first meets them."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ftm_core.contracts.errors import InputError, ObjectMissingError, StorageError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# What the system answers when a path names nothing that holds bytes.
_NO_SUCH_FILE = frozenset({errno.ENOENT, errno.ENOTDIR})
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
# Cause and remedy of errors that a user can do something about.
_KNOWN = {
    errno.EISDIR: ("is a folder, not a file", "Name a file in it."),
    errno.EROFS: ("is on a read-only file system", "Choose a folder that can be written."),
    errno.EACCES: ("cannot be accessed: permission was denied", "Check its owner and permissions."),
    errno.EPERM: ("cannot be accessed: permission was denied", "Check its owner and permissions."),
    errno.ENAMETOOLONG: (
        "has a name that is too long for the file system",
        "Choose a shorter name.",
    ),
    errno.EMFILE: ("cannot be opened: too many files are open", "Raise the limit (`ulimit -n`)."),
    errno.ESTALE: ("is no longer known to its file server", "Mount the folder again, then repeat."),
}


def output_file(descriptor: int, where: str) -> IO[bytes]:
    """A buffered file on ``descriptor`` whose writes raise StorageError naming ``where``.

    Only its own writes are translated: an OSError of the code that fills it is not the store's.
    """
    return io.BufferedWriter(_TranslatingFile(descriptor, where))


def scratch_file(where: str) -> IO[bytes]:
    """A temporary file without a name, so that a killed process leaves none, to fill and reread."""
    with translated(f"The temporary file for {where}"):
        with tempfile.TemporaryFile(buffering=0) as unnamed:
            raw = _TranslatingFile(
                os.dup(unnamed.fileno()), f"The temporary file for {where}", "r+b"
            )
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
        raise storage_error(error, where) from error


def check_output_file(path: Path) -> None:
    """Raise InputError when ``path``, which the user named, cannot become a file.

    Called before the work whose result it will hold.
    """
    check_output_folder(path.parent)
    if path.is_dir():
        raise InputError(f"The path {path}", *_KNOWN[errno.EISDIR])


def check_output_folder(folder: Path) -> None:
    """Raise InputError when ``folder`` is not, and cannot become, a folder to write into."""
    try:
        str(folder).encode()
        there = next(part for part in (folder, *folder.parents) if part.exists())
    except UnicodeEncodeError as error:
        where = f"The folder {str(folder)!a}"
        raise InputError(
            where, "has a name that is not valid UTF-8", "Choose a folder that can be written."
        ) from error
    except OSError as error:
        cause, hint = _KNOWN.get(error.errno or 0, (f"cannot be used ({error.strerror})", ""))
        raise InputError(
            f"The folder {folder}", cause, hint or "Choose a folder that can be written."
        ) from error
    if not there.is_dir():
        raise InputError(
            f"The path {there}", "is a file, not a folder", "Choose a folder that can be written."
        )
    # Capabilities of this process count, which access(2) by itself leaves out.
    effective = os.access in os.supports_effective_ids
    if not os.access(there, os.W_OK | os.X_OK, effective_ids=effective):
        read_only = os.statvfs(there).f_flag & os.ST_RDONLY
        raise InputError(f"The folder {there}", *_KNOWN[errno.EROFS if read_only else errno.EACCES])


def storage_error(error: OSError, where: str) -> StorageError:
    """The StorageError that says what the system's ``error`` means for ``where``."""
    if error.errno in _NO_SUCH_FILE:
        return ObjectMissingError(where, "does not exist", "Run the step that makes it first.")
    if error.errno in _DISK_FULL:
        return StorageError(
            where,
            "could not be written: the disk is full",
            "Free some space and run the same command again; finished work is kept.",
        )
    if error.errno in _KNOWN:
        return StorageError(where, *_KNOWN[error.errno])
    return StorageError(
        where,
        f"could not be read or written ({error.strerror or error})",
        "Check the path and its permissions.",
    )
