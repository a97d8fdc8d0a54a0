"""Logs as CloudWatch has them, and the list of runs, here and on AWS."""

from __future__ import annotations

import json
import time

from tests.fakes.aws_stage import BUCKET

from .conftest import Project
from .test_run_on_aws import SUCCEEDING


def write_log(project: Project, group: str, stream: str, *messages: str) -> None:
    logs = project.stage.client("logs")
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": message} for message in messages]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def test_logs_of_map_jobs_are_separated_from_the_others(project: Project) -> None:
    group = "/aws/batch/ftm"
    project.stage.client("logs").create_log_group(logGroupName=group)
    write_log(project, group, "firm-processor/1", "ERROR firm F1 failed", "map: finished")
    write_log(project, group, "theme-aggregator/1", "ERROR in the reduce")
    ended = project.ftm("logs", "map", "--since", "30m", "--filter", "ERROR", "--json")
    assert ended.code == 0, ended.stderr
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [line["message"] for line in lines] == ["ERROR firm F1 failed"]


def test_log_without_a_matching_line_says_so(project: Project) -> None:
    """Nothing on stdout, and a line for the operator who waits for one."""
    group = "/aws/batch/ftm"
    project.stage.client("logs").create_log_group(logGroupName=group)
    write_log(project, group, "firm-processor/1", "map: finished")
    ended = project.ftm("logs", "map", "--filter", "ERROR")
    assert (ended.code, ended.stdout) == (0, "")
    assert "No line was found." in ended.stderr


def test_follow_shows_what_comes_later(project: Project) -> None:
    group = "/ecs/ftm-vllm"
    project.stage.client("logs").create_log_group(logGroupName=group)
    write_log(project, group, "vllm/1", "first")
    process = project.start("logs", "vllm", "--follow")
    assert process.stdout is not None
    assert "first" in process.stdout.readline()
    write_log(project, group, "vllm/2", "second")
    assert "second" in process.stdout.readline()
    process.terminate()
    process.communicate(timeout=30)


def test_a_log_that_is_not_there_says_what_to_do(project: Project) -> None:
    ended = project.ftm("logs", "vllm")
    assert ended.code == 2
    assert "ftm deploy" in ended.stderr
    assert project.ftm("logs", "vllm", "--since", "yesterday").code == 2


def test_runs_on_aws_are_listed_with_state_and_cost(project: Project) -> None:
    project.stage.deploy_vllm()
    project.stage.fill_bucket()
    project.stage.deploy_state_machine(SUCCEEDING)
    assert project.ftm("run", "-q", "2023Q1", "--yes").code == 0
    listed = project.ftm("runs", "--json").json
    assert [(run["quarter"], run["state"]) for run in listed["runs"]] == [("2023Q1", "SUCCEEDED")]
    assert listed["prices_date"]


def test_runs_name_the_quarter_of_a_smoke_test(project: Project) -> None:
    """A smoke test is named without its quarter, which its input has."""
    project.stage.deploy_state_machine(SUCCEEDING)
    states = project.stage.client("stepfunctions")
    (machine,) = states.list_state_machines()["stateMachines"]
    states.start_execution(
        stateMachineArn=machine["stateMachineArn"],
        name="smoke-test-20260201-101500",
        input=json.dumps({"quarter": "2023Q1", "bucket": BUCKET}),
    )
    (run,) = project.ftm("runs", "--quarters", "2023Q1", "--json").json["runs"]
    assert (run["run"], run["quarter"]) == ("smoke-test-20260201-101500", "2023Q1")


def test_runs_without_a_state_machine_say_what_to_do(project: Project) -> None:
    ended = project.ftm("runs")
    assert ended.code == 2
    assert "ftm deploy" in ended.stderr
