"""The failure table, executed: Batch's rules and the state machine's choices over every row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from ftm_core.contracts.errors import ExitCode
from ftm_core.contracts.states import FailureCause, parse_failure
from tests.fakes.failure_table import Row, errors_before_a_job, job_ends
from tests.integration.infra.batch_retries import AttemptEnd, check_rules, is_retried
from tests.integration.infra.state_language import StateError, all_states, filled, walk

Definition = Mapping[str, Any]
Jobs = Mapping[str, Any]
DONE = "succeeded"
# States that ask whether any other job is at work.
OTHER_JOBS = ("FindRunningJobs", "FindStartingJobs")
STAGES = {
    "map": ("ProcessBatch", "ProcessBatch"),
    "reduce": ("CountReduceAttempt", "ReduceThemes"),
}
INPUT = {
    "quarter": "2023Q1",
    "bucket": "some-research-bucket",
    "batch_id": "2023Q1_batch_0000",
    "run_name": "2023Q1-20260101-000000",
    "run_arn": "arn:aws:states:us-west-2:123456789012:execution:ftm-quarter-processor:x",
    "attempt": 1,
}


@dataclass
class PlayedBatch:
    """AWS Batch as one job meets it: attempts that end as a row says, until one succeeds."""

    rules: list[Mapping[str, Any]]
    attempts_of_a_submission: int
    row: Row
    attempts: int = 0
    submissions: int = 0

    def submit(self, state: str, data: Any) -> Any:
        """What ``submitJob.sync`` returns or raises."""
        self.submissions += 1
        end = AttemptEnd(self.row.exit_code, self.row.status_reason, self.row.reason)
        if end.never_ran:
            raise StateError("States.TaskFailed", json.dumps(self.row.job_description(1)))
        made = 0
        for _ in range(self.attempts_of_a_submission):
            self.attempts, made = self.attempts + 1, made + 1
            if self.row.exit_code == 0 or (self.row.times and self.attempts > self.row.times):
                return {"JobId": "1", "Status": "SUCCEEDED"}
            if not is_retried(self.rules, end):
                break
        raise StateError("States.TaskFailed", json.dumps(self.row.job_description(made)))


def states_of(definition: Definition, stage: str) -> Mapping[str, Any]:
    """States of the map's child executions, or those of the run."""
    if stage == "map":
        batches = definition["States"]["ProcessBatches"]
        states: Mapping[str, Any] = batches["ItemProcessor"]["States"]
        return states
    everything = definition["States"]
    return {name: state for name, state in everything.items() if not name.startswith("Notify")}


@pytest.mark.parametrize("row", job_ends(), ids=lambda row: row.end)
@pytest.mark.parametrize("stage", list(STAGES))
def test_an_end_of_a_job_leads_where_the_table_says(
    row: Row, stage: str, quarter_processor: Definition, job_definitions: Jobs
) -> None:
    strategy = job_definitions[stage]["retry_strategy"][0]
    batch = PlayedBatch(strategy["evaluate_on_exit"], strategy["attempts"], row)
    start, task = STAGES[stage]
    states = states_of(quarter_processor, stage)
    visited: list[str] = []

    def play(state: str, data: Any) -> Any:
        if state in OTHER_JOBS:
            return {"count": 1}
        visited.append(state)
        return batch.submit(state, data)

    last, data = walk(states, start, INPUT, play)

    expected = row.map if stage == "map" else row.reduce
    if expected == DONE:
        assert last in (task, "NotifySuccess", "Done")
        assert "failure" not in data or batch.submissions > 1
    elif stage == "map":
        assert last == expected
    else:
        # Each failure of the reduce passes its own state on the way to the notification.
        assert last == "NotifyFailure"
        assert data["stage"] == states[expected]["Parameters"]["stage"]
        assert data["failure"]["Error"]
    assert set(visited) == {task}
    assert (batch.attempts, batch.submissions) == (row.attempts, row.submissions)


@pytest.mark.parametrize(
    ("running", "starting", "is_stopped"), [(0, 0, True), (1, 0, False), (0, 1, False)]
)
def test_a_run_without_any_instance_is_stopped(
    running: int, starting: int, is_stopped: bool, quarter_processor: Definition
) -> None:
    """Else each batch would wait for its time limit in turn, and vLLM with it."""
    row = next(row for row in job_ends() if row.map == "BatchNotPlaced")
    visited: list[str] = []

    def play(state: str, data: Any) -> Any:
        visited.append(state)
        if state == "ProcessBatch":
            raise StateError("States.TaskFailed", json.dumps(row.job_description(1)))
        counts = dict(zip(OTHER_JOBS, (running, starting), strict=True))
        return {"count": counts[state]} if state in counts else {}

    last, data = walk(states_of(quarter_processor, "map"), "ProcessBatch", INPUT, play)

    assert last == "BatchNotPlaced"
    assert ("StopRun" in visited) is is_stopped
    stop = filled(dict(all_states(quarter_processor))["StopRun"]["Parameters"], data)
    assert stop["ExecutionArn"] == INPUT["run_arn"]
    assert parse_failure(stop["Cause"]) == ("map", FailureCause(stop["Error"]))


@pytest.mark.parametrize("fails", [*OTHER_JOBS, "StopRun"])
def test_a_batch_fails_alone_where_aws_refuses_to_say(
    fails: str, quarter_processor: Definition
) -> None:
    row = next(row for row in job_ends() if row.map == "BatchNotPlaced")

    def play(state: str, data: Any) -> Any:
        if state == "ProcessBatch":
            raise StateError("States.TaskFailed", json.dumps(row.job_description(1)))
        if state == fails:
            raise StateError("Batch.BatchException", "Rate exceeded")
        return {"count": 0}

    last, data = walk(states_of(quarter_processor, "map"), "ProcessBatch", INPUT, play)

    assert last == "BatchNotPlaced"
    assert data["job"]["JobName"]


@pytest.mark.parametrize("kind", ["plan", "map", "reduce"])
def test_batch_accepts_the_retry_rules(kind: str, job_definitions: Jobs) -> None:
    check_rules(job_definitions[kind]["retry_strategy"][0]["evaluate_on_exit"])


def test_the_table_covers_every_exit_code_of_a_job() -> None:
    covered = {row.exit_code for row in job_ends()}
    # 4 is an answer at a question, which no job asks.
    assert covered >= {int(code) for code in ExitCode if code.name != "DECLINED"}
    assert covered >= {137, 143, None}


def test_waits_lie_between_submissions(quarter_processor: Definition) -> None:
    states = dict(all_states(quarter_processor))
    for stage in ("Plan", "Batch", "Reduce"):
        assert states[f"WaitBefore{stage}"]["Type"] == "Wait"
        assert states[f"WaitBefore{stage}"]["Seconds"] > 0


@pytest.mark.parametrize("row", errors_before_a_job(), ids=lambda row: row.error)
def test_an_error_before_a_job_leads_where_the_table_says(
    row: Any, quarter_processor: Definition
) -> None:
    calls: list[str] = []

    def refuse(state: str, data: Any) -> Any:
        calls.append(state)
        raise StateError(row.error, "Rate exceeded")

    last, _ = walk(states_of(quarter_processor, "map"), "ProcessBatch", INPUT, refuse)
    assert last == row.ends_in
    assert len(calls) == 1 + row.retries


def test_exit_codes_are_the_codes_own(quarter_processor: Definition) -> None:
    """The numbers in the state machine's choices are those of ExitCode, and SIGTERM's."""
    wanted = {int(ExitCode.RETRYABLE), int(ExitCode.CHECKS_FAILED), 128 + 15}
    found: set[int] = set()

    def collect(rule: Any) -> None:
        if isinstance(rule, list):
            for item in rule:
                collect(item)
        elif isinstance(rule, dict):
            if "ExitCode" in str(rule.get("Variable", "")) and "NumericEquals" in rule:
                found.add(rule["NumericEquals"])
            for value in rule.values():
                collect(value)

    for _, state in all_states(quarter_processor):
        collect(state.get("Choices", []))
    assert found == wanted
