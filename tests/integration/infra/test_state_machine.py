"""The rendered state machine: valid, guarded everywhere, and announcing only what is true."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.infra.conftest import ROOT, ModuleVerdict, ended, required_tool
from tests.integration.infra.state_language import all_states, choose, reachable, successors

Definition = Mapping[str, Any]


@pytest.mark.parametrize("run", ["silent", "notified", "without_vllm"])
def test_definitions_are_valid(
    verdicts: Mapping[str, ModuleVerdict], run: str, tmp_path: Path
) -> None:
    local = ROOT / ".tools" / "node_modules" / ".bin" / "asl-validator"
    validator = required_tool("asl-validator", local)
    plan = verdicts["stepfunctions"].plans[run]
    checked = 0
    for address, values in plan.items():
        if address.startswith("aws_sfn_state_machine."):
            path = tmp_path / f"{checked}.json"
            path.write_text(values["definition"], encoding="utf-8")
            done = ended(validator, "--json-path", path)
            assert done.returncode == 0, done.stdout + done.stderr
            checked += 1
    assert checked


@pytest.mark.parametrize("machine", ["quarter_processor", "deadman"])
def test_every_task_has_timeout_retry_and_catch(
    machine: str, request: pytest.FixtureRequest
) -> None:
    definition = request.getfixturevalue(machine)
    assert definition["TimeoutSeconds"] > 0
    tasks = [(name, state) for name, state in all_states(definition) if state["Type"] == "Task"]
    assert tasks
    for name, state in tasks:
        assert state["TimeoutSeconds"] > 0, name
        assert state["Retry"], name
        assert any(catcher["ErrorEquals"] == ["States.ALL"] for catcher in state["Catch"]), name
    for name, state in all_states(definition):
        if state["Type"] == "Map":
            assert state["Catch"], name


def test_waiting_for_a_job_outlasts_its_attempts(
    quarter_processor: Definition, job_definitions: Mapping[str, Any]
) -> None:
    states = dict(all_states(quarter_processor))
    for state, kind in (
        ("PlanBatches", "plan"),
        ("ProcessBatch", "map"),
        ("ReduceThemes", "reduce"),
    ):
        job = job_definitions[kind]
        longest = (
            job["timeout"][0]["attempt_duration_seconds"] * job["retry_strategy"][0]["attempts"]
        )
        assert states[state]["TimeoutSeconds"] > longest


def test_fault_12_success_is_notified_only_after_the_reduce(
    verdicts: Mapping[str, ModuleVerdict], quarter_processor: Definition
) -> None:
    silent = json.loads(
        verdicts["stepfunctions"].plans["silent"]["aws_sfn_state_machine.quarter_processor"][
            "definition"
        ]
    )
    for definition, success in ((quarter_processor, "NotifySuccess"), (silent, "Done")):
        states = definition["States"]
        reduced = ("ReduceThemes", states["ReduceThemes"]["Next"])
        assert reduced[1] == success

        everything = reachable(states, definition["StartAt"], frozenset())
        without_reduce = reachable(states, definition["StartAt"], frozenset({reduced}))

        assert {success, "Done"} <= everything
        assert not {"NotifySuccess", "Done"} & without_reduce


def test_fault_12_every_failure_notifies_and_fails_the_run(quarter_processor: Definition) -> None:
    states = quarter_processor["States"]
    for name, state in states.items():
        for target in successors(state)["catch"]:
            if name.startswith("Notify"):
                continue
            ends = reachable(states, target, frozenset({("ReduceThemes", "NotifySuccess")}))
            assert "NotifyFailure" in ends, name
            assert "Failed" in ends, name
    assert states["NotifyFailure"]["Next"] == "Failed"
    assert states["NotifyFailure"]["Catch"][0]["Next"] == "Failed"
    assert states["NotifySuccess"]["Catch"][0]["Next"] == "Done"


@pytest.mark.parametrize("stage", ["Plan", "Batch", "Reduce"])
def test_a_failure_without_a_job_has_no_exit_code_to_read(
    quarter_processor: Definition, stage: str
) -> None:
    failed = dict(all_states(quarter_processor))[f"{stage}Failed"]
    job = {"failure": {"Error": "States.TaskFailed", "Cause": '{"JobId": "x"}'}}
    assert choose(failed, job) == f"Read{stage}Exit"
    for error, cause in (("States.Timeout", ""), ("Batch.ClientException", "no such queue")):
        assert choose(failed, {"failure": {"Error": error, "Cause": cause}}) == f"{stage}GivenUp"


def test_a_run_is_started_with_quarter_and_bucket_alone(quarter_processor: Definition) -> None:
    check = quarter_processor["States"]["CheckInput"]
    bucket = "some-research-bucket"
    assert choose(check, {"quarter": "2023Q1", "bucket": bucket}) == "CheckTranscripts"
    for wrong in (
        {},
        {"quarter": "2023Q1"},
        {"bucket": bucket},
        {"quarter": 2023, "bucket": bucket},
        {"quarter": "2023Q1", "bucket": "somebody-elses-bucket"},
    ):
        assert choose(check, wrong) == "WrongInput"


def test_a_failed_batch_leaves_the_others_running(quarter_processor: Definition) -> None:
    batches = quarter_processor["States"]["ProcessBatches"]
    assert batches["ToleratedFailurePercentage"] == 100
    assert batches["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
    assert batches["ItemProcessor"]["States"]["BatchGivenUp"]["Type"] == "Fail"
