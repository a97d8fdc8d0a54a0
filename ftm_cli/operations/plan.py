"""The plan of a run on AWS as plain values: the same that is shown is carried out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ftm_cli.operations.costs import DEFAULT_INSTANCE, Estimate, Prices, estimate_run
from ftm_cli.results.runs import PlannedBatch
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import Batch, Manifest
from ftm_core.data.batch_plan import plan_batches, read_plan
from ftm_core.data.checkpoints import read_checkpoint
from ftm_core.data.transcript_chunks import read_manifest
from ftm_core.storage import Storage

Scale = Literal["auto", "none"]


@dataclass(frozen=True)
class RunPlan:
    """What `ftm run` will do on AWS."""

    quarter: Quarter
    bucket: str
    execution_name: str
    scale: Scale
    instances: int
    restart: bool
    batches: tuple[PlannedBatch, ...]
    estimate: Estimate
    # Map jobs that the vLLM instances of this run keep busy.
    max_concurrent_batches: int

    @property
    def payload(self) -> dict[str, Any]:
        """Input of the execution."""
        given: dict[str, Any] = {"quarter": str(self.quarter), "bucket": self.bucket}
        if self.restart:
            given["restart"] = True
        # For one vLLM the state machine's own number holds.
        if self.scale == "auto" and self.instances > 1:
            given["max_concurrent_batches"] = self.max_concurrent_batches
        return given


def plan_run(
    storage: Storage,
    quarter: Quarter,
    prices: Prices,
    *,
    bucket: str,
    execution_name: str,
    scale: Scale,
    instances: int,
    batch_size: int,
    restart: bool,
    instance_type: str = DEFAULT_INSTANCE,
) -> RunPlan:
    """Plan from the ingested transcripts and from what an earlier run finished.

    Raises InputError when the quarter has no transcripts.
    """
    manifest, planned = planned_batches(storage, quarter, batch_size=batch_size, restart=restart)
    left = sum(batch.firms - batch.finished for batch in planned)
    open_batches = sum(batch.finished < batch.firms for batch in planned)
    used = instances if scale == "auto" else 0
    estimate = estimate_run(
        prices,
        firms=left,
        batches=open_batches,
        vllm_instances=used,
        sentences_per_firm=manifest.n_sentences / max(1, manifest.n_firms),
        instance_type=instance_type,
    )
    return RunPlan(
        quarter=quarter,
        bucket=bucket,
        execution_name=execution_name,
        scale=scale,
        instances=instances,
        restart=restart,
        batches=planned,
        estimate=estimate,
        max_concurrent_batches=prices.map_jobs_at_once(instances),
    )


def planned_batches(
    storage: Storage,
    quarter: Quarter,
    *,
    batch_size: int,
    restart: bool,
    max_firms: int | None = None,
) -> tuple[Manifest, tuple[PlannedBatch, ...]]:
    """The quarter's manifest, and its batches with what an earlier run finished of each.

    Raises InputError when the quarter has no transcripts.
    """
    manifest = read_manifest(storage, quarter)
    # The jobs cut the batches; a plan that they wrote before says how they do it.
    written = None if restart else read_plan(storage, quarter)
    batches = written or plan_batches(manifest, batch_size, max_firms)
    planned = tuple(_planned(storage, quarter, batch, fresh=written is None) for batch in batches)
    return manifest, planned


def _planned(storage: Storage, quarter: Quarter, batch: Batch, *, fresh: bool) -> PlannedBatch:
    saved = None if fresh else read_checkpoint(storage, quarter, batch.batch_id)
    finished = len(saved.completed_firm_ids) if saved else 0
    return PlannedBatch(batch.batch_id, len(batch.firm_ids), finished)
