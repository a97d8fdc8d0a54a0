"""Open a finished quarter to check, package or export it: identity, input, plan, map output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ftm_core.contracts import keys
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import Batch, Manifest, ReduceState, RunIdentity
from ftm_core.data import lease
from ftm_core.data.batch_plan import read_plan
from ftm_core.data.json_records import read_record
from ftm_core.data.map_output import MapOutput, read_map_output
from ftm_core.data.transcript_chunks import read_manifest
from ftm_core.storage import Storage


@dataclass(frozen=True)
class FinishedQuarter:
    """A quarter whose map and reduce both ended, with what its run recorded of itself."""

    storage: Storage
    quarter: Quarter
    identity: RunIdentity
    manifest: Manifest
    plan: tuple[Batch, ...]
    output: MapOutput

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """The settings that the rows were made with, by group."""
        recorded: dict[str, dict[str, Any]] = self.identity.inputs["settings"]
        return recorded

    @property
    def planned_firms(self) -> list[str]:
        """Firms of the plan, in its order."""
        return [firm for batch in self.plan for firm in batch.firm_ids]


def open_finished(storage: Storage, quarter: Quarter) -> FinishedQuarter:
    """Open a quarter that stands to the end.

    Raises InputError, saying what is to be run first, when it was never begun, its map is not
    finished, or its themes are missing or were made from another map output.
    """
    identity = lease.read_identity(storage, quarter)
    plan = read_plan(storage, quarter)
    if identity is None or plan is None:
        raise InputError(
            f"The quarter {quarter} in {storage.uri}",
            "has no run",
            f"Run `ftm run --quarter {quarter}` first, or name the right --data.",
        )
    output = read_map_output(storage, quarter, plan, identity.run_id)
    if _reduced_from(storage, quarter) != (identity.run_id, output.fingerprint):
        raise InputError(
            f"The quarter {quarter} in {storage.uri}",
            "is not finished: its themes and tables were made from other topics than its present "
            "ones",
            f"Run `ftm run --quarter {quarter}` to finish it.",
        )
    manifest = read_manifest(storage, quarter)
    return FinishedQuarter(storage, quarter, identity, manifest, tuple(plan), output)


def is_finished(storage: Storage, quarter: Quarter) -> bool:
    """Whether a quarter stands to the end; `open_finished` says what is missing where not."""
    try:
        open_finished(storage, quarter)
    except InputError:
        return False
    return True


def _reduced_from(storage: Storage, quarter: Quarter) -> tuple[str, str] | None:
    """Run and map output that the quarter's tables were made from, or None without a reduce."""
    state = read_record(storage, keys.reduce_state(quarter), ReduceState)
    return None if state is None else (state.run_id, state.map_output)
