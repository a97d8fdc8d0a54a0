"""Monitor and follow a run on Slurm: its jobs in the queue, its progress in the data location."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ftm_cli.operations.local_monitoring import LocalMonitor
from ftm_cli.operations.snapshots import Snapshot
from ftm_cli.targets.local import quarter_of
from ftm_cli.targets.names import TargetName
from ftm_cli.targets.slurm.cluster import Cluster, Job
from ftm_cli.targets.slurm.submissions import STEPS
from ftm_core.contracts.errors import RetryableError
from ftm_core.contracts.events import Listener, Note, StageAdvanced, StageFinished, StageStarted
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.states import RunState
from ftm_core.data import lease
from ftm_core.storage import Storage


class SlurmMonitor:
    """A run's jobs in the queue, and its progress in the data location."""

    def __init__(self, storage: Storage, cluster: Cluster, run: str | None) -> None:
        self._storage = storage
        self._cluster = cluster
        self._run = run if run and "-" in run else None
        self._quarter = quarter_of(run)
        self._local: LocalMonitor | None = None
        self.last: Snapshot | None = None

    def poll(self) -> Snapshot:
        """State of the run now; raises InputError when there is none."""
        jobs = self._cluster.jobs([self._run] if self._run else None)
        if self._quarter is not None:
            jobs = [job for job in jobs if job.run.startswith(f"{self._quarter}-")]
        steps = [job for job in jobs if job.is_step]
        if self._quarter is None and steps:
            self._quarter = Quarter.parse(steps[-1].run.split("-")[0])
        name = self._run or (steps[-1].run if steps else None)
        self.last = self._snapshot(jobs, name)
        return self.last

    def _snapshot(self, jobs: Sequence[Job], name: str | None) -> Snapshot:
        active = _state_of(jobs)
        states = tuple(dict.fromkeys(f"{job.step} {job.state.lower()}" for job in _in_order(jobs)))
        identity = lease.read_identity(self._storage, self._quarter) if self._quarter else None
        owner = identity.owner.run_name if identity and identity.owner else None
        if active is not None and name is not None and owner != name:
            # Its plan has not acquired the quarter yet: what the data location shows is older.
            return Snapshot(
                target=TargetName.SLURM, run=name, quarter=str(self._quarter),
                data=self._storage.uri, state=active, started="", seconds=0.0,
                states=states,
            )  # fmt: skip
        if self._local is None:
            self._local = LocalMonitor(self._storage, self._quarter)
        snapshot = self._local.poll()
        ended = RunState.SUCCEEDED
        if identity is None or not identity.finished:
            ended = RunState.UNFINISHED
        return replace(
            snapshot,
            target=TargetName.SLURM,
            run=name or snapshot.run,
            state=active or ended,
            states=states,
        )


@dataclass
class _ShownProgress:
    """What the listener has been shown of a run."""

    listener: Listener
    states: tuple[str, ...] = ()
    firms: int | None = None

    def show(self, snapshot: Snapshot) -> None:
        """Report the states when they change, and the firms finished since the last poll."""
        if snapshot.states != self.states:
            self.states = snapshot.states
            jobs = ", ".join(self.states) or "no job in the queue"
            self.listener(Note(f"{snapshot.quarter}: {jobs}"))
        if snapshot.firms is None or not snapshot.firms.firms:
            return
        finished = snapshot.firms.finished
        if self.firms is None:
            self.listener(StageStarted("firms", snapshot.firms.firms, "firms", finished))
        elif finished > self.firms:
            self.listener(StageAdvanced("firms", finished - self.firms))
        self.firms = max(self.firms or 0, finished)


def follow_run(monitor: SlurmMonitor, poll_seconds: float, listener: Listener) -> Snapshot:
    """Poll a run until it ends, and report its progress; returns its last snapshot."""
    began = time.monotonic()
    shown = _ShownProgress(listener)
    while True:
        try:
            snapshot = monitor.poll()
        except RetryableError as error:
            listener(Note(str(error), "warning"))
            time.sleep(poll_seconds)
            continue
        shown.show(snapshot)
        if not RunState(snapshot.state).is_active:
            break
        time.sleep(poll_seconds)
    if shown.firms is not None:
        listener(StageFinished("firms", time.monotonic() - began))
    return snapshot


def _state_of(jobs: Sequence[Job]) -> RunState | None:
    """The state of a run with jobs in the queue; None when it has none."""
    steps = [job for job in jobs if job.is_step]
    if any(job.is_running for job in steps):
        return RunState.RUNNING
    return RunState.PENDING if steps else None


def _in_order(jobs: Sequence[Job]) -> list[Job]:
    return sorted(jobs, key=lambda job: (STEPS.index(job.step), job.state))
