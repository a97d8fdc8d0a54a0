"""Runs on AWS: however one ends, desired counts are 0 afterwards, and the exit code says how."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Project

SUCCEEDING: dict[str, Any] = {
    "PlanBatches": {"Type": "Wait", "Seconds": 1, "Next": "ProcessBatches"},
    "ProcessBatches": {"Type": "Wait", "Seconds": 3, "Next": "Done"},
    "Done": {"Type": "Succeed"},
}
NEVER_PLANNED: dict[str, Any] = {"PlanBatches": {"Type": "Wait", "Seconds": 600, "End": True}}
LONG: dict[str, Any] = {"ProcessBatches": {"Type": "Wait", "Seconds": 600, "End": True}}


def failing(cause: str) -> dict[str, Any]:
    return {"Failed": {"Type": "Fail", "Error": "Ftm.RunFailed", "Cause": cause}}


@pytest.fixture
def deployed(project: Project) -> Project:
    project.stage.deploy_vllm()
    project.stage.fill_bucket()
    return project


def statuses(project: Project) -> list[str]:
    states = project.stage.client("stepfunctions")
    machine = states.list_state_machines()["stateMachines"][0]["stateMachineArn"]
    found = states.list_executions(stateMachineArn=machine)["executions"]
    return [item["status"] for item in found]


def test_a_run_is_followed_and_vllm_is_off_after_it(deployed: Project) -> None:
    deployed.stage.deploy_state_machine(SUCCEEDING)
    ended = deployed.ftm("run", "-q", "2023Q1", "--yes", "--json")
    assert ended.code == 0, ended.stderr
    (result,) = ended.json["quarters"]
    assert result["state"] == "SUCCEEDED"
    assert result["run"].startswith("2023Q1-")
    assert result["aws"]["vllm_is_off"] is True
    assert deployed.stage.desired_counts() == (0, 0)


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        ("Stage map: States.TaskFailed", 1),
        ("Stage checks: Ftm.ChecksFailed", 3),
        ("Stage map: Ftm.NoInstance", 75),
    ],
)
def test_failed_run_shows_the_cause_and_vllm_is_off(
    deployed: Project, cause: str, code: int
) -> None:
    deployed.stage.deploy_state_machine(failing(cause))
    ended = deployed.ftm("run", "-q", "2023Q1", "--yes")
    assert ended.code == code
    assert cause in " ".join(ended.stderr.split())
    assert deployed.stage.desired_counts() == (0, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_fault_23_a_stopped_command_stops_the_run_and_the_gpus(
    deployed: Project, number: signal.Signals
) -> None:
    deployed.stage.deploy_state_machine(LONG)
    process = deployed.start("run", "-q", "2023Q1", "--yes")
    wait_for_line(process.stderr, "state ProcessBatches")
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 75, said
    assert deployed.stage.desired_counts() == (0, 0)
    assert statuses(deployed) == ["ABORTED"]


def test_fault_23_ctrl_c_while_vllm_comes_up_takes_it_down(deployed: Project) -> None:
    deployed.stage.deploy_state_machine(LONG)
    deployed.stage.set(image_seconds=600)
    process = deployed.start("run", "-q", "2023Q1", "--yes")
    wait_for_line(process.stderr, "waiting for image")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 75
    assert deployed.stage.desired_counts() == (0, 0)
    assert statuses(deployed) == ["ABORTED"]


def test_no_gpu_before_the_plan_is_written(deployed: Project) -> None:
    """Fault A3: a plan job that never gets an instance keeps no GPU up."""
    deployed.stage.deploy_state_machine(NEVER_PLANNED)
    process = deployed.start("run", "-q", "2023Q1", "--yes")
    wait_for_line(process.stderr, "state PlanBatches")
    for _ in range(10):
        assert deployed.stage.desired_counts() == (0, 0)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert deployed.stage.desired_counts() == (0, 0)
    assert statuses(deployed) == ["ABORTED"]


def test_a_failed_plan_never_starts_a_gpu(deployed: Project) -> None:
    deployed.stage.deploy_state_machine(failing("Stage plan: Ftm.NoInstance. Job got none"))
    # Would be met if vLLM were asked for.
    deployed.stage.set(no_capacity="We currently do not have sufficient g5.xlarge capacity.")
    ended = deployed.ftm("run", "-q", "2023Q1", "--yes")
    assert ended.code == 75
    assert "Ftm.NoInstance" in ended.stderr
    activities = deployed.stage.client("autoscaling").describe_scaling_activities(
        AutoScalingGroupName="ftm-vllm-asg"
    )["Activities"]
    assert activities == []


def test_a_lost_login_leaves_the_run_and_its_vllm(deployed: Project) -> None:
    """Fault A6: nothing is stopped, and no advice harms the run."""
    deployed.stage.deploy_state_machine(LONG)
    process = deployed.start("run", "-q", "2023Q1", "--yes", FTM_LOGIN_WAIT="1")
    wait_for_line(process.stderr, "state ProcessBatches")
    wait_until(lambda: deployed.stage.desired_counts() == (1, 1))
    deployed.stage.set(expired=["all"])
    _, stderr = process.communicate(timeout=60)
    deployed.stage.set(expired=[])
    said = " ".join(stderr.split())
    assert process.returncode == 2
    assert "keeps running" in said
    assert "ftm monitor" in said
    assert "scale-down" not in said
    assert deployed.stage.desired_counts() == (1, 1)
    assert statuses(deployed) == ["RUNNING"]


def test_renewed_login_resumes_following(deployed: Project) -> None:
    deployed.stage.deploy_state_machine(LONG)
    process = deployed.start("run", "-q", "2023Q1", "--yes", FTM_LOGIN_WAIT="60")
    wait_for_line(process.stderr, "state ProcessBatches")
    wait_until(lambda: deployed.stage.desired_counts() == (1, 1))
    deployed.stage.set(expired=["all"])
    wait_for_line(process.stderr, "The AWS login was lost")
    deployed.stage.set(expired=[])
    wait_for_line(process.stderr, "Logged in again")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 75
    assert deployed.stage.desired_counts() == (0, 0)
    assert statuses(deployed) == ["ABORTED"]


def test_scale_down_names_runs_that_need_vllm(deployed: Project) -> None:
    deployed.stage.deploy_state_machine(LONG)
    process = deployed.start("run", "-q", "2023Q1", "--yes")
    wait_for_line(process.stderr, "state ProcessBatches")
    wait_until(lambda: deployed.stage.desired_counts() == (1, 1))
    asked = deployed.ftm("scale-down", given="n\n")
    assert asked.code != 0
    assert "Not finished: 2023Q1-" in asked.stderr
    assert deployed.stage.desired_counts() == (1, 1)
    assert deployed.ftm("scale-down", "--yes", "--no-wait").code == 0
    assert deployed.stage.desired_counts() == (0, 0)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def test_more_vllm_instances_take_more_map_jobs(deployed: Project) -> None:
    ended = deployed.ftm("run", "-q", "2023Q1", "--instances", "2", "--dry-run", "--json")
    (plan,) = ended.json["quarters"]
    assert plan["aws"]["input"]["max_concurrent_batches"] == 8


def test_with_scale_none_ctrl_c_leaves_the_run_alone(deployed: Project) -> None:
    deployed.stage.deploy_state_machine(LONG)
    process = deployed.start("run", "-q", "2023Q1", "--yes", "--scale", "none")
    wait_for_line(process.stderr, "state ProcessBatches")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert "the run itself keeps running" in " ".join(stderr.split())
    assert statuses(deployed) == ["RUNNING"]


def test_without_the_state_machine_nothing_is_started(deployed: Project) -> None:
    ended = deployed.ftm("run", "-q", "2023Q1", "--yes")
    assert ended.code == 2
    assert "ftm deploy" in ended.stderr
    assert deployed.stage.desired_counts() == (0, 0)


def test_without_capacity_the_run_is_stopped(deployed: Project) -> None:
    deployed.stage.deploy_state_machine(LONG)
    deployed.stage.set(no_capacity="We currently do not have sufficient g5.xlarge capacity.")
    ended = deployed.ftm("run", "-q", "2023Q1", "--yes", FTM_CAPACITY_WAIT="1")
    assert ended.code == 75
    assert deployed.stage.desired_counts() == (0, 0)
    assert statuses(deployed) == ["ABORTED"]


def test_detached_needs_the_deadman_switch(deployed: Project) -> None:
    deployed.stage.deploy_state_machine(LONG)
    refused = deployed.ftm("run", "-q", "2023Q1", "--yes", "--detach")
    assert refused.code == 2
    assert deployed.stage.desired_counts() == (0, 0)
    deployed.stage.deploy_state_machine(LONG, name="ftm-vllm-deadman")
    assert deployed.ftm("run", "-q", "2023Q1", "--yes", "--detach").code == 0
    assert deployed.stage.desired_counts() == (1, 1)


def test_dry_run_shows_batches_time_and_cost(deployed: Project) -> None:
    ended = deployed.ftm("run", "-q", "2023Q1", "--dry-run", "--json")
    (plan,) = ended.json["quarters"]
    assert [batch["firms"] for batch in plan["batches"]] == [5]
    assert plan["aws"]["input"] == {"quarter": "2023Q1", "bucket": "ftm-test-data"}
    assert plan["estimate"]["usd"] == ended.json["total"]["usd"] > 0
    assert "prices of" in plan["estimate"]["basis"]


def test_a_quarter_without_transcripts_starts_nothing(deployed: Project) -> None:
    deployed.stage.deploy_state_machine(SUCCEEDING)
    ended = deployed.ftm("run", "-q", "2024Q1", "--yes")
    assert ended.code == 2
    assert "ftm ingest" in ended.stderr
    assert deployed.stage.desired_counts() == (0, 0)


def two_quarters(project: Project) -> None:
    """The transcripts of 2023Q1 again, as those of 2022Q4."""
    s3 = project.stage.client("s3")
    key = "prefetch/transcripts/quarter={}/manifest.json"
    body = s3.get_object(Bucket="ftm-test-data", Key=key.format("2023Q1"))["Body"].read()
    earlier = body.decode().replace("2023Q1", "2022Q4")
    s3.put_object(Bucket="ftm-test-data", Key=key.format("2022Q4"), Body=earlier.encode())


def test_two_quarters_run_with_one_vllm(deployed: Project) -> None:
    """Each has an execution of its own, and desired counts are 0 after both."""
    two_quarters(deployed)
    deployed.stage.deploy_state_machine(SUCCEEDING)
    ended = deployed.ftm("run", "--quarters", "2022Q3..2023Q1", "--yes", "--json")
    assert ended.code == 0, ended.stderr
    found = [(item["quarter"], item["state"]) for item in ended.json["quarters"]]
    assert found == [("2022Q4", "SUCCEEDED"), ("2023Q1", "SUCCEEDED")]
    assert statuses(deployed) == ["SUCCEEDED", "SUCCEEDED"]
    assert deployed.stage.desired_counts() == (0, 0)


def test_failed_quarter_does_not_keep_the_next(deployed: Project) -> None:
    two_quarters(deployed)
    deployed.stage.deploy_state_machine(failing("Stage checks: Ftm.ChecksFailed"))
    ended = deployed.ftm("run", "--all", "--at-once", "1", "--yes", "--json")
    assert ended.code == 3
    assert [item["error"]["exit_code"] for item in ended.json["quarters"]] == [3, 3]
    assert deployed.stage.desired_counts() == (0, 0)


def test_fault_23_stopped_quarters_all_stop(deployed: Project) -> None:
    two_quarters(deployed)
    deployed.stage.deploy_state_machine(LONG)
    process = deployed.start("run", "--all", "--yes")
    wait_for_line(process.stderr, "2023Q1: state ProcessBatches")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 75
    assert deployed.stage.desired_counts() == (0, 0)
    assert statuses(deployed) == ["ABORTED", "ABORTED"]


def test_options_of_the_other_target_are_refused(project: Project) -> None:
    assert project.ftm("run", "-q", "2023Q1", "--workers", "2").code == 2
    assert project.ftm("run", "-q", "2023Q1", "--target", "local", "--detach").code == 2


def wait_until(holds: Callable[[], bool]) -> None:
    """Poll until ``holds``; a minute without it fails the test."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.1)


def wait_for_line(stream: Any, text: str) -> None:
    """Read until a line holds ``text``; the command's end without it fails the test."""
    deadline = time.monotonic() + 60
    seen = []
    while time.monotonic() < deadline:
        line = stream.readline()
        if not line:
            break
        seen.append(line)
        if text in line:
            return
    raise AssertionError(f"never said {text!r}: {''.join(seen)}")
