"""A lock between processes in a folder: flock on one machine, a lock file between machines."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from ftm_core.contracts.errors import StorageRetryableError
from ftm_core.storage.files import translated
from ftm_core.storage.processes import process_view

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
_REFUSED_SECONDS = 5.0
_POLL_SECONDS = 0.05


@contextlib.contextmanager
def file_lock(guard: Path, where: str) -> Iterator[None]:
    """Hold the lock named by ``guard`` while the block runs; ``where`` is named in errors.

    flock alone is not enough: on sshfs, on NFS with ``local_lock`` and on other file systems it
    succeeds and yet excludes nobody on another machine. It orders the processes of one machine,
    and a lock file orders machines. Raises StorageRetryableError when a lock file stays held.
    """
    with contextlib.ExitStack() as held:
        with translated(where):
            file = held.enter_context(guard.open("w"))
            has_flock = True
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in _NO_FLOCK:
                    raise
                has_flock = False
        lock_file = guard.with_name(f"{guard.name}ed")
        held.enter_context(_exclusive_file(lock_file, where, has_flock=has_flock))
        yield


@contextlib.contextmanager
def _exclusive_file(path: Path, where: str, *, has_flock: bool) -> Iterator[None]:
    """A file that only one process can create; it is gone when the block ends."""
    token = f"{process_view()} {os.getpid()} {uuid.uuid4()}"
    began = time.monotonic()
    with translated(where):
        while not _created(
            path, token, refusal_means_held=time.monotonic() < began + _REFUSED_SECONDS
        ):
            if has_flock and _owner_was_killed_here(path):
                path.unlink(missing_ok=True)
                continue
            _remove_if_abandoned(path)
            if time.monotonic() > began + _WAIT_SECONDS:
                raise StorageRetryableError(
                    where,
                    f"cannot be locked: the lock file {path} stayed held for {_WAIT_SECONDS:.0f} s",
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


def _owner_was_killed_here(path: Path) -> bool:
    """Whether the lock file is of a process of this machine that no longer exists.

    Asked by the one process here that has the flock, so no other can make a new one meanwhile.
    """
    try:
        view, pid, _ = path.read_text(encoding="utf-8").rsplit(" ", 2)
        if view == process_view():
            os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):
        # Gone by now, not yet written, or of a process that we may not signal.
        pass
    return False


def _created(path: Path, token: str, *, refusal_means_held: bool) -> bool:
    """Create the lock file exclusively, which NFS, SMB, FAT and FUSE all can; False if held.

    SFTP has no word for "exists": with ``refusal_means_held`` a refusal is taken for one.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno == errno.EPERM and refusal_means_held:
            return False
        raise
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(token)
    return True


def _remove_if_abandoned(path: Path) -> None:
    """Remove a lock file that is old by the file system's own clock, which may not be ours."""
    probe = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    taken = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    with contextlib.suppress(FileNotFoundError):
        token = path.read_bytes()
        held_since = path.stat().st_mtime
        probe.touch()
        try:
            age = probe.stat().st_mtime - held_since
        finally:
            probe.unlink()
        if age > _ABANDONED_AFTER_SECONDS:
            # Only one process can rename it. By now it may be a new one: that one goes back.
            path.rename(taken)
            if taken.read_bytes() == token:
                taken.unlink()
            else:
                taken.rename(path)
