"""Runs on Step Functions: start, describe, follow, stop, list."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ftm_cli.operations.aws import names
from ftm_cli.operations.aws.errors import AwsMissingError, translated
from ftm_cli.operations.aws.session import AwsSession
from ftm_cli.results.runs import BatchCounts
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.states import FailureCause, RunState, parse_failure

RUNNING = RunState.RUNNING
SUCCEEDED = RunState.SUCCEEDED
_REASON_LENGTH = 600


@dataclass(frozen=True)
class Execution:
    """One run as Step Functions knows it."""

    name: str
    arn: str
    status: RunState
    started: dt.datetime
    ended: dt.datetime | None
    quarter: str | None = None
    bucket: str | None = None
    error: str | None = None
    cause: str | None = None

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.status.is_active

    @property
    def reason(self) -> str | None:
        """Why it failed; of a failed job's whole description only what says it."""
        text = self.cause or self.error
        if text is None or self.is_running or self.status == SUCCEEDED:
            return None
        head, brace, rest = text.partition("{")
        job = _parsed(brace + rest)
        parts = [job.get("JobName"), job.get("StatusReason")]
        if "ExitCode" in job.get("Container", {}):
            parts.append(f"exit code {job['Container']['ExitCode']}")
        if any(parts):
            text = head + ", ".join(part for part in parts if part)
        return text if len(text) <= _REASON_LENGTH else f"{text[:_REASON_LENGTH]}…"

    @property
    def failure(self) -> tuple[str, FailureCause] | None:
        """Stage and cause of a run that failed; None for any other end."""
        if self.is_running or self.status == SUCCEEDED:
            return None
        if self.error == FailureCause.STOPPED:
            return "", FailureCause.STOPPED
        return parse_failure(self.cause or "")

    def seconds(self, now: dt.datetime) -> float:
        """How long it ran, or has run until ``now``."""
        return max(0.0, ((self.ended or now) - self.started).total_seconds())


class Executions:
    """The state machine of the pinned account."""

    def __init__(self, session: AwsSession) -> None:
        self._pin = session.pin
        self._states = session.client("stepfunctions")
        self.machine_arn = names.state_machine_arn(session.pin.region, session.pin.account_id)

    def check_deployed(self, name: str = names.STATE_MACHINE) -> None:
        """Raise AwsMissingError when a state machine is not there."""
        arn = names.state_machine_arn(self._pin.region, self._pin.account_id, name)
        with translated(f"The state machine {name}", self._pin.profile):
            self._states.describe_state_machine(stateMachineArn=arn)

    def start(self, name: str, payload: dict[str, Any]) -> Execution:
        """Start a run; raises AwsMissingError without the state machine."""
        with translated(f"The state machine {names.STATE_MACHINE}", self._pin.profile):
            answer = self._states.start_execution(
                stateMachineArn=self.machine_arn, name=name, input=json.dumps(payload)
            )
        return self.describe(answer["executionArn"])

    def describe(self, name_or_arn: str) -> Execution:
        """One run by name or ARN."""
        arn = self._arn(name_or_arn)
        where = f"The execution {arn.rsplit(':', 1)[-1]}"
        try:
            with translated(where, self._pin.profile):
                found = self._states.describe_execution(executionArn=arn)
        except AwsMissingError as error:
            hint = "Use a name that `ftm runs` lists."
            raise AwsMissingError(where, "does not exist", hint) from error
        given = _parsed(found.get("input"))
        return Execution(
            name=found["name"],
            arn=arn,
            status=_state(found["status"]),
            started=found["startDate"],
            ended=found.get("stopDate"),
            quarter=given.get("quarter"),
            bucket=given.get("bucket"),
            error=found.get("error"),
            cause=found.get("cause"),
        )

    def latest(self) -> Execution:
        """The run that was started last; raises InputError when there was none."""
        for execution in self.recent(limit=1):
            return self.describe(execution.arn)
        raise InputError(
            f"The state machine {names.STATE_MACHINE}",
            "has no run yet",
            "Start one with `ftm run --quarter Q`.",
        )

    def recent(self, *, limit: int = 20, status: str | None = None) -> Iterator[Execution]:
        """Runs, newest first."""
        arguments: dict[str, Any] = {"stateMachineArn": self.machine_arn, "maxResults": limit}
        if status:
            arguments["statusFilter"] = status
        with translated(f"The state machine {names.STATE_MACHINE}", self._pin.profile):
            found = self._states.list_executions(**arguments)["executions"]
        newest_first = sorted(found, key=lambda item: item["startDate"], reverse=True)
        for item in newest_first[:limit]:
            yield Execution(
                name=item["name"],
                arn=item["executionArn"],
                status=_state(item["status"]),
                started=item["startDate"],
                ended=item.get("stopDate"),
            )

    def stop(self, execution: Execution, why: str) -> None:
        """Stop a run and its jobs; they save what is finished. One that ended is left alone."""
        with translated(f"The execution {execution.name}", self._pin.profile):
            self._states.stop_execution(
                executionArn=execution.arn, error=FailureCause.STOPPED, cause=why
            )

    def current_states(self, execution: Execution) -> tuple[str, ...]:
        """Names of the states that were entered and not left, from the latest events."""
        with translated(f"The execution {execution.name}", self._pin.profile):
            events = self._states.get_execution_history(
                executionArn=execution.arn, reverseOrder=True, maxResults=100
            )["events"]
        left: set[str] = set()
        entered: list[str] = []
        for event in sorted(events, key=lambda item: item["id"], reverse=True):
            if "stateExitedEventDetails" in event:
                left.add(event["stateExitedEventDetails"]["name"])
            elif "stateEnteredEventDetails" in event:
                name = event["stateEnteredEventDetails"]["name"]
                if name not in left and name not in entered:
                    entered.append(name)
        return tuple(entered)

    def batches(self, execution: Execution) -> BatchCounts | None:
        """Batches by status, or None before the Map has begun."""
        with translated(f"The execution {execution.name}", self._pin.profile):
            runs = self._states.list_map_runs(executionArn=execution.arn)["mapRuns"]
            if not runs:
                return None
            counts = self._states.describe_map_run(mapRunArn=runs[0]["mapRunArn"])["itemCounts"]
        return BatchCounts(
            pending=counts.get("pending", 0),
            running=counts.get("running", 0),
            succeeded=counts.get("succeeded", 0),
            failed=counts.get("failed", 0) + counts.get("timedOut", 0) + counts.get("aborted", 0),
        )

    def others_running(self, mine: Execution | None) -> list[str]:
        """Names of other runs that are not finished; none without the state machine."""
        try:
            running = list(self.recent(limit=50, status=RUNNING))
        except AwsMissingError:
            return []
        return [item.name for item in running if mine is None or item.arn != mine.arn]

    def _arn(self, name_or_arn: str) -> str:
        if name_or_arn.startswith("arn:"):
            return name_or_arn
        return names.execution_arn(self._pin.region, self._pin.account_id, name_or_arn)


def _state(status: str) -> RunState:
    """The state of an execution; one that was redriven in the console waits to start again."""
    return RunState.PENDING if status == "PENDING_REDRIVE" else RunState(status)


def _parsed(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
