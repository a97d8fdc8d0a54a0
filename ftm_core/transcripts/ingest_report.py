"""What an ingest came to, quarter by quarter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ftm_core.contracts import records
from ftm_core.contracts.quarters import Quarter
from ftm_core.transcripts.results import Reject


@dataclass(frozen=True)
class QuarterResult:
    """What one quarter of an ingest came to; turns are those that are stored."""

    quarter: Quarter
    manifest: records.Manifest
    already_ingested: bool = False
    n_turns: int = 0
    turns_by_speaker: Mapping[str, int] = field(default_factory=dict)
    rejects_place: str | None = None


@dataclass(frozen=True)
class IngestReport:
    """What an ingest came to; ``rejects`` are the first rejected rows, the files hold all.

    ``other_quarters`` counts rows of quarters that were not asked for, ``emptied`` optional values
    that could not be read, ``skipped`` files and calls that were left out, each by reason.
    ``n_older_versions`` counts transcripts that another version of their call replaces.
    """

    layout: str
    form: str
    quarters: tuple[QuarterResult, ...]
    n_rows: int
    n_rejects: int
    rejects: tuple[Reject, ...]
    rejects_by_reason: Mapping[str, int]
    other_quarters: Mapping[str, int]
    emptied: Mapping[str, int]
    skipped: Mapping[str, int]
    n_older_versions: int
    warnings: tuple[str, ...]
    seconds: float

    @property
    def already_ingested(self) -> bool:
        """Whether every quarter was there from this content."""
        return all(result.already_ingested for result in self.quarters)

    @property
    def quarter(self) -> Quarter:
        """The first quarter."""
        return self.quarters[0].quarter

    @property
    def manifest(self) -> records.Manifest:
        """The manifest of the first quarter."""
        return self.quarters[0].manifest

    @property
    def rejects_place(self) -> str | None:
        """Where the rejected rows of the first quarter are."""
        return self.quarters[0].rejects_place
