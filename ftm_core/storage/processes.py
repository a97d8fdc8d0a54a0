"""Which processes a process number means: those of one machine, in one namespace."""

from __future__ import annotations

import contextlib
import functools
import socket
from pathlib import Path

_MACHINE = Path("/etc/machine-id")
_NAMESPACE = Path("/proc/self/ns/pid")


@functools.cache
def process_view() -> str:
    """A name of all processes that this one can see; numbers of another view mean nothing here.

    A host name alone is not enough: several machines may be called localhost, and the outermost
    namespace has the same number on every Linux machine. It outlasts a restart of the machine.
    """
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(_MACHINE.read_text(encoding="ascii").strip())
    with contextlib.suppress(OSError):
        parts.append(str(_NAMESPACE.readlink()))
    return " ".join(part for part in parts if part)
