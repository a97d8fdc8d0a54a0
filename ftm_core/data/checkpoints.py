"""What a batch has finished and what failed: parts first, checkpoint after, failures beside."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ftm_core.contracts import keys, schemas
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import (
    Batch,
    Checkpoint,
    Failure,
    FailuresManifest,
    Part,
    to_json,
    utc_now,
)
from ftm_core.data.json_records import read_record
from ftm_core.storage import Storage, tables


@dataclass(frozen=True)
class FinishedFirm:
    """The output rows of one firm, and those of its topics that failed."""

    firm_id: str
    topic_rows: tuple[dict[str, Any], ...]
    sentences: pa.Table
    failed_topics: tuple[Failure, ...]


class BatchCheckpoints:
    """The checkpoint and the failures manifest of one batch, kept in step with its parts.

    A part counts only once the checkpoint names it, so what a killed process left behind is
    never read. ``open`` removes such leftovers and makes failed firms pending again; their failures
    stay on record until they are tried again.
    """

    def __init__(self, storage: Storage, batch: Batch, run_id: str) -> None:
        self._storage = storage
        self._batch = batch
        self._quarter = Quarter.parse(batch.quarter)
        self._checkpoint = Checkpoint(
            batch_id=batch.batch_id,
            quarter=batch.quarter,
            run_id=run_id,
            completed_firm_ids=(),
            parts=(),
            timestamp=utc_now(),
        )
        self._is_saved = False
        self._failures: dict[tuple[str, str | None], Failure] = {}
        self._attempts: dict[tuple[str, str | None], int] = {}

    @classmethod
    def open(cls, storage: Storage, batch: Batch, run_id: str) -> BatchCheckpoints:
        """Resume a batch where it stopped; a checkpoint of another run counts for nothing."""
        progress = cls(storage, batch, run_id)
        saved = read_checkpoint(storage, progress._quarter, batch.batch_id)
        if saved is not None and progress._continues(saved):
            progress._checkpoint = saved
            progress._is_saved = True
            progress._retry_failures()
        else:
            # Without a checkpoint nothing says whose failures these are.
            storage.delete(keys.failures(progress._quarter, batch.batch_id))
        progress._remove_leftovers()
        return progress

    def _continues(self, saved: Checkpoint) -> bool:
        """Whether ``saved`` is of this run, and of this plan's batch."""
        return saved.run_id == self._checkpoint.run_id and set(saved.completed_firm_ids) <= set(
            self._batch.firm_ids
        )

    @property
    def pending(self) -> list[str]:
        """Firms of the batch that are not finished, in its order."""
        done = set(self._checkpoint.completed_firm_ids)
        return [firm for firm in self._batch.firm_ids if firm not in done]

    @property
    def n_completed(self) -> int:
        """Firms finished so far."""
        return len(self._checkpoint.completed_firm_ids)

    @property
    def n_topics(self) -> int:
        """Topics written so far."""
        return sum(part.n_topics for part in self._checkpoint.parts)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Failures recorded so far, by firm."""
        return tuple(self._failures[key] for key in sorted(self._failures, key=str))

    @property
    def failed_firms(self) -> set[str]:
        """Firms that failed, wholly or in one of their topics."""
        return {firm for firm, _ in self._failures}

    def record_failure(self, failure: Failure) -> None:
        """Keep a failure; ``save`` writes it."""
        if failure.topic_id is None:
            self._forget_failures(failure.firm_id)
        key = (failure.firm_id, failure.topic_id)
        attempts = self._attempts.get(key, 0) + failure.attempts
        self._failures[key] = dataclasses.replace(failure, attempts=attempts)

    def save(self, firms: Sequence[FinishedFirm]) -> None:
        """Write the failures, then the firms as one part, then the checkpoint."""
        for firm in firms:
            self._forget_failures(firm.firm_id)
            for failure in firm.failed_topics:
                self.record_failure(failure)
        # Failures first: a firm must never count as complete while a failed topic of it is unknown.
        self._write_failures()
        parts, completed = self._checkpoint.parts, self._checkpoint.completed_firm_ids
        if firms:
            number = max((part.number for part in parts), default=-1) + 1
            parts = (*parts, self._write_part(number, firms))
            completed = (*completed, *(firm.firm_id for firm in firms))
        if firms or not self._is_saved:
            self._write_checkpoint(parts, completed)

    def _forget_failures(self, firm_id: str) -> None:
        """Drop what an earlier attempt at the firm left on record."""
        self._failures = {key: kept for key, kept in self._failures.items() if key[0] != firm_id}

    def _write_part(self, number: int, firms: Sequence[FinishedFirm]) -> Part:
        topic_key = keys.firm_topics_part(self._quarter, self._batch.batch_id, number)
        run_id = self._checkpoint.run_id
        topics = schemas.table_from_rows(
            [row for firm in firms for row in firm.topic_rows],
            schemas.FIRM_TOPICS,
            run_id=run_id,
            where=self._storage.describe(topic_key),
        )
        tables.write_table(self._storage, topic_key, topics)
        sentence_key = keys.sentences_part(self._quarter, self._batch.batch_id, number)
        sentences = schemas.stamp(
            pa.concat_tables([firm.sentences for firm in firms]),
            schemas.MAP_SENTENCES,
            run_id=run_id,
            where=self._storage.describe(sentence_key),
        )
        tables.write_table(self._storage, sentence_key, sentences)
        firm_ids = tuple(firm.firm_id for firm in firms)
        return Part(number, firm_ids, topics.num_rows, sentences.num_rows)

    def _retry_failures(self) -> None:
        """Make firms with failures pending again: take their rows out of the parts they are in."""
        manifest = read_failures(self._storage, self._quarter, self._batch.batch_id)
        if manifest is None:
            return
        self._failures = {(item.firm_id, item.topic_id): item for item in manifest.failures}
        self._attempts = {key: failure.attempts for key, failure in self._failures.items()}
        partial = self.failed_firms & set(self._checkpoint.completed_firm_ids)
        if not partial:
            return
        number = max(part.number for part in self._checkpoint.parts) + 1
        parts = []
        for part in self._checkpoint.parts:
            if partial.isdisjoint(part.firm_ids):
                parts.append(part)
            elif not partial.issuperset(part.firm_ids):
                parts.append(self._rewrite_part(part, number, partial))
                number += 1
        completed = [f for f in self._checkpoint.completed_firm_ids if f not in partial]
        self._write_checkpoint(parts, completed)

    def _rewrite_part(self, part: Part, number: int, without: set[str]) -> Part:
        counts = []
        for name, schema in (
            (keys.firm_topics_part, schemas.FIRM_TOPICS),
            (keys.sentences_part, schemas.MAP_SENTENCES),
        ):
            source = name(self._quarter, self._batch.batch_id, part.number)
            table = tables.read_table(self._storage, source, schema, run_id=self._checkpoint.run_id)
            drop = pc.is_in(table["firm_id"], pa.array(sorted(without), pa.string()))
            kept = table.filter(pc.invert(drop))
            target = name(self._quarter, self._batch.batch_id, number)
            tables.write_table(self._storage, target, kept)
            counts.append(kept.num_rows)
        firm_ids = tuple(firm for firm in part.firm_ids if firm not in without)
        return Part(number, firm_ids, *counts)

    def _remove_leftovers(self) -> None:
        """Delete part files of this batch that no checkpoint names."""
        numbers = [part.number for part in self._checkpoint.parts]
        for name, prefix in (
            (keys.firm_topics_part, keys.firm_topics_prefix(self._quarter)),
            (keys.sentences_part, keys.sentences_prefix(self._quarter)),
        ):
            named = {name(self._quarter, self._batch.batch_id, number) for number in numbers}
            for key in list(self._storage.list(f"{prefix}{self._batch.batch_id}_part_")):
                if key not in named:
                    self._storage.delete(key)

    def _write_checkpoint(self, parts: Sequence[Part], completed: Sequence[str]) -> None:
        self._checkpoint = dataclasses.replace(
            self._checkpoint,
            completed_firm_ids=tuple(completed),
            parts=tuple(parts),
            timestamp=utc_now(),
        )
        # Remembered before it is written: a write that seems to fail may yet have happened, and the
        # number of a part that a checkpoint names must never be given again.
        key = keys.checkpoint(self._quarter, self._batch.batch_id)
        self._storage.write(key, to_json(self._checkpoint))
        self._is_saved = True

    def _write_failures(self) -> None:
        manifest = FailuresManifest(
            batch_id=self._batch.batch_id,
            quarter=self._batch.quarter,
            n_failures=len(self._failures),
            failures=self.failures,
            timestamp=utc_now(),
        )
        self._storage.write(keys.failures(self._quarter, self._batch.batch_id), to_json(manifest))


def read_checkpoint(storage: Storage, quarter: Quarter, batch_id: str) -> Checkpoint | None:
    """A batch's checkpoint, or None when it has not saved anything yet."""
    return read_record(storage, keys.checkpoint(quarter, batch_id), Checkpoint)


def read_failures(storage: Storage, quarter: Quarter, batch_id: str) -> FailuresManifest | None:
    """A batch's failures manifest, or None when it has not saved anything yet."""
    return read_record(storage, keys.failures(quarter, batch_id), FailuresManifest)
