"""Import a package without its optional dependencies, which may take seconds to load."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without_packages(*names: str) -> Iterator[None]:
    """Within the block, an import of these packages fails as if they were not installed.

    Packages that are loaded already stay available. For the import of a package that does without
    them where they are absent.
    """
    modules: dict[str, Any] = sys.modules
    blocked = [name for name in names if name not in modules]
    modules.update(dict.fromkeys(blocked))
    try:
        yield
    finally:
        for name in blocked:
            # Python keeps None for a package whose import must fail.
            if modules.get(name, False) is None:
                del modules[name]
