"""The last run of each quarter in a data location, and how fast those runs were."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from ftm_cli.results.runs import PlannedBatch, RunRecord
from ftm_cli.targets.base import RunEstimate
from ftm_cli.targets.names import TargetName
from ftm_core.contracts.errors import FtmError
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import RunIdentity
from ftm_core.contracts.settings import LlmSettings
from ftm_core.data.batch_plan import read_plan
from ftm_core.data.lease import read_identity, state_of
from ftm_core.data.listing import quarters_with_runs
from ftm_core.data.quarter_store import QuarterStore
from ftm_core.storage import Storage


def recorded_runs(storage: Storage, target: TargetName) -> Iterator[RunRecord]:
    """The last run of each quarter, latest quarter first."""
    for quarter in reversed(quarters_with_runs(storage)):
        identity = read_identity(storage, quarter)
        if identity is not None:
            yield RunRecord(
                target=target,
                run=identity.run_id,
                quarter=identity.quarter,
                state=state_of(identity),
                started=identity.started,
                seconds=_seconds_of(identity),
                cost_usd=None,
            )


def estimate_from_history(
    storage: Storage, batches: tuple[PlannedBatch, ...], llm: LlmSettings
) -> RunEstimate:
    """Expected time of a run here, at the pace of the latest whole run with the same LLM.

    Same are the model and the answer mode. A run that was resumed does not count: nobody knows how
    many of its firms it found finished.
    """
    firms = sum(batch.firms for batch in batches)
    left = firms - sum(batch.finished for batch in batches)
    for quarter in reversed(quarters_with_runs(storage)):
        measured = _pace(storage, quarter, llm)
        if measured is None:
            continue
        firms_then, map_seconds, other_seconds = measured
        seconds = (map_seconds * left + other_seconds * firms) / firms_then
        basis = f"the run of {quarter}: {firms_then} firms in {map_seconds + other_seconds:.0f} s"
        return RunEstimate(seconds, 0.0, basis)
    return RunEstimate(None, 0.0, f"no earlier run with {llm.model_name} in this data location")


def _pace(storage: Storage, quarter: Quarter, llm: LlmSettings) -> tuple[int, float, float] | None:
    """Firms of a whole run with this LLM, its seconds in the map, and in all other stages."""
    try:
        identity = read_identity(storage, quarter)
        timings = QuarterStore(storage, quarter).timings
        plan = read_plan(storage, quarter) or []
    except FtmError:
        return None
    firms = sum(len(batch.firm_ids) for batch in plan)
    if identity is None or not identity.finished or not firms or timings is None:
        return None
    if not identity.run_id.startswith(f"{timings.run_name}-"):
        return None
    recorded = identity.inputs.get("settings", {}).get("llm", {})
    then = LlmSettings.model_construct(**{**LlmSettings().model_dump(), **recorded})
    if (then.model_name, then.resolved_answer_mode) != (llm.model_name, llm.resolved_answer_mode):
        return None
    seconds = {stage.stage: stage.seconds for stage in timings.stages}
    mapped = seconds.pop("map", 0.0)
    return (firms, mapped, sum(seconds.values())) if mapped else None


def _seconds_of(identity: RunIdentity) -> float | None:
    if not identity.finished:
        return None
    began = dt.datetime.fromisoformat(identity.started)
    return (dt.datetime.fromisoformat(identity.finished) - began).total_seconds()
