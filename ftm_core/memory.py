"""How much memory this process holds: the peak so far, and an allocator that gives memory back."""

from __future__ import annotations

import os
import resource
import sys


def give_memory_back() -> None:
    """Have Arrow allocate from the system, here and in child processes; call before pyarrow loads.

    Its own pool keeps freed pages for each thread that ever read a table: in the map 46 MiB after
    500 firms, and more with every checkpoint. The images set the same variable themselves.
    Source: https://arrow.apache.org/docs/cpp/env_vars.html
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def peak_memory_mib() -> float:
    """Largest resident size so far of this process and of any one ended child, in MiB.

    Source: getrusage(2); ru_maxrss is in KiB on Linux and in bytes on macOS.
    """
    unit = 1024 if sys.platform == "darwin" else 1
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(own, children) / 1024 / unit
