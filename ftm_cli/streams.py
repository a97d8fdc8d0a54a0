"""Standard output and error that survive their reader, be it a closed pipe or a lost terminal."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# A pipe without a reader, and a terminal that was hung up.
_LOST = frozenset({errno.EPIPE, errno.EIO})


class _Descriptor(io.FileIO):
    """A descriptor that drops everything once nobody reads it any more."""

    def __init__(self, number: int, name: str) -> None:
        super().__init__(number, "wb", closefd=False)
        self._stream = name
        self.is_lost = False

    def write(self, data: ReadableBuffer, /) -> int:
        if self.is_lost:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except OSError as error:
            if error.errno in _LOST:
                self.is_lost = True
                return memoryview(data).nbytes
            from ftm_core.contracts.errors import StorageError

            # What cannot be written is dropped: else each later flush would fail with it again.
            self.is_lost = True
            raise StorageError(
                f"The {self._stream}",
                f"could not be written ({error.strerror})",
                "Free some space, or send the output somewhere else.",
            ) from error


def guard_streams() -> None:
    """Replace sys.stdout and sys.stderr by streams that never fail for want of a reader.

    The exit code stays the command's own: `ftm evaluate | head` ends as `ftm evaluate` would.
    """
    sys.stdout = _guarded(sys.stdout, "standard output")
    sys.stderr = _guarded(sys.stderr, "standard error")


def stdout_is_lost() -> bool:
    """Whether the reader of standard output is gone, so that following on is of no use."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, _Descriptor) and raw.is_lost


def flush_streams() -> None:
    """Write what is still buffered; raises StorageError when standard output cannot take it."""
    with contextlib.suppress(ValueError):
        if sys.stdout is not None:
            sys.stdout.flush()


def _guarded(stream: TextIO | None, name: str) -> TextIO:
    try:
        assert stream is not None
        number = stream.fileno()
        stream.flush()
    except (AssertionError, OSError, ValueError):
        # Closed by whoever started us, or not a file at all.
        return stream or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123
    raw = _Descriptor(number, name)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        # A file name that is no UTF-8 must not end a command; in JSON its escape is a valid one.
        errors="backslashreplace" if stream.errors == "strict" else stream.errors,
        line_buffering=raw.isatty() or name == "standard error",
    )
