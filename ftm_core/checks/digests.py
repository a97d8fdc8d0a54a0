"""Order-free fingerprints of rows, so that two tables compare without being held together."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

_MODULUS = 2**64


class FirmDigests:
    """One number per firm over all its rows; equal when the firms have the same rows."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._values = itemgetter(*columns)
        self._sums: dict[str, int] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Take one row in."""
        value = digest(self._values(row))
        firm = row["firm_id"]
        self._sums[firm] = (self._sums.get(firm, 0) + value) % _MODULUS

    def firms(self) -> set[str]:
        """Firms with a row."""
        return set(self._sums)

    def agree(self, other: FirmDigests, firm: str) -> bool:
        """Whether both have the same rows of ``firm`` (none in both counts as the same)."""
        return self._sums.get(firm) == other._sums.get(firm)


def digest(values: Iterable[Any]) -> int:
    """64 bits of BLAKE2b over the values' representations."""
    text = repr(tuple(values)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
