"""Read the map output of a run: exactly the parts that its checkpoints name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ftm_core.contracts import keys, schemas
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import Batch, Checkpoint, Failure
from ftm_core.data.checkpoints import read_checkpoint, read_failures
from ftm_core.storage import Storage, tables


@dataclass(frozen=True)
class MapOutput:
    """What the map phase of one run left: checkpoints in the order of the plan, and failures."""

    quarter: Quarter
    run_id: str
    n_firms: int
    checkpoints: tuple[Checkpoint, ...]
    failures: tuple[Failure, ...]

    @property
    def failed_firms(self) -> set[str]:
        """Firms that failed, wholly or in one of their topics."""
        return {failure.firm_id for failure in self.failures}

    @property
    def fingerprint(self) -> str:
        """Changes whenever the parts that make up the output change."""
        parts = [
            [point.batch_id, part.number, part.n_topics, list(part.firm_ids)]
            for point in self.checkpoints
            for part in point.parts
        ]
        return hashlib.sha256(json.dumps([self.run_id, parts]).encode()).hexdigest()

    def topic_keys(self) -> list[str]:
        """Keys of the parts with topics, in order."""
        return [
            keys.firm_topics_part(self.quarter, point.batch_id, part.number)
            for point in self.checkpoints
            for part in point.parts
        ]

    def sentence_keys(self) -> list[str]:
        """Keys of the parts with sentences, in order."""
        return [
            keys.sentences_part(self.quarter, point.batch_id, part.number)
            for point in self.checkpoints
            for part in point.parts
        ]


def read_map_output(
    storage: Storage, quarter: Quarter, plan: Sequence[Batch], run_id: str
) -> MapOutput:
    """Collect the run's checkpoints; raises InputError naming a batch that has not finished.

    Files of another run, or left by a killed process, are no part of any checkpoint of this run
    and are never read.
    """
    checkpoints = []
    failures: list[Failure] = []
    for batch in plan:
        checkpoint = read_checkpoint(storage, quarter, batch.batch_id)
        batch_failures: tuple[Failure, ...] = ()
        missing = set(batch.firm_ids)
        if checkpoint is not None and checkpoint.run_id == run_id:
            manifest = read_failures(storage, quarter, batch.batch_id)
            batch_failures = manifest.failures if manifest is not None else ()
            # A firm that failed in one topic must be complete all the same: its other topics count.
            missing -= {item.firm_id for item in batch_failures if item.topic_id is None}
            missing -= set(checkpoint.completed_firm_ids)
            checkpoints.append(checkpoint)
        if missing:
            raise InputError(
                f"The batch {batch.batch_id}",
                f"is not finished: {len(missing)} firms are pending",
                f"Run `ftm run --quarter {quarter}` to finish the map first.",
            )
        failures.extend(batch_failures)
    return MapOutput(
        quarter=quarter,
        run_id=run_id,
        n_firms=sum(len(batch.firm_ids) for batch in plan),
        checkpoints=tuple(checkpoints),
        failures=tuple(failures),
    )


def iterate_sentences(storage: Storage, output: MapOutput) -> Iterator[pa.Table]:
    """The sentences of the run, part by part."""
    return tables.iterate_tables(
        storage, output.sentence_keys(), schemas.MAP_SENTENCES, run_id=output.run_id
    )
