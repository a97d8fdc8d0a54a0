"""`ftm smoke`: the checklist ticked at the end, and desired counts of 0 however it ends."""

from __future__ import annotations

import datetime as dt
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from ftm_core.contracts import keys
from ftm_core.storage.s3 import S3Storage
from tests.fakes.aws_stage import ACCOUNT, BUCKET, REGION
from tests.fakes.small_quarter import QUARTER, SmallQuarter, edit_json, finished_quarter

from .conftest import Project
from .test_build import put_image
from .test_run_on_aws import LONG, SUCCEEDING, failing, statuses, wait_for_line

__all__ = ["finished_quarter"]

SMOKE = ("smoke", "-q", "2023Q1", "--yes")


@pytest.fixture
def deployed(project: Project, finished_quarter: SmallQuarter) -> Project:
    """Everything a smoke test needs; the bucket holds the output that the jobs would write."""
    project.stage.deploy_vllm()
    s3 = project.stage.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    folder = Path(finished_quarter.storage.uri)
    for path in folder.rglob("*"):
        if path.is_file():
            s3.upload_file(str(path), BUCKET, path.relative_to(folder).as_posix())
    (project.folder / "infra" / "terraform").mkdir(parents=True)
    lines = ["use_external_images = true"]
    for kind in ("map", "reduce"):
        put_image(project, f"theirs-{kind}", "v7")
        uri = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/theirs-{kind}:v7"
        lines.append(f'{kind}_image_uri = "{uri}"')
    lines += ["[map]", "max_failure_rate = 0.5", ""]
    with (project.folder / "ftm.toml").open("a") as file:
        file.write("\n".join(lines))
    return project


def requests_in_log(project: Project) -> None:
    """Requests that vLLM logs a minute from now, which is while the run lasts."""
    logs = project.stage.client("logs")
    where = {"logGroupName": "/ecs/ftm-vllm", "logStreamName": "vllm/1"}
    logs.create_log_stream(**where)
    event = {
        "timestamp": int(time.time() * 1000) + 60_000,
        "message": '10.0.0.1:1 - "POST /v1/chat/completions HTTP/1.1" 200 OK',
    }
    logs.put_log_events(**where, logEvents=[event])


def test_all_steps_are_done_and_the_checklist_is_ticked(deployed: Project) -> None:
    deployed.stage.deploy_state_machine(SUCCEEDING)
    requests_in_log(deployed)
    ended = deployed.ftm(*SMOKE, "--json")
    assert ended.code == 0, ended.stderr
    assert ended.json["run"].startswith("smoke-test-")
    assert {step["state"] for step in ended.json["steps"]} == {"done"}
    assert [line["passed"] for line in ended.json["checklist"]] == [True] * 7
    assert deployed.stage.desired_counts() == (0, 0)


def test_without_requests_in_vllms_log_the_test_fails(deployed: Project) -> None:
    deployed.stage.deploy_state_machine(SUCCEEDING)
    ended = deployed.ftm(*SMOKE, "--json")
    assert ended.code == 3
    failed = [line["item"] for line in ended.json["checklist"] if line["passed"] is False]
    assert failed == ["vLLM's log shows /v1/chat/completions requests"]
    assert deployed.stage.desired_counts() == (0, 0)


def test_failed_smoke_run_is_reported_and_vllm_is_off(deployed: Project) -> None:
    deployed.stage.deploy_state_machine(failing("Stage map: States.TaskFailed"))
    ended = deployed.ftm(*SMOKE, "--json")
    assert ended.code == 1
    states = {step["name"]: step["state"] for step in ended.json["steps"]}
    assert (states["run"], states["evaluate"]) == ("failed", "not reached")
    assert states["vLLM down"] == "done"
    assert deployed.stage.desired_counts() == (0, 0)


def test_a_preflight_that_fails_starts_nothing_and_ends_at_0(deployed: Project) -> None:
    deployed.stage.deploy_state_machine(SUCCEEDING)
    deployed.stage.client("ecr").delete_repository(repositoryName="theirs-map", force=True)
    assert deployed.ftm("scale-up", "--yes").code == 0
    ended = deployed.ftm(*SMOKE)
    assert ended.code == 3
    assert "ftm build" in ended.stderr
    assert statuses(deployed) == []
    assert deployed.stage.desired_counts() == (0, 0)


def test_without_capacity_it_ends_at_0(deployed: Project) -> None:
    """The run has begun by then, since vLLM waits for its plan: it is stopped."""
    deployed.stage.deploy_state_machine(LONG)
    deployed.stage.set(no_capacity="We currently do not have sufficient g5.xlarge capacity.")
    assert deployed.ftm(*SMOKE, FTM_CAPACITY_WAIT="1").code == 75
    assert statuses(deployed) == ["ABORTED"]
    assert deployed.stage.desired_counts() == (0, 0)


def test_evaluate_asks_vllms_log_whether_it_served_the_run(deployed: Project) -> None:
    def begun_a_minute_ago(identity: Any) -> None:
        now = dt.datetime.now(dt.UTC)
        identity["started"] = (now - dt.timedelta(minutes=1)).isoformat()
        # The request is logged a minute from now.
        identity["finished"] = (now + dt.timedelta(minutes=2)).isoformat()

    session = deployed.stage.client("s3")
    edit_json(S3Storage(session, BUCKET), keys.run_identity(QUARTER), begun_a_minute_ago)
    before = deployed.ftm("evaluate", "--json")
    assert before.code == 3, before.stderr
    failed = [check["id"] for check in before.json["quarters"][0]["checks"] if not check["passed"]]
    assert failed == ["vllm-requests"]
    requests_in_log(deployed)
    after = deployed.ftm("evaluate", "--json")
    assert after.code == 0, after.stderr
    assert after.json["quarters"][0]["checks"][-1]["value"] == "1 request"
    deployed.stage.client("logs").delete_log_group(logGroupName="/ecs/ftm-vllm")
    without = deployed.ftm("evaluate", "--json")
    assert without.code == 0
    assert "could not be checked whether vLLM served" in " ".join(without.stderr.split())


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("── preflight", signal.SIGINT),
        ("waiting for image", signal.SIGINT),
        ("state ProcessBatches", signal.SIGINT),
        ("state ProcessBatches", signal.SIGHUP),
        ("── evaluate", signal.SIGINT),
        ("── failures", signal.SIGINT),
        ("── vLLM down", signal.SIGINT),
    ],
)
def test_fault_23_stopped_at_any_step_it_ends_at_0(
    deployed: Project, said: str, number: signal.Signals
) -> None:
    deployed.stage.deploy_state_machine(LONG if "Process" in said else SUCCEEDING)
    if said == "── preflight":
        # An instance that somebody left on is not left on by the test, however short it was.
        assert deployed.ftm("scale-up", "--yes").code == 0
        deployed.stage.set(busy={"ecr": 1000})
    if said == "waiting for image":
        deployed.stage.set(image_seconds=600)
    process = deployed.start(*SMOKE, "--json")
    wait_for_line(process.stderr, said)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=120)
    assert deployed.stage.desired_counts() == (0, 0), stderr
    assert "RUNNING" not in statuses(deployed)
    assert '"vLLM down"' in stdout
    # The last two may be over before the signal comes; taking vLLM down hears none.
    if said not in ("── failures", "── vLLM down"):
        assert process.returncode == 75, stderr
