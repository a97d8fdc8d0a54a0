"""A fingerprint of a row's values, so that tables compare without being held together."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any


def digest(values: Iterable[Any]) -> int:
    """64 bits of BLAKE2b over the values' representations."""
    text = repr(tuple(values)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
