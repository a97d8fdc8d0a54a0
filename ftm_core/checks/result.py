"""The results of the checks of a quarter, as plain values."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ftm_core.quality.quality_report import Measure

EXAMPLES_SHOWN = 3
# In the order of the pipeline; ``custom`` are a user's own.
GROUPS = ("files", "input", "map", "themes", "tables", "sentiment", "custom")


@dataclass(frozen=True)
class Check:
    """One check: whether it passed, the value that says so, and what was wrong where it did not.

    Groups are files, input, map, themes, tables, sentiment and custom (a user's own);
    `ftm evaluate` on AWS adds serving.
    """

    id: str
    group: str
    title: str
    passed: bool
    value: str
    detail: str


@dataclass(frozen=True)
class Samples:
    """The first rows of topics, themes and contributions, as the runbook shows them."""

    topics: tuple[dict[str, Any], ...]
    themes: tuple[dict[str, Any], ...]
    contributions: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class EvaluationReport:
    """All checks of one quarter, in the order of the pipeline, and sample rows.

    ``warnings`` are the quality measures beyond their thresholds, which fail nothing. They are
    taken of sound tables alone: None where a check failed.
    """

    quarter: str
    data: str
    run_id: str
    checks: tuple[Check, ...]
    samples: Samples
    warnings: tuple[Measure, ...] | None

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)

    def as_json(self) -> dict[str, Any]:
        """The documented JSON shape (docs/reference/evaluation.md); dates are ISO 8601 text."""
        return {
            "quarter": self.quarter,
            "data": self.data,
            "run_id": self.run_id,
            "passed": self.passed,
            "n_passed": len(self.checks) - len(self.failed),
            "n_failed": len(self.failed),
            "checks": [dataclasses.asdict(check) for check in self.checks],
            "warnings": None
            if self.warnings is None
            else [dataclasses.asdict(measure) for measure in self.warnings],
            "samples": {
                name: [_plain(row) for row in rows]
                for name, rows in (
                    ("topics", self.samples.topics),
                    ("themes", self.samples.themes),
                    ("contributions", self.samples.contributions),
                )
            },
        }


class CheckCounter:
    """Counts the items of one check and those at fault."""

    def __init__(self, id: str, group: str, title: str, unit: str) -> None:
        self.id = id
        self._group = group
        self._title = title
        self._unit = unit
        self._n_seen = 0
        self._n_faults = 0
        self._examples: list[str] = []

    def record(self, sound: bool, fault: str = "") -> None:
        """Count one item; ``fault`` says what is wrong with it where it is not sound."""
        self._n_seen += 1
        if not sound:
            self._n_faults += 1
            if len(self._examples) < EXAMPLES_SHOWN:
                self._examples.append(fault)

    def check(self) -> Check:
        """The check: passed when nothing was at fault."""
        return Check(
            id=self.id,
            group=self._group,
            title=self._title,
            passed=not self._n_faults,
            value=f"{self._n_seen - self._n_faults} of {self._n_seen} {self._unit}",
            detail=detail_of(self._examples, self._n_faults),
        )


def detail_of(examples: Sequence[str], n_faults: int) -> str:
    """The first faults in one line, and how many more there are."""
    shown = "; ".join(examples)
    more = n_faults - len(examples)
    return f"{shown}; and {more} more" if more else shown


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in row.items()
    }
