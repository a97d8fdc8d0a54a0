"""Word lists as data: one file per decision in ``lexicon/``, one word per line, ``#`` comments.

Each list decides rows, so its file is part of a run's fingerprint (``ftm_core.row_code``).
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from ftm_core.text.tokens import uncontracted


@cache
def words(name: str) -> frozenset[str]:
    """The words of ``lexicon/NAME.txt``; raises FileNotFoundError when there is no such list."""
    lines = (_folder() / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def contains(name: str, word: str) -> bool:
    """Whether a list has a word in lower case, as it is or without its contraction."""
    listed = words(name)
    return word in listed or uncontracted(word) in listed


def _folder() -> Traversable:
    return resources.files("ftm_core.text") / "lexicon"
