"""Choose what a page shows when it cannot show all: each group by its share, by a fixed rule."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence


def sample_by_group(names: Sequence[str], groups: Sequence[Hashable], limit: int) -> list[int]:
    """Positions of about ``limit`` names, in order; all of them when there are no more.

    Each group keeps its share, one at least, so that many small groups may exceed the limit by
    their number. Within a group the order of the names' digests decides: as good as chance, and
    the same each time.
    """
    if len(names) <= limit:
        return list(range(len(names)))
    members: dict[Hashable, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    chosen: list[int] = []
    for places in members.values():
        share = max(1, limit * len(places) // len(names))
        chosen += sorted(places, key=lambda place: _digest(names[place]))[:share]
    return sorted(chosen)


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=8).digest()
