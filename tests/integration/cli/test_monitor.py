"""`ftm monitor` on AWS and here: what it shows, what it survives, and how it ends."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from ftm_core.storage.local import LocalStorage
from tests.fakes.small_quarter import build_small_quarter

from .conftest import Ended, Project
from .test_logs_and_runs import write_log
from .test_run_on_aws import LONG, failing, statuses, wait_for_line


@pytest.fixture
def running(project: Project) -> Project:
    """A run in progress, started without its command."""
    project.stage.deploy_vllm()
    project.stage.fill_bucket()
    start(project, LONG)
    return project


def one_run(ended: Ended) -> Any:
    """The one run of an inspection."""
    (run,) = ended.json["runs"]
    return run


def start(project: Project, states: dict[str, Any]) -> None:
    project.stage.deploy_state_machine(states)
    client = project.stage.client("stepfunctions")
    machine = client.list_state_machines()["stateMachines"][0]["stateMachineArn"]
    client.start_execution(
        stateMachineArn=machine,
        name="smoke-test-20230601-120000",
        input='{"quarter": "2023Q1", "bucket": "ftm-test-data"}',
    )


def test_one_inspection_shows_states_vllm_warnings_and_cost(running: Project) -> None:
    write_log(running, "/ecs/ftm-vllm", "vllm/1", *['"POST /v1/chat/completions" 200 OK'] * 3)
    running.stage.client("logs").create_log_group(logGroupName="/aws/batch/ftm")
    lines = ("INFO fine", "WARNING vLLM unhealthy, waiting... (30s / 600s)")
    write_log(running, "/aws/batch/ftm", "firm-processor/1", *lines)
    look = one_run(running.ftm("monitor", "--json"))
    assert look["run"] == "smoke-test-20230601-120000"
    assert look["state"] == "RUNNING"
    assert look["states"] == ["ProcessBatches"]
    assert look["vllm"]["phase"] == "off"
    assert look["requests_per_second"] > 0
    assert [item["message"] for item in look["warnings"]] == [lines[1]]
    assert look["cost_usd"] is not None
    assert "prices of" in look["prices_note"]


def test_ctrl_c_leaves_the_run_running_and_says_so(running: Project) -> None:
    process = running.start("monitor")
    wait_for_line(process.stdout, "ProcessBatches")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "keeps running" in " ".join(stderr.split())
    assert statuses(running) == ["RUNNING"]


def test_monitor_reports_lost_login_and_resumes_when_renewed(running: Project) -> None:
    process = running.start("monitor")
    wait_for_line(process.stdout, "ProcessBatches")
    running.stage.set(expired=["all"])
    wait_for_line(process.stderr, "The AWS login was lost")
    running.stage.set(expired=[])
    wait_for_line(process.stderr, "Logged in again")
    process.kill()
    process.communicate()


def test_a_login_that_stays_lost_ends_with_what_to_do(running: Project) -> None:
    process = running.start("monitor", FTM_LOGIN_WAIT="1")
    wait_for_line(process.stdout, "ProcessBatches")
    running.stage.set(expired=["all"])
    _, stderr = process.communicate(timeout=60)
    reported = " ".join(stderr.split())
    assert process.returncode == 2
    assert "the run itself keeps running" in reported
    assert "aws sso login" in reported
    running.stage.set(expired=[])
    assert statuses(running) == ["RUNNING"]


def test_throttling_is_outlived(running: Project) -> None:
    running.stage.set(busy={"states": 2, "autoscaling": 2, "s3": 2})
    look = one_run(running.ftm("monitor", "--json"))
    assert look["states"] == ["ProcessBatches"]
    assert look["vllm"]["phase"] == "off"


def test_failed_run_ends_monitor_with_cause_and_exit_code(project: Project) -> None:
    project.stage.fill_bucket()
    start(project, failing("Stage checks: Ftm.ChecksFailed"))
    ended = project.ftm("monitor")
    assert ended.code == 3
    assert "Ftm.ChecksFailed" in ended.stdout


@pytest.mark.parametrize(
    ("fault", "reported"),
    [
        ({"account": "999999999999"}, "is pinned"),
        ({"expired": ["all"]}, "aws sso login"),
        ({}, "ftm deploy"),
    ],
)
def test_monitor_stops_at_wrong_account_login_or_no_deployment(
    project: Project, fault: dict[str, Any], reported: str
) -> None:
    project.stage.set(**fault)
    ended = project.ftm("monitor")
    assert ended.code == 2
    assert reported in " ".join(ended.stderr.split())


def test_a_run_here_is_watched_from_its_data_folder(unpinned: Project) -> None:
    build_small_quarter(LocalStorage(unpinned.folder / "data"))
    ended = unpinned.ftm("monitor", "--json")
    look = one_run(ended)
    assert (ended.json["target"], look["state"]) == ("local", "SUCCEEDED")
    assert look["batches"] == {"pending": 0, "running": 0, "succeeded": 3, "failed": 0}
    assert look["firms"]["failed"] == 2
    assert look["cost_usd"] is None
    assert unpinned.ftm("monitor", "2022Q4").code == 2
