"""Storage in a local folder: temporary file, fsync, rename; on any file system."""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa

from ftm_core.contracts.errors import InputError, ObjectMissingError, StorageError
from ftm_core.storage.base import TEMPORARY_PREFIX, checked_key, checked_prefix
from ftm_core.storage.file_lock import file_lock
from ftm_core.storage.files import output_file, translated

_SUFFIX_UNFINISHED = ".unfinished"
# Never objects: our own temporary files, and what NFS and macOS clients leave beside files.
_HIDDEN = (TEMPORARY_PREFIX, ".nfs", ".fuse_hidden", ".smbdelete", "._", ".DS_Store")
# No write takes a day: what is older was left by a killed process.
_ABANDONED_AFTER_SECONDS = 24 * 3600
# How file systems refuse an operation that they do not have (FAT, exFAT, SMB, FUSE, Lustre, NFS).
_UNSUPPORTED = frozenset(
    {
        errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP,
        errno.ENOTTY, errno.EBADF, errno.ENODEV, errno.EMLINK,
    }
)  # fmt: skip


class LocalStorage:
    """Objects as files under ``root``, which is made when first written to.

    Hard links, chmod, fsync of a folder and flock are used where the file system has them. Where
    it lacks one, the guarantees stay, except that after a power cut a file may have its earlier
    content.
    """

    def __init__(self, root: Path) -> None:
        self._root = _absolute(root)
        self._swept: set[Path] = set()

    @property
    def uri(self) -> str:
        """The folder."""
        return str(self._root)

    def describe(self, key: str) -> str:
        """The file's path."""
        return str(self._path(key))

    def exists(self, key: str) -> bool:
        """Whether the file is there."""
        path = self._path(key)
        with translated(f"The file {path}"):
            return path.is_file()

    def size(self, key: str) -> int:
        """Size of the file in bytes."""
        path = self._existing(key)
        with translated(f"The file {path}"):
            return path.stat().st_size

    def modified(self, key: str) -> dt.datetime:
        """When the file was last written, in UTC."""
        path = self._existing(key)
        with translated(f"The file {path}"):
            return dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)

    def list(self, prefix: str) -> Iterator[str]:
        """Every key that starts with ``prefix``, temporary files left out."""
        folder = self._root / checked_prefix(prefix).rpartition("/")[0]
        keys = []
        for parent, _, names in os.walk(folder, onerror=_raise_unless_gone):
            relative = Path(parent).relative_to(self._root).as_posix()
            for name in names:
                key = name if relative == "." else f"{relative}/{name}"
                if key.startswith(prefix) and not name.startswith(_HIDDEN):
                    keys.append(key)
        yield from sorted(keys)

    def read(self, key: str) -> bytes:
        """The whole file."""
        path = self._path(key)
        try:
            with translated(f"The file {path}"):
                return path.read_bytes()
        except StorageError:
            # A folder is no object.
            self._existing(key)
            raise

    def read_versioned(self, key: str) -> tuple[bytes, str]:
        """The whole file and the SHA-256 of its content as its version."""
        try:
            data = self.read(key)
        except ObjectMissingError:
            path = self._path(key)
            if not self._guard(path).exists():
                raise
            # Where replacing a file removes it first, as on exFAT through FUSE, it is missing for a
            # moment; not while this process has the lock.
            with self._locked(path):
                data = self.read(key)
        return data, _version(data)

    @contextlib.contextmanager
    def open_input(self, key: str) -> Iterator[pa.NativeFile]:
        """The file, read and not mapped: a file server's error in a mapping kills the process."""
        path = self._existing(key)
        with translated(f"The file {path}"):
            source = pa.OSFile(str(path))
        with source:
            yield source

    @contextlib.contextmanager
    def open_output(self, key: str) -> Iterator[IO[bytes]]:
        """A temporary file in the same folder, renamed onto ``key`` when the block ends cleanly."""
        path = self._path(key)
        with self._unfinished(path) as (temporary, file):
            yield file
            _finish(file, path)
            with translated(f"The file {path}"):
                temporary.replace(path)
                _sync_folder(path.parent)

    def write(self, key: str, data: bytes) -> None:
        """Write or overwrite the file, whole or not at all."""
        with self.open_output(key) as file:
            file.write(data)

    def create(self, key: str, data: bytes) -> bool:
        """Write the file only if there is none (a hard link refuses an existing name)."""
        path = self._path(key)
        with self._unfinished(path) as (temporary, file):
            file.write(data)
            _finish(file, path)
            with translated(f"The file {path}"):
                try:
                    path.hardlink_to(temporary)
                except FileExistsError:
                    return False
                except OSError as error:
                    if error.errno not in _UNSUPPORTED:
                        raise
                    return self._create_under_lock(path, temporary)
                _sync_folder(path.parent)
                return True

    def replace(self, key: str, data: bytes, *, version: str) -> bool:
        """Overwrite the file only if its content still has ``version``."""
        path = self._path(key)
        if not self.exists(key):
            return False
        # Between reading the version and renaming, no other process may do the same.
        with self._locked(path):
            try:
                unchanged = _version(self.read(key)) == version
            except ObjectMissingError:
                return False
            if unchanged:
                self.write(key, data)
            return unchanged

    def _create_under_lock(self, path: Path, temporary: Path) -> bool:
        """Create without hard links: every creator of this file holds the same lock."""
        with self._locked(path):
            if path.exists():
                return False
            temporary.replace(path)
            _sync_folder(path.parent)
            return True

    def _locked(self, path: Path) -> contextlib.AbstractContextManager[None]:
        return file_lock(self._guard(path), f"The file {path}")

    @staticmethod
    def _guard(path: Path) -> Path:
        """The file that is locked when ``path`` is replaced; it stays."""
        return path.with_name(f"{TEMPORARY_PREFIX}{path.name}.lock")

    def delete(self, key: str) -> None:
        """Remove the file if it is there."""
        path = self._path(key)
        if self.exists(key):
            with contextlib.suppress(ObjectMissingError), translated(f"The file {path}"):
                path.unlink()

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)

    def _existing(self, key: str) -> Path:
        if not self.exists(key):
            raise ObjectMissingError(
                f"The file {self.describe(key)}",
                "does not exist",
                "Run the step that makes it first.",
            )
        return self._path(key)

    @contextlib.contextmanager
    def _unfinished(self, path: Path) -> Iterator[tuple[Path, IO[bytes]]]:
        """A temporary file beside ``path``, gone when the block ends unless renamed by then."""
        with translated(f"The file {path}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sweep(path.parent)
            descriptor, name = tempfile.mkstemp(
                prefix=TEMPORARY_PREFIX, suffix=_SUFFIX_UNFINISHED, dir=path.parent
            )
        try:
            with output_file(descriptor, f"The file {path}") as file:
                yield Path(name), file
        finally:
            with contextlib.suppress(OSError):
                Path(name).unlink()

    def _sweep(self, folder: Path) -> None:
        """Remove, once a folder, the temporary files that killed writers left long ago."""
        if folder in self._swept:
            return
        self._swept.add(folder)
        oldest = time.time() - _ABANDONED_AFTER_SECONDS
        for file in folder.glob(f"{TEMPORARY_PREFIX}*{_SUFFIX_UNFINISHED}"):
            with contextlib.suppress(FileNotFoundError):
                if file.stat().st_mtime < oldest:
                    file.unlink()


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _finish(file: IO[bytes], path: Path) -> None:
    """Bring a written file to the disk, readable as other files are."""
    file.flush()
    with translated(f"The file {path}"):
        with _where_supported():
            os.fsync(file.fileno())
        with _where_supported():
            os.fchmod(file.fileno(), 0o644)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable: the folder's own entry must reach the disk too."""
    with _where_supported():
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _where_supported() -> Iterator[None]:
    """Drop the error of a file system that does not have this operation."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def _absolute(root: Path) -> Path:
    """The folder in full; raises InputError where it cannot be named or ``~`` resolved."""
    try:
        str(root).encode()
        return root.expanduser().resolve()
    except UnicodeEncodeError as error:
        # Arrow and DuckDB take names in UTF-8 alone.
        raise InputError(
            f"The folder {str(root)!a}",
            "has a name that is not valid UTF-8",
            "Rename it, or choose another.",
        ) from error
    except RuntimeError as error:
        # Path.resolve() has no error of its own for links that lead to each other.
        if not str(root).startswith("~"):
            raise InputError(
                f"The folder {root}",
                "cannot be found: its symbolic links lead to each other in a circle",
                "Correct the links, or choose another folder.",
            ) from error
        raise InputError(
            f"The folder {root}",
            f"cannot be found: the home folder is not known ({error})",
            "Set HOME, or give the folder without ~.",
        ) from error


def _raise_unless_gone(error: OSError) -> None:
    """A folder that is not there lists as empty; one that cannot be read is an error."""
    with contextlib.suppress(ObjectMissingError), translated(f"The folder {error.filename}"):
        raise error
