"""Collect what a quarter's manifests record as failed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ftm_core.contracts import keys
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import Failure, FailuresManifest
from ftm_core.data.batch_plan import read_plan
from ftm_core.data.checkpoints import read_failures
from ftm_core.data.json_records import read_record
from ftm_core.data.listing import quarters_with_runs
from ftm_core.storage import Storage


@dataclass(frozen=True)
class RecordedFailure:
    """One failure and the batch (or ``Q_themes``) that recorded it.

    ``failure.topic_id`` names the topic, or the theme, where not the whole firm failed.
    """

    batch_id: str
    failure: Failure


@dataclass(frozen=True)
class FailuresReport:
    """All recorded failures of a quarter."""

    quarter: str
    n_firms: int
    failures: tuple[RecordedFailure, ...]

    @property
    def n_failed_firms(self) -> int:
        """Firms that failed, wholly or in one of their topics."""
        return len({item.failure.firm_id for item in self.failures if item.failure.firm_id})

    def as_json(self) -> dict[str, Any]:
        """The documented JSON shape (docs/reference/evaluation.md)."""
        return {
            "quarter": self.quarter,
            "n_firms": self.n_firms,
            "n_failed_firms": self.n_failed_firms,
            "n_failures": len(self.failures),
            "failures": [
                {"batch_id": item.batch_id, **dataclasses.asdict(item.failure)}
                for item in self.failures
            ],
        }


def collect_failures(storage: Storage, quarter: Quarter) -> FailuresReport:
    """Read every failures manifest of a quarter, in the order of its plan, themes last.

    Raises InputError when the quarter has no run.
    """
    plan = read_plan(storage, quarter)
    if plan is None:
        raise InputError(
            f"The quarter {quarter} in {storage.uri}",
            "has no run",
            f"Run `ftm run --quarter {quarter}` first, or name the right --data.",
        )
    batches = [batch.batch_id for batch in plan]
    return FailuresReport(
        quarter=str(quarter),
        n_firms=sum(len(batch.firm_ids) for batch in plan),
        failures=tuple(_failures(storage, quarter, batches)),
    )


def latest_run_quarter(storage: Storage) -> Quarter:
    """The latest quarter with a run, finished or not; raises InputError when there is none."""
    found = quarters_with_runs(storage)
    if not found:
        raise InputError(
            f"The data location {storage.uri}",
            "has no run yet",
            "Run `ftm run --quarter Q` first, or name --data.",
        )
    return found[-1]


def _failures(storage: Storage, quarter: Quarter, batches: list[str]) -> Iterator[RecordedFailure]:
    manifests = [read_failures(storage, quarter, batch) for batch in batches]
    manifests.append(_theme_failures(storage, quarter))
    for manifest in manifests:
        if manifest is not None:
            for failure in manifest.failures:
                yield RecordedFailure(manifest.batch_id, failure)


def _theme_failures(storage: Storage, quarter: Quarter) -> FailuresManifest | None:
    return read_record(storage, keys.theme_failures(quarter), FailuresManifest)
