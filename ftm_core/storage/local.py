"""Storage in a local folder: temporary file, fsync, rename."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

import pyarrow as pa

from ftm_core.contracts.errors import InputError, ObjectMissingError, StorageError

_TEMPORARY_PREFIX = ".ftm-"


class LocalStorage:
    """Objects as files under ``root``, which is made when first written to."""

    def __init__(self, root: Path) -> None:
        self._root = root.expanduser().resolve()

    @property
    def uri(self) -> str:
        """The folder."""
        return str(self._root)

    def describe(self, key: str) -> str:
        """The file's path."""
        return str(self._path(key))

    def exists(self, key: str) -> bool:
        """Whether the file is there."""
        return self._path(key).is_file()

    def size(self, key: str) -> int:
        """Size of the file in bytes."""
        with _translated(self._path(key)):
            return self._path(key).stat().st_size

    def list(self, prefix: str) -> Iterator[str]:
        """Every key that starts with ``prefix``, temporary files left out."""
        folder = self._path(prefix.rpartition("/")[0]) if "/" in prefix else self._root
        keys = []
        for parent, _, names in os.walk(folder):
            relative = Path(parent).relative_to(self._root).as_posix()
            for name in names:
                key = name if relative == "." else f"{relative}/{name}"
                if key.startswith(prefix) and not name.startswith(_TEMPORARY_PREFIX):
                    keys.append(key)
        yield from sorted(keys)

    def read(self, key: str) -> bytes:
        """The whole file."""
        path = self._path(key)
        with _translated(path):
            return path.read_bytes()

    def read_versioned(self, key: str) -> tuple[bytes, str]:
        """The whole file and the SHA-256 of its content as its version."""
        data = self.read(key)
        return data, hashlib.sha256(data).hexdigest()

    @contextlib.contextmanager
    def open_input(self, key: str) -> Iterator[pa.NativeFile]:
        """The file, memory-mapped."""
        path = self._path(key)
        with _translated(path):
            source = pa.memory_map(str(path), "r") if path.stat().st_size else pa.OSFile(str(path))
        with source:
            yield source

    @contextlib.contextmanager
    def open_output(self, key: str) -> Iterator[IO[bytes]]:
        """A temporary file in the same folder, renamed onto ``key`` when the block ends cleanly."""
        path = self._path(key)
        with _translated(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=_TEMPORARY_PREFIX, dir=path.parent)
        temporary = Path(name)
        try:
            with _translated(path), os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            with _translated(path):
                temporary.chmod(0o644)
                temporary.replace(path)
                _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)

    def write(self, key: str, data: bytes) -> None:
        """Write or overwrite the file, whole or not at all."""
        with self.open_output(key) as file:
            file.write(data)

    def create(self, key: str, data: bytes) -> bool:
        """Write the file only if there is none (a hard link refuses an existing name)."""
        path = self._path(key)
        with _translated(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=_TEMPORARY_PREFIX, dir=path.parent)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).chmod(0o644)
                try:
                    os.link(name, path)
                except FileExistsError:
                    return False
                _sync_folder(path.parent)
                return True
            finally:
                Path(name).unlink(missing_ok=True)

    def replace(self, key: str, data: bytes, *, version: str) -> bool:
        """Overwrite the file only if its content still has ``version``."""
        path = self._path(key)
        guard = path.with_name(f"{_TEMPORARY_PREFIX}{path.name}.lock")
        with _translated(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with guard.open("w") as lock:
                # Between reading the version and renaming, no other process may do the same.
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not path.is_file() or self.read_versioned(key)[1] != version:
                    return False
                self.write(key, data)
                return True

    def delete(self, key: str) -> None:
        """Remove the file if it is there."""
        path = self._path(key)
        with _translated(path):
            path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        pure = PurePosixPath(key)
        if pure.is_absolute() or ".." in pure.parts:
            raise InputError(f"key {key!r}", "leaves the data folder", "Use a relative key.")
        return self._root / pure


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn an operating-system error into a StorageError that says what to do."""
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectMissingError(
            str(path), "does not exist", "Run the step that makes it first."
        ) from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageError(
                str(path),
                "could not be written: the disk is full",
                "Free some space and run the same command again; finished work is kept.",
            ) from error
        raise StorageError(
            str(path),
            f"could not be read or written ({error.strerror})",
            "Check the path and its permissions.",
        ) from error


def _sync_folder(folder: Path) -> None:
    """Make a rename durable: the folder's own entry must reach the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
