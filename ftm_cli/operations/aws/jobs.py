"""The Batch jobs of a run: how each stands, how it ended and why, and where its log is."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from ftm_cli.operations.aws import names
from ftm_cli.operations.aws.errors import AwsMissingError, translated
from ftm_cli.operations.aws.session import AwsSession

FAILED = "FAILED"
RUNNABLE = "RUNNABLE"
# As many as one call describes.
_DESCRIBED_AT_ONCE = 100


@dataclass(frozen=True)
class Job:
    """One job as AWS Batch describes it; times are None until they have come.

    ``status_reason`` says why the job is in its state, ``reason`` what its container met.
    """

    id: str
    name: str
    status: str
    status_reason: str
    reason: str
    exit_code: int | None
    created: dt.datetime
    started: dt.datetime | None
    stopped: dt.datetime | None

    @property
    def stage(self) -> str:
        """``plan``, ``map`` or ``reduce``."""
        return self.name.split("-")[1]

    def seconds(self, now: dt.datetime) -> float:
        """How long it has run."""
        if self.started is None:
            return 0.0
        return max(0.0, ((self.stopped or now) - self.started).total_seconds())


class Jobs:
    """The job queue of the pinned account."""

    def __init__(self, session: AwsSession) -> None:
        self._profile = session.pin.profile
        self._batch = session.client("batch")
        self._logs = session.client("logs")

    def since(self, start: dt.datetime, quarter: str) -> list[Job]:
        """Jobs of a quarter created since ``start``, in any status.

        Raises AwsMissingError without the queue.
        """
        with translated(f"The job queue {names.QUEUE}", self._profile):
            queues = self._batch.describe_job_queues(jobQueues=[names.QUEUE])["jobQueues"]
        if not queues:
            raise AwsMissingError(
                f"The job queue {names.QUEUE}", "does not exist", "Run `ftm deploy` first."
            )
        first_ms = int(start.timestamp() * 1000)
        arguments: dict[str, Any] = {
            "jobQueue": names.QUEUE,
            "filters": [{"name": "AFTER_CREATED_AT", "values": [str(first_ms)]}],
        }
        found: list[str] = []
        while True:
            with translated(f"The job queue {names.QUEUE}", self._profile):
                page = self._batch.list_jobs(**arguments)
            found += [
                item["jobId"]
                for item in page["jobSummaryList"]
                if item["createdAt"] >= first_ms and _is_of(item["jobName"], quarter)
            ]
            if not page.get("nextToken"):
                return self._described(found)
            arguments["nextToken"] = page["nextToken"]

    def _described(self, ids: list[str]) -> list[Job]:
        """The jobs themselves: a filtered list leaves out times, reasons and exit codes."""
        jobs: list[Job] = []
        for first in range(0, len(ids), _DESCRIBED_AT_ONCE):
            chosen = ids[first : first + _DESCRIBED_AT_ONCE]
            with translated(f"The list of jobs of {names.QUEUE}", self._profile):
                described = self._batch.describe_jobs(jobs=chosen)["jobs"]
            jobs += [_job(item) for item in described]
        return jobs

    def environment_of(self, definition: str) -> dict[str, str] | None:
        """Environment that the newest active job definition gives its jobs, None without one."""
        with translated(f"The job definition {definition}", self._profile):
            found = self._batch.describe_job_definitions(
                jobDefinitionName=definition, status="ACTIVE"
            )["jobDefinitions"]
        if not found:
            return None
        newest = max(found, key=lambda item: item["revision"])
        given = newest.get("containerProperties", {}).get("environment", [])
        return {item["name"]: item["value"] for item in given}

    def last_lines(self, job: Job, count: int = 5) -> tuple[str, ...]:
        """The end of a job's log; empty when it never wrote one."""
        with translated(f"The job {job.name}", self._profile):
            described = self._batch.describe_jobs(jobs=[job.id])["jobs"]
        container = described[0].get("container", {}) if described else {}
        stream = container.get("logStreamName")
        if not stream:
            return ()
        options = container.get("logConfiguration", {}).get("options", {})
        with translated(f"The log of job {job.name}", self._profile):
            events = self._logs.get_log_events(
                logGroupName=options.get("awslogs-group", names.BATCH_LOGS),
                logStreamName=stream,
                limit=count,
                startFromHead=False,
            )["events"]
        return tuple(item["message"].rstrip() for item in events)[-count:]


def _is_of(name: str, quarter: str) -> bool:
    return name.startswith((f"ftm-plan-{quarter}", f"ftm-map-{quarter}", f"ftm-reduce-{quarter}"))


def _job(item: dict[str, Any]) -> Job:
    container = item.get("container") or {}
    return Job(
        id=item["jobId"],
        name=item["jobName"],
        status=item["status"],
        status_reason=item.get("statusReason") or "",
        reason=container.get("reason") or "",
        exit_code=container.get("exitCode"),
        created=_time(item["createdAt"]),
        started=_time(item["startedAt"]) if item.get("startedAt") else None,
        stopped=_time(item["stoppedAt"]) if item.get("stoppedAt") else None,
    )


def _time(milliseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
