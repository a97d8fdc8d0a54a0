"""The doctor on AWS: from what services answer to a cause, its evidence and the next command."""

from __future__ import annotations

import datetime as dt
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ftm_cli.operations.aws.errors import CapacityError
from ftm_cli.operations.aws.executions import Execution
from ftm_cli.operations.aws.run_diagnosis import RunDiagnosis
from ftm_cli.operations.aws.session import AwsSession
from ftm_cli.operations.aws.vllm import DEADMAN_MINUTES, Vllm
from ftm_cli.operations.aws.vllm_diagnosis import VllmDiagnosis
from ftm_cli.operations.aws.waiting import Clock
from ftm_cli.results.runs import Finding
from ftm_core.contracts.states import RunState
from tests.fakes.failure_table import Row, job_ends
from tests.fakes.terraform_variables import variable_default

NOW = dt.datetime.now(dt.UTC)
STARTED = NOW - dt.timedelta(hours=1)
UP = {"LifecycleState": "InService"}
URL = "http://internal-vllm.example/v1"


class MissingError(Exception):
    """Stands for botocore's ParameterNotFound."""


class Account:
    """What the services of one account answer; a test changes single fields."""

    def __init__(self) -> None:
        self.instances: list[dict[str, str]] = [{"LifecycleState": "InService"}]
        self.desired, self.desired_tasks, self.running = 1, 1, 1
        self.activities: list[dict[str, Any]] = []
        self.events: list[dict[str, str]] = []
        self.stopped: list[dict[str, Any]] = []
        self.health: list[dict[str, str]] = [{"State": "healthy"}]
        self.parameter: str | None = URL
        self.environment = {"LLM_BASE_URL": URL}
        self.jobs: list[dict[str, Any]] = []
        self.log: list[str] = []
        # When vLLM's running task was started, and when its log said that the model is loaded.
        self.started = NOW - dt.timedelta(minutes=5)
        self.loaded: dt.datetime | None = None

    def client(self, service: str) -> Any:
        return getattr(self, f"_{service.replace('-', '_')}")()

    @property
    def session(self) -> AwsSession:
        pin = SimpleNamespace(profile="research", account_id="123456789012", region="us-west-2")
        return cast(AwsSession, SimpleNamespace(pin=pin, client=self.client))

    def vllm(self, *, is_needed: bool = True) -> dict[str, Finding]:
        found = VllmDiagnosis(self.session).findings(is_needed=is_needed)
        return {finding.about: finding for finding in found}

    def _autoscaling(self) -> Any:
        group = {"DesiredCapacity": self.desired, "MaxSize": 2, "Instances": self.instances}
        return SimpleNamespace(
            describe_auto_scaling_groups=lambda **_: {"AutoScalingGroups": [group]},
            describe_scaling_activities=lambda **_: {"Activities": self.activities},
            set_desired_capacity=lambda **_: None,
        )

    def _ecs(self) -> Any:
        service = {
            "desiredCount": self.desired_tasks,
            "runningCount": self.running,
            "loadBalancers": [{"targetGroupArn": "group"}],
            "events": self.events,
        }
        arns = [f"task/{number}" for number in range(len(self.stopped))]
        return SimpleNamespace(
            describe_services=lambda **_: {"services": [service]},
            update_service=lambda **_: None,
            list_tasks=lambda **asked: {
                "taskArns": ["task/running"] * self.running
                if asked["desiredStatus"] == "RUNNING"
                else arns
            },
            describe_tasks=lambda tasks, **_: {
                "tasks": [{"startedAt": self.started}] if "task/running" in tasks else self.stopped
            },
        )

    def _elbv2(self) -> Any:
        group = {"TargetGroupArn": "group", "LoadBalancerArns": ["balancer"]}
        balancer = {"DNSName": "internal-vllm.example"}
        targets = [{"TargetHealth": health} for health in self.health]
        return SimpleNamespace(
            describe_target_health=lambda **_: {"TargetHealthDescriptions": targets},
            describe_target_groups=lambda **_: {"TargetGroups": [group]},
            describe_load_balancers=lambda **_: {"LoadBalancers": [balancer]},
        )

    def _ssm(self) -> Any:
        def get_parameter(**_: Any) -> dict[str, Any]:
            if self.parameter is None:
                raise MissingError
            return {"Parameter": {"Value": self.parameter}}

        exceptions = SimpleNamespace(ParameterNotFound=MissingError)
        return SimpleNamespace(get_parameter=get_parameter, exceptions=exceptions)

    def _batch(self) -> Any:
        pairs = [{"name": name, "value": value} for name, value in self.environment.items()]
        definition = {"revision": 1, "containerProperties": {"environment": pairs}}
        # With a filter AWS lists these fields alone; the emulator lists all.
        listed = [
            {name: item[name] for name in ("jobId", "jobName", "status", "createdAt")}
            for item in self.jobs
        ]

        def describe_jobs(jobs: list[str]) -> dict[str, Any]:
            assert len(jobs) <= 100
            found = [dict(item) for item in self.jobs if item["jobId"] in jobs]
            for item in found:
                item["container"] = item["container"] | {"logStreamName": "firm-processor/1"}
            return {"jobs": found}

        return SimpleNamespace(
            describe_job_definitions=lambda **_: {"jobDefinitions": [definition]},
            describe_job_queues=lambda **_: {"jobQueues": [{}]},
            list_jobs=lambda **_: {"jobSummaryList": listed},
            describe_jobs=describe_jobs,
        )

    def _logs(self) -> Any:
        milliseconds = int(NOW.timestamp() * 1000)
        events = [
            {"eventId": str(n), "timestamp": milliseconds, "logStreamName": "s", "message": text}
            for n, text in enumerate(self.log)
        ]

        def filter_log_events(**asked: Any) -> dict[str, Any]:
            if "startup" not in asked["filterPattern"]:
                return {"events": events}
            # AWS may answer with an empty page and a token for the next.
            if "nextToken" not in asked:
                return {"events": [], "nextToken": "next"}
            if self.loaded is None or self.loaded.timestamp() * 1000 < asked["startTime"]:
                return {"events": []}
            return {"events": events or [event(0, "Application startup complete")]}

        def event(number: int, text: str) -> dict[str, Any]:
            return {
                "eventId": str(number),
                "timestamp": milliseconds,
                "logStreamName": "s",
                "message": text,
            }

        return SimpleNamespace(
            filter_log_events=filter_log_events,
            get_log_events=lambda **_: {"events": events},
        )


@pytest.fixture
def account() -> Account:
    return Account()


def test_a_healthy_vllm_that_a_run_needs_is_no_problem(account: Account) -> None:
    assert {finding.level for finding in account.vllm().values()} == {"ok"}


def test_a_vllm_that_no_run_needs_is_one(account: Account) -> None:
    found = account.vllm(is_needed=False)["vLLM"]
    assert (found.level, found.next_step) == ("problem", "Run `ftm scale-down`.")
    assert "$" in found.what


def test_counts_of_0_are_a_problem_only_for_a_run(account: Account) -> None:
    account.desired = account.desired_tasks = account.running = 0
    account.instances, account.health = [], []
    assert account.vllm(is_needed=False)["vLLM"].level == "ok"
    found = account.vllm()["vLLM"]
    assert (found.level, found.next_step) == ("problem", "Run `ftm scale-up`.")


@pytest.mark.parametrize(
    ("message", "reported"),
    [
        ("We currently do not have sufficient g5.xlarge capacity.", "AWS has none to give"),
        ("VcpuLimitExceeded: you have requested more vCPU capacity", "quota"),
    ],
)
def test_no_instance_names_what_aws_said(account: Account, message: str, reported: str) -> None:
    account.instances, account.running, account.health = [], 0, []
    account.activities = [{"StatusCode": "Failed", "StatusMessage": message, "StartTime": NOW}]
    found = account.vllm()["vLLM"]
    assert reported in found.what
    assert any(message in line for line in found.evidence)
    assert "scale-down" in found.next_step


def test_task_out_of_memory_is_reported_with_its_exit_code(account: Account) -> None:
    account.running, account.health = 0, []
    reason = "Essential container in task exited"
    account.stopped = [
        {"lastStatus": "STOPPED", "stoppedReason": reason, "containers": [{"exitCode": 137}]}
    ]
    found = account.vllm()["vLLM"]
    assert any(reason in line and "137" in line for line in found.evidence)
    assert "larger instance_type" in found.next_step


def test_model_loading_is_a_note_and_with_errors_a_problem(account: Account) -> None:
    account.health = [{"State": "initial"}]
    assert account.vllm()["vLLM"].level == "note"
    account.log = ["ERROR torch.OutOfMemoryError: CUDA out of memory"]
    found = account.vllm()["vLLM"]
    assert found.level == "problem"
    assert any("CUDA out of memory" in line for line in found.evidence)


def test_instances_and_tasks_that_differ_are_named(account: Account) -> None:
    account.desired_tasks = account.running = 0
    account.health = []
    levels = [f.next_step for f in VllmDiagnosis(account.session).findings(is_needed=True)]
    assert any("ftm vllm scale 1" in step for step in levels)


@pytest.mark.parametrize(
    ("parameter", "given", "reported", "step"),
    [
        (None, URL, "missing", "Run `ftm deploy`."),
        ("http://old.example/v1", URL, "stale", "Run `ftm deploy`."),
        (URL, "http://old.example/v1", "another address", "Run `ftm deploy --only batch`."),
    ],
)
def test_stale_address_is_reported_with_all_three_places(
    account: Account, parameter: str | None, given: str, reported: str, step: str
) -> None:
    account.parameter, account.environment = parameter, {"LLM_BASE_URL": given}
    found = account.vllm()["address"]
    assert reported in found.what
    assert found.next_step == step
    assert len(found.evidence) == 3


def diagnose(account: Account, cause: str, status: str = "FAILED") -> dict[str, Finding]:
    execution = Execution(
        name="smoke-test-20230601-120000",
        arn="arn",
        status=RunState(status),
        started=STARTED,
        ended=None if status == "RUNNING" else NOW,
        quarter="2023Q1",
        error="Ftm.RunFailed",
        cause=cause,
    )
    return {found.about: found for found in RunDiagnosis(account.session, execution).findings()}


def job(name: str, status: str, exit_code: int | None = None, reason: str = "") -> dict[str, Any]:
    return {
        "jobId": name,
        "jobName": name,
        "status": status,
        "statusReason": reason,
        "createdAt": int(STARTED.timestamp() * 1000) + 1,
        "container": {} if exit_code is None else {"exitCode": exit_code},
    }


def test_failed_map_is_reported_with_exit_code_and_log(account: Account) -> None:
    account.jobs = [
        job("ftm-map-2023Q1_batch_0000", "SUCCEEDED"),
        job("ftm-map-2023Q1_batch_0001", "FAILED", 137, "Essential container exited"),
        job("ftm-map-2022Q4_batch_0000", "FAILED", 1),
    ]
    account.log = ["ERROR ran out of memory"]
    cause = "Stage map: States.TaskFailed. " + json.dumps(
        {"JobName": "ftm-map-2023Q1_batch_0001", "StatusReason": "exited", "Attempts": ["x" * 5000]}
    )
    found = diagnose(account, cause)
    run = found["run smoke-test-20230601-120000"]
    assert "ftm logs map" in run.next_step
    assert max(map(len, run.evidence)) < 200
    assert found["map"].what == "1 of 2 jobs failed."
    assert any("137" in line and "memory" in line for line in found["map"].evidence)
    assert any("ran out of memory" in line for line in found["map"].evidence)


@pytest.mark.parametrize(
    ("cause", "status", "step"),
    [
        ("Stage transcripts: Ftm.TranscriptsMissing. No manifest", "FAILED", "ftm ingest"),
        ("Stage checks: Ftm.ChecksFailed. Over tolerance", "FAILED", "ftm failures"),
        ("Stage reduce: States.TaskFailed. gone", "FAILED", "ftm logs reduce"),
        ("ftm run was stopped", "ABORTED", "resumes from what is finished"),
        ("Stage map: Ftm.NoInstance. Job x got none", "ABORTED", "See the quotas and limits"),
    ],
)
def test_each_stage_that_can_fail_has_a_next_step(
    account: Account, cause: str, status: str, step: str
) -> None:
    found = diagnose(account, cause, status)["run smoke-test-20230601-120000"]
    assert found.level == "problem"
    assert step in found.next_step
    assert not any("unknown" in line for line in found.evidence)


def test_a_stage_of_another_version_is_named_as_unknown(account: Account) -> None:
    """The history of a state machine that an older ftm deployed has stages of other names."""
    found = diagnose(account, "Stage judgement: Ftm.ChecksFailed. Over tolerance")
    evidence = found["run smoke-test-20230601-120000"].evidence
    assert any("stage 'judgement' is unknown" in line for line in evidence)


@pytest.mark.parametrize("row", [row for row in job_ends() if row.doctor], ids=lambda row: row.end)
def test_each_end_of_the_failure_table_is_named(account: Account, row: Row) -> None:
    """Fault A12: from what AWS itself returns, where a filtered list shows next to nothing."""
    container: dict[str, Any] = {}
    if row.exit_code is not None:
        container["exitCode"] = row.exit_code
    if row.reason is not None:
        container["reason"] = row.reason
    end = job("ftm-map-2023Q1_batch_0000", "FAILED") | {"container": container}
    if row.status_reason is None:
        del end["statusReason"]
    else:
        end["statusReason"] = row.status_reason
    account.jobs = [end]
    (line, *_) = diagnose(account, "Stage reduce: States.TaskFailed. x")["map"].evidence
    assert str(row.doctor) in line
    if row.exit_code is not None:
        assert f"exit code {row.exit_code}" in line


def test_more_jobs_than_one_call_describes(account: Account) -> None:
    account.jobs = [job(f"ftm-map-2023Q1_batch_{n:04d}", "FAILED", 1) for n in range(230)]
    assert diagnose(account, "")["map"].what == "230 of 230 jobs failed."


@pytest.mark.parametrize(("minutes_ago", "phase"), [(1, "target health"), (60 * 24, "model load")])
def test_a_log_line_of_an_earlier_start_is_no_loaded_model(
    account: Account, minutes_ago: int, phase: str
) -> None:
    """Fault A17: the line must be later than the running task, and may be on a later page."""
    account.health = [{"State": "initial"}]
    account.loaded = NOW - dt.timedelta(minutes=minutes_ago)
    assert Vllm(account.session).status().phase == phase


def test_an_old_failure_does_not_stop_a_new_start(account: Account) -> None:
    """Fault A4: AWS keeps activities for six weeks, and a new one appears late."""
    account.instances, account.desired = [], 1
    old = {
        "StatusCode": "Failed",
        "StatusMessage": "VcpuLimitExceeded: You have requested more vCPU capacity",
        "StartTime": NOW - dt.timedelta(days=7),
    }
    account.activities = [old]
    vllm = Vllm(account.session, clock=Clock(sleep=lambda _: account.instances.append(UP)))
    assert vllm.status().trouble is None
    vllm.scale_up(1)
    assert vllm.wait_until_ready(1).phase == "ready"


def test_a_fresh_failure_stops_a_start(account: Account) -> None:
    account.instances, account.desired = [], 1
    old = {"StatusCode": "Failed", "StatusMessage": "old", "StartTime": NOW - dt.timedelta(days=7)}
    account.activities = [old]
    fresh = old | {"StatusMessage": "VcpuLimitExceeded", "StartTime": NOW}
    sleep = Clock(sleep=lambda _: account.activities.insert(0, fresh))
    vllm = Vllm(account.session, clock=sleep)
    vllm.scale_up(1)
    with pytest.raises(CapacityError, match="quota"):
        vllm.wait_until_ready(1)


def test_the_promise_of_the_deadman_switch_is_the_modules_own() -> None:
    """Fault A21: the interval, and then the time that vLLM may be idle."""
    interval = variable_default("stepfunctions", "deadman_interval_minutes")
    idle = variable_default("stepfunctions", "idle_seconds") / 60
    assert interval + idle == DEADMAN_MINUTES


def test_jobs_without_an_instance_are_reported_with_the_reason(account: Account) -> None:
    reason = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"
    account.jobs = [job("ftm-map-2023Q1_batch_0000", "RUNNABLE", reason=reason)]
    found = diagnose(account, "", "RUNNING")["jobs"]
    assert "1 job waits for an instance" in found.what
    assert any(reason in line for line in found.evidence)
