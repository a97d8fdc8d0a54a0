"""A local folder that the answer store treats as a bucket, with its writes counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ftm_core.contracts.errors import StorageError
from ftm_core.storage.local import LocalStorage


class BucketLike:
    """A local folder behind the bare storage interface, so that it is treated as a bucket."""

    def __init__(self, root: Path) -> None:
        self._inner = LocalStorage(root)
        self.writes: list[str] = []
        self.failing = False

    def write(self, key: str, data: bytes) -> None:
        if self.failing:
            raise StorageError(key, "throttled", "Wait.")
        self.writes.append(key)
        self._inner.write(key, data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
