"""A lock between processes in a folder: flock, or a lock file where flock does not work."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from ftm_core.contracts.errors import StorageRetryableError
from ftm_core.storage.files import translated

# Lustre without -o flock, NFS without lockd, FUSE file systems.
_NO_FLOCK = frozenset(
    {
        errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.EBADF,
        errno.EPERM, errno.EACCES, errno.EREMOTEIO,
    }
)  # fmt: skip
# The lock is held for milliseconds: a file this old was left by a process that was killed.
_ABANDONED_AFTER_SECONDS = 30.0
_WAIT_SECONDS = 120.0
_POLL_SECONDS = 0.05


@contextlib.contextmanager
def file_lock(guard: Path, where: str) -> Iterator[None]:
    """Hold the lock named by ``guard`` while the block runs; ``where`` is named in errors.

    All processes on one file system take the same way, since flock works for all or for none.
    Raises StorageRetryableError when a lock file stays held.
    """
    with contextlib.ExitStack() as held:
        with translated(where):
            file = held.enter_context(guard.open("w"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in _NO_FLOCK:
                    raise
                held.enter_context(_exclusive_file(guard.with_name(f"{guard.name}ed"), where))
        yield


@contextlib.contextmanager
def _exclusive_file(path: Path, where: str) -> Iterator[None]:
    """A file that only one process can create; it is gone when the block ends."""
    token = f"{socket.gethostname()} {os.getpid()} {uuid.uuid4()}"
    deadline = time.monotonic() + _WAIT_SECONDS
    with translated(where):
        while not _created(path, token):
            _remove_if_abandoned(path)
            if time.monotonic() > deadline:
                raise StorageRetryableError(
                    where,
                    f"The lock file {path} stayed held for {_WAIT_SECONDS:.0f} s",
                    "Run the same command again later.",
                )
            time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        # Whoever took it for abandoned has removed it, or holds one of its own.
        with contextlib.suppress(OSError):
            if path.read_text(encoding="utf-8") == token:
                path.unlink()


def _created(path: Path, token: str) -> bool:
    """Create the lock file exclusively, which NFS, SMB, FAT and FUSE all can; False if held."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(token)
    return True


def _remove_if_abandoned(path: Path) -> None:
    """Remove a lock file that is old by the file system's own clock, which may not be ours."""
    probe = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    taken = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    with contextlib.suppress(FileNotFoundError):
        held_since = path.stat().st_mtime
        probe.touch()
        try:
            age = probe.stat().st_mtime - held_since
        finally:
            probe.unlink()
        if age > _ABANDONED_AFTER_SECONDS:
            # Only one process can rename it.
            path.rename(taken)
            taken.unlink()
