"""Inspect a run on this machine, from the records in its data folder."""

from __future__ import annotations

import datetime as dt

from ftm_cli.operations.snapshots import FirmRate, Snapshot
from ftm_cli.results.runs import BatchCounts, Notice
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.states import RunState
from ftm_core.data.failures import collect_failures, latest_run_quarter
from ftm_core.data.lease import read_identity, state_of
from ftm_core.data.progress import ProgressReader
from ftm_core.storage import Storage

_WARNINGS_SHOWN = 5


class LocalMonitor:
    """A quarter's run in a data folder, polled repeatedly."""

    def __init__(self, storage: Storage, quarter: Quarter | None) -> None:
        self._storage = storage
        self._quarter = quarter or latest_run_quarter(storage)
        self._progress = ProgressReader(storage, self._quarter)
        self._rate = FirmRate()

    def poll(self) -> Snapshot:
        """How the run stands now; raises InputError when the quarter has none."""
        identity = read_identity(self._storage, self._quarter)
        if identity is None:
            raise InputError(
                f"The quarter {self._quarter} in {self._storage.uri}",
                "has no run yet",
                f"Start one with `ftm run --quarter {self._quarter}`.",
            )
        firms = self._progress.read()
        state = state_of(identity)
        began = dt.datetime.fromisoformat(identity.started)
        ended = identity.finished and dt.datetime.fromisoformat(identity.finished)
        seconds = ((ended or dt.datetime.now(dt.UTC)) - began).total_seconds()
        name = identity.owner.run_name if identity.owner else ""
        at_work = int(state == RunState.RUNNING and firms.batches_done < firms.batches)
        waiting = firms.batches - firms.batches_done - at_work
        return Snapshot(
            target="local",
            run=identity.run_id,
            quarter=identity.quarter,
            data=self._storage.uri,
            state=state,
            started=identity.started,
            seconds=seconds,
            batches=BatchCounts(pending=waiting, running=at_work, succeeded=firms.batches_done),
            firms=firms,
            firms_per_minute=self._rate.measure(seconds, firms.finished, identity, name)
            if state == RunState.RUNNING
            else None,
            warnings=self._failures() if firms.failed else (),
        )

    def _failures(self) -> tuple[Notice, ...]:
        found = [item.failure for item in collect_failures(self._storage, self._quarter).failures]
        found.sort(key=lambda failure: failure.timestamp)
        return tuple(
            Notice(failure.timestamp, failure.topic_id or failure.firm_id, failure.error_message)
            for failure in found[-_WARNINGS_SHOWN:]
        )
