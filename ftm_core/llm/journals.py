"""Where new answers are written: a file grown line by line, or objects rewritten as they grow."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Protocol

from ftm_core.contracts.errors import StorageError
from ftm_core.storage.base import Storage
from ftm_core.storage.local import LocalStorage

# One object holds this many answers: about 0.6 MB, so that writing it again stays cheap, and a
# quarter of 30,000 answers is about 30 objects to load.
LINES_PER_OBJECT = 1000


class Journal(Protocol):
    """Lines kept for good, by one process alone."""

    def append(self, line: bytes) -> None:
        """Take one line, its newline included; raises StorageError."""
        ...

    def flush(self) -> None:
        """Make every line taken so far safe; raises StorageError, and keeps the lines."""
        ...


def open_journal(storage: Storage, name: str) -> Journal:
    """The journal that suits the storage; ``name`` is a key without its ending."""
    if isinstance(storage, LocalStorage):
        return FileJournal(Path(storage.describe(f"{name}.jsonl")))
    return ObjectJournal(storage, name)


class FileJournal:
    """A file grown line by line: each line outlives this process at once, the machine at flush."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._torn = False

    def append(self, line: bytes) -> None:
        """Write one line in full to the system before returning."""
        try:
            if self._descriptor is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
                self._descriptor = os.open(self._path, flags, 0o644)
            # After a full disk cut a line short, the next one must not be appended to it.
            rest = memoryview(b"\n" + line if self._torn else line)
            self._torn = True
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            self._torn = False
        except OSError as error:
            raise self._translated(error) from error

    def flush(self) -> None:
        """Bring every line to the disk."""
        if self._descriptor is not None:
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                raise self._translated(error) from error

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _translated(self, error: OSError) -> StorageError:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return StorageError(
                f"The file {self._path}",
                "could not be written: the disk is full",
                "Free some space and run the same command again; finished work is kept.",
            )
        return StorageError(
            f"The file {self._path}",
            f"could not be written ({error.strerror})",
            "Check the path and its permissions.",
        )


class ObjectJournal:
    """Objects of up to 1,000 lines; the last one is written again, whole, at each flush."""

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage = storage
        self._name = name
        self._number = 0
        self._lines: list[bytes] = []
        self._n_written = 0
        self._changing = threading.Lock()
        self._flushing = threading.Lock()

    def append(self, line: bytes) -> None:
        """Hold one line until the next flush."""
        with self._changing:
            self._lines.append(line)

    def flush(self) -> None:
        """Write what is new; flushes from several threads follow one another."""
        with self._flushing:
            while True:
                with self._changing:
                    lines = self._lines[:LINES_PER_OBJECT]
                if len(lines) == self._n_written:
                    return
                self._storage.write(f"{self._name}_{self._number:04d}.jsonl", b"".join(lines))
                self._n_written = len(lines)
                if len(lines) < LINES_PER_OBJECT:
                    return
                with self._changing:
                    del self._lines[:LINES_PER_OBJECT]
                self._number += 1
                self._n_written = 0
