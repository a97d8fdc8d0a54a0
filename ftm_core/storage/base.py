"""The storage interface: whole-or-nothing writes, conditional create and replace, listing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import IO, Any, Protocol

from ftm_core.contracts.errors import InputError

# Names of unfinished files in a local folder: never listed, so no key may look like one.
TEMPORARY_PREFIX = ".ftm-"


class Storage(Protocol):
    """Objects under keys such as ``progress/2023Q1/run.json``.

    A reader sees an object whole or not at all. Every method raises StorageError (or
    ObjectMissingError, StorageRetryableError) naming the object; no error of the backend's own
    library leaves an implementation. A key that is no plain relative path raises InputError.
    An object that is changed by ``replace`` must never be overwritten by ``write``.
    """

    @property
    def uri(self) -> str:
        """Where the data is, as the user would write it."""
        ...

    def describe(self, key: str) -> str:
        """The full place of ``key`` for messages."""
        ...

    def exists(self, key: str) -> bool:
        """Whether an object is under ``key``."""
        ...

    def size(self, key: str) -> int:
        """Size of an object in bytes; raises ObjectMissingError."""
        ...

    def modified(self, key: str) -> dt.datetime:
        """When an object was last written, in UTC; raises ObjectMissingError."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Every key that starts with ``prefix``, in order of name, however many there are."""
        ...

    def read(self, key: str) -> bytes:
        """The whole object; raises ObjectMissingError."""
        ...

    def read_versioned(self, key: str) -> tuple[bytes, str]:
        """The whole object and the version to pass to ``replace``; raises ObjectMissingError."""
        ...

    def open_input(self, key: str) -> AbstractContextManager[Any]:
        """A seekable file for pyarrow, so that only the columns asked for are read."""
        ...

    def open_output(self, key: str) -> AbstractContextManager[IO[bytes]]:
        """A file to write; the object appears when the block ends cleanly, and only then."""
        ...

    def write(self, key: str, data: bytes) -> None:
        """Write or overwrite an object."""
        ...

    def create(self, key: str, data: bytes) -> bool:
        """Write an object only if there is none; False when there was one."""
        ...

    def replace(self, key: str, data: bytes, *, version: str) -> bool:
        """Overwrite an object only if it is still at ``version``; False when it is not."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; removing one that is not there is no error."""
        ...


def checked_key(key: str) -> str:
    """``key`` itself, if every backend can hold it; raises InputError when not."""
    names = key.split("/")
    if (
        any(name in {"", ".", ".."} or name.startswith(TEMPORARY_PREFIX) for name in names)
        or not key.isprintable()
        or "\\" in key
    ):
        raise InputError(
            f"The key {key!r}",
            "is not a plain relative path",
            "Use names separated by single slashes, without dots alone or control characters.",
        )
    return key


def checked_prefix(prefix: str) -> str:
    """``prefix`` itself, if it can begin a key; raises InputError when not."""
    if prefix:
        # The last name may be cut anywhere, so complete it before looking.
        checked_key(f"{prefix}x")
    return prefix
