"""How far a run is, from the checkpoints and failures its jobs keep in the bucket."""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import dataclass

from ftm_core.contracts import keys
from ftm_core.contracts.errors import ObjectMissingError, StorageError
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.batch_plan import read_plan
from ftm_core.data.checkpoints import read_checkpoint, read_failures
from ftm_core.storage import Storage


@dataclass(frozen=True)
class Progress:
    """Firms of a quarter: all, finished, failed; and batches: all, and those with none left."""

    firms: int = 0
    finished: int = 0
    failed: int = 0
    batches: int = 0
    batches_done: int = 0


class ProgressReader:
    """Reads a quarter's progress, each batch that is complete only once."""

    def __init__(self, storage: Storage, quarter: Quarter) -> None:
        self._storage = storage
        self._quarter = quarter
        self._complete: dict[str, tuple[int, int]] = {}

    def read(self) -> Progress:
        """Count now; raises StorageError when the bucket cannot be read."""
        plan = read_plan(self._storage, self._quarter) or []
        finished = failed = batches_done = 0
        for batch in plan:
            counts = self._complete.get(batch.batch_id)
            if counts is None:
                saved = read_checkpoint(self._storage, self._quarter, batch.batch_id)
                record = read_failures(self._storage, self._quarter, batch.batch_id)
                done = len(saved.completed_firm_ids) if saved else 0
                lost = len({item.firm_id for item in record.failures}) if record else 0
                counts = (done, lost)
                if done == len(batch.firm_ids):
                    self._complete[batch.batch_id] = counts
            finished += counts[0]
            failed += counts[1]
            batches_done += sum(counts) >= len(batch.firm_ids)
        firms = sum(len(batch.firm_ids) for batch in plan)
        return Progress(firms, finished, failed, len(plan), batches_done)

    def last_written(self) -> dt.datetime | None:
        """When the run last saved a result or a response, in UTC; None before the first.

        The lease is left out: a process renews it whether its work moves or not.
        """
        lease = keys.run_identity(self._quarter)
        times = []
        for prefix in (keys.progress_prefix(self._quarter), keys.themes_prefix(self._quarter)):
            for key in self._storage.list(prefix):
                # A response that is replaced at this moment may be gone.
                with contextlib.suppress(ObjectMissingError):
                    times += [self._storage.modified(key)] if key != lease else []
        return max(times, default=None)

    def read_or_none(self) -> Progress | None:
        """As ``read``, or None while the bucket does not answer: a poll must not end a run."""
        try:
            return self.read()
        except StorageError:
            return None
