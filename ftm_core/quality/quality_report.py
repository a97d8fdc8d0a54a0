"""The measures of a quarter's quality as plain values, and how they meet their thresholds."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ftm_core.quality.theme_recovery import Recovery


@dataclass(frozen=True)
class Measure:
    """One measure of quality, with details of its value; null where it could not be taken.

    The threshold is in words, and empty for a measure without one.
    """

    id: str
    title: str
    value: float | None
    threshold: str
    warning: bool
    detail: str


@dataclass(frozen=True)
class QualityReport:
    """All measures of one quarter."""

    quarter: str
    data: str
    run_id: str
    measures: tuple[Measure, ...]
    recovery: Recovery | None

    @property
    def warnings(self) -> tuple[Measure, ...]:
        """The measures beyond their thresholds."""
        return tuple(measure for measure in self.measures if measure.warning)

    def as_json(self) -> dict[str, Any]:
        """The documented JSON shape (docs/reference/quality.md)."""
        return {
            "quarter": self.quarter,
            "data": self.data,
            "run_id": self.run_id,
            "n_warnings": len(self.warnings),
            "measures": [dataclasses.asdict(measure) for measure in self.measures],
            "recovery": None if self.recovery is None else dataclasses.asdict(self.recovery),
        }


def at_least(
    id: str, title: str, value: float | None, threshold: float, detail: str = ""
) -> Measure:
    """A measure that warns below its threshold."""
    # A value that could not be measured needs attention as well.
    warning = value is None or value < threshold
    return Measure(id, title, value, f"at least {threshold:g}", warning, detail)


def at_most(
    id: str, title: str, value: float | None, threshold: float, detail: str = ""
) -> Measure:
    """A measure that warns above its threshold."""
    warning = value is None or value > threshold
    return Measure(id, title, value, f"at most {threshold:g}", warning, detail)


def share(part: int, whole: int) -> float | None:
    """Part of a whole, or None of nothing."""
    return part / whole if whole else None


def mean(values: Sequence[float]) -> float | None:
    """The mean, or None of nothing."""
    return sum(values) / len(values) if values else None
