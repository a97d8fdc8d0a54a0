"""Inspect a run on AWS: states, batches, firms, vLLM, logs and cost."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from ftm_cli.operations.aws.errors import (
    AwsError,
    AwsLoginError,
    AwsMissingError,
)
from ftm_cli.operations.aws.executions import Execution, Executions
from ftm_cli.operations.aws.jobs import Job, Jobs
from ftm_cli.operations.aws.logs import Logs
from ftm_cli.operations.aws.outputs import deployed_instance_type
from ftm_cli.operations.aws.request_log import REQUESTS
from ftm_cli.operations.aws.session import AwsSession
from ftm_cli.operations.aws.vllm import Vllm
from ftm_cli.operations.costs import Prices, read_prices
from ftm_cli.operations.snapshots import FirmRate, Snapshot
from ftm_cli.results.runs import BatchCounts, Notice
from ftm_cli.results.setup import VllmStatus
from ftm_core.contracts.errors import StorageAccessError, StorageError
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import RunIdentity
from ftm_core.data.lease import read_identity
from ftm_core.data.progress import Progress, ProgressReader
from ftm_core.storage.s3 import S3Storage

_Found = TypeVar("_Found")

# Words that make a line of a job's log worth showing.
WARNING_WORDS = ("ERROR", "WARNING", "unhealthy")
_WARNINGS_SHOWN = 5
_RATE_SECONDS = 60.0
_FIRST_LOGS = dt.timedelta(minutes=30)
_LATE = dt.timedelta(seconds=15)
# Listing all jobs of a large quarter takes several calls.
_JOBS_SECONDS = 60.0


class AwsMonitor:
    """One run, polled repeatedly; after a lost login it connects again."""

    def __init__(self, connect: Callable[[], AwsSession], name_or_arn: str | None) -> None:
        self._connect = connect
        self._name = name_or_arn
        self._parts: _Parts | None = None
        self._known = _Known()
        self._rate = FirmRate()
        self._prices = read_prices()

    def poll(self) -> Snapshot:
        """How the run stands now.

        Raises AwsLoginError when the login is lost (the next poll connects again), AwsBusyError
        when Step Functions does not answer, and InputError when there is no such run.
        """
        try:
            return self._poll()
        except AwsLoginError:
            self._parts = None
            raise

    def execution(self) -> Execution:
        """The run itself, as the last poll saw it."""
        assert self._known.execution is not None
        return self._known.execution

    def _poll(self) -> Snapshot:
        parts = self._parts = self._parts or _Parts(self._connect())
        known = self._known
        execution = (
            parts.executions.describe(self._name) if self._name else parts.executions.latest()
        )
        self._name, known.execution = execution.arn, execution
        now = dt.datetime.now(dt.UTC)
        unread = self._read_parts(parts, execution, now)
        seconds = execution.seconds(now)
        finished = known.firms.finished if known.firms else 0
        return Snapshot(
            target="aws",
            run=execution.name,
            quarter=execution.quarter or "",
            data=f"s3://{execution.bucket}" if execution.bucket else "",
            state=execution.status,
            started=execution.started.astimezone(dt.UTC).isoformat(timespec="seconds"),
            seconds=seconds,
            error=execution.reason,
            states=known.states if execution.is_running else (),
            batches=known.batches,
            firms=known.firms,
            firms_per_minute=self._rate.measure(seconds, finished, known.identity, execution.name),
            vllm=known.vllm,
            requests_per_second=known.requests,
            warnings=tuple(known.warnings),
            cost_usd=_cost(execution, known, self._prices, now),
            prices_note=f"prices of {self._prices.date} ({self._prices.source})",
            unread=unread,
        )

    def _read_parts(self, parts: _Parts, execution: Execution, now: dt.datetime) -> tuple[str, ...]:
        """Update what is known of the run; returns the names of what did not answer."""
        known = self._known
        unread: list[str] = []

        def part(name: str, inspect: Callable[[], _Found], last: _Found) -> _Found:
            """What ``inspect`` returns; the last known value while AWS does not answer."""
            try:
                return inspect()
            except AwsLoginError:
                raise
            except AwsMissingError:
                return last
            except StorageAccessError:
                # An expired login, which this call reveals, or a bucket that is not ours to read.
                parts.session.identity()
                unread.append(name)
            except (AwsError, StorageError):
                unread.append(name)
            return last

        if execution.is_running:
            known.states = part(
                "states", lambda: parts.executions.current_states(execution), known.states
            )
        known.batches = part("batches", lambda: parts.executions.batches(execution), known.batches)
        known.firms = part("firms", lambda: self._firms(parts, execution), known.firms)
        known.identity = part("firms", lambda: self._run_identity(parts), known.identity)
        known.vllm = part("vLLM", parts.vllm.status, known.vllm)
        known.requests = part(
            "requests", lambda: self._requests(parts, execution, now), known.requests
        )
        part("warnings", lambda: self._read_warnings(parts, execution, now), None)
        known.jobs = part("jobs", lambda: self._jobs(parts, execution, now), known.jobs)
        return tuple(dict.fromkeys(unread))

    def _firms(self, parts: _Parts, execution: Execution) -> Progress | None:
        if not execution.quarter or not execution.bucket:
            return None
        if parts.progress is None:
            quarter = Quarter.parse(execution.quarter)
            parts.storage = S3Storage(parts.session.client("s3"), execution.bucket)
            parts.progress = ProgressReader(parts.storage, quarter)
        return parts.progress.read()

    def _run_identity(self, parts: _Parts) -> RunIdentity | None:
        execution = self.execution()
        known = self._known.identity
        if parts.storage is None or not execution.quarter:
            return None
        if known is not None and known.run_id.startswith(execution.name):
            return known
        return read_identity(parts.storage, Quarter.parse(execution.quarter))

    def _requests(self, parts: _Parts, execution: Execution, now: dt.datetime) -> float | None:
        if not execution.is_running:
            return None
        window = min(_RATE_SECONDS, max(1.0, execution.seconds(now)))
        start = now - dt.timedelta(seconds=window)
        answered = sum(1 for _ in parts.logs.events("vllm", start, pattern=REQUESTS))
        return round(answered / window, 2)

    def _read_warnings(self, parts: _Parts, execution: Execution, now: dt.datetime) -> None:
        """Add what the jobs logged since the last poll."""
        known = self._known
        earliest = execution.started
        if execution.is_running:
            earliest = max(earliest, now - _FIRST_LOGS)
        start = known.logs_read or earliest
        pattern = " ".join(f"?{word}" for word in WARNING_WORDS)
        fresh = [
            event
            for source in ("plan", "map", "reduce")
            for event in parts.logs.events(source, start - _LATE, pattern=pattern)
            if event.id not in known.seen and any(word in event.message for word in WARNING_WORDS)
        ]
        known.logs_read = now
        for event in sorted(fresh, key=lambda item: item.time):
            known.seen[event.id] = None
            time = event.time.isoformat(timespec="seconds")
            known.warnings.append(Notice(time, event.stream, event.message))

    def _jobs(self, parts: _Parts, execution: Execution, now: dt.datetime) -> list[Job]:
        known = self._known
        is_due = known.jobs_read is None or (
            (now - known.jobs_read).total_seconds() >= _JOBS_SECONDS or not execution.is_running
        )
        if is_due and execution.quarter:
            known.jobs_read = now
            return parts.jobs.since(execution.started, execution.quarter)
        return known.jobs


class _Parts:
    """The parts of AWS that one connection reaches."""

    def __init__(self, session: AwsSession) -> None:
        self.session = session
        self.executions = Executions(session)
        self.vllm = Vllm(session)
        self.logs = Logs(session)
        self.jobs = Jobs(session)
        self.storage: S3Storage | None = None
        self.progress: ProgressReader | None = None


class _Known:
    """What the polls so far have found."""

    def __init__(self) -> None:
        self.execution: Execution | None = None
        self.identity: RunIdentity | None = None
        self.states: tuple[str, ...] = ()
        self.batches: BatchCounts | None = None
        self.firms: Progress | None = None
        self.vllm: VllmStatus | None = None
        self.requests: float | None = None
        self.warnings: deque[Notice] = deque(maxlen=_WARNINGS_SHOWN)
        self.seen: dict[str, None] = {}
        self.logs_read: dt.datetime | None = None
        self.jobs: list[Job] = []
        self.jobs_read: dt.datetime | None = None


def _cost(execution: Execution, known: _Known, prices: Prices, now: dt.datetime) -> float:
    """VLLM at its present count, one at least, for the time of the run, and the jobs' own time."""
    usd = 0.0
    if known.vllm is not None:
        hourly = prices.vllm_hourly(max(1, known.vllm.desired_instances), deployed_instance_type())
        usd += hourly * execution.seconds(now) / 3600
    job_hours = sum(job.seconds(now) for job in known.jobs) / 3600
    return usd + job_hours * prices.job_hourly()
