"""What kind of theme it is: about a subject, about how results are reported, or procedure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

Kind = Literal["subject", "results", "procedure"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def kind_of(sentences: Sequence[str]) -> Kind:
    """The kind of a theme by its most central sentences."""
    return "subject"
