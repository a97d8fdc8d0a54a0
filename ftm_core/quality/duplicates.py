"""Theme names that say the same."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from ftm_core.text.tokens import WORD


def duplicate_names(names: Sequence[str], similarity: float) -> list[tuple[int, int]]:
    """Positions of each pair of names that share ``similarity`` of their words (Jaccard)."""
    words = [frozenset(WORD.findall(name.lower())) for name in names]
    return [
        (first, second)
        for first, second in itertools.combinations(range(len(names)), 2)
        if _jaccard(words[first], words[second]) >= similarity
    ]


def _jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    either = first | second
    return len(first & second) / len(either) if either else 1.0
