"""Deploy and destroy as operators run them: order, questions, half-way failures, repeats."""

from __future__ import annotations

import shutil
import signal
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.aws_stage import RunningStage
from tests.fakes.small_modules import write_small_modules
from tests.integration.infra.conftest import required_tool

from .conftest import Ended, Project
from .test_run_on_aws import wait_for_line

OTHER_ACCOUNT = "0" * 12
ORDER = ["batch, without vLLM", "ecs", "batch, with vLLM", "stepfunctions"]


@pytest.fixture
def source(project: Project) -> Project:
    """A project with modules of which nothing is deployed, and the bucket."""
    required_tool("terraform")
    write_small_modules(project.folder)
    project.stage.fill_bucket()
    return project


@pytest.fixture(scope="session")
def deployed_infra(served_stage: RunningStage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Modules after a deploy, state included."""
    required_tool("terraform")
    folder = tmp_path_factory.mktemp("deployed")
    write_small_modules(folder)
    served_stage.reset()
    served_stage.fill_bucket()
    ended = Project(folder, served_stage, served_stage.project(folder)).ftm("deploy", "--yes")
    assert ended.code == 0, ended.stderr
    return folder / "infra"


@pytest.fixture
def deployed(deployed_infra: Path, project: Project) -> Project:
    """A project in which everything is deployed."""
    shutil.copytree(deployed_infra, project.folder / "infra")
    project.stage.fill_bucket()
    return project


def kept(project: Project) -> dict[str, Any]:
    """What ftm.toml knows of the deployment."""
    table = tomllib.loads((project.folder / "ftm.toml").read_text())["aws"]["deploy"]
    assert isinstance(table, dict)
    return table


def words(ended: Ended) -> str:
    """What a command said, as one line."""
    return " ".join(ended.stderr.split())


def has_state(project: Project) -> list[str]:
    """Modules of which something is deployed."""
    states = (project.folder / "infra" / "terraform").glob("*/terraform.tfstate")
    return sorted(path.parent.name for path in states if '"instances"' in path.read_text())


def test_resources_of_an_earlier_installation_stop_a_deploy(source: Project) -> None:
    """Fault A19: all are named with their import, and nothing is made."""
    source.stage.client("logs").create_log_group(logGroupName="/aws/batch/ftm")
    source.stage.client("iam").create_role(
        RoleName="ftm-batch-job-role", AssumeRolePolicyDocument="{}"
    )
    source.stage.deploy_vllm()
    source.stage.deploy_state_machine({"Done": {"Type": "Succeed"}})
    ended = source.ftm("deploy", "--yes")
    said = words(ended)
    assert ended.code == 2
    assert "Nothing was created" in said
    for found in (
        "'aws_cloudwatch_log_group.batch' '/aws/batch/ftm'",
        "'aws_cloudwatch_log_group.vllm' '/ecs/ftm-vllm'",
        "'aws_iam_role.created[\"job\"]' 'ftm-batch-job-role'",
        "'aws_autoscaling_group.vllm' 'ftm-vllm-asg'",
        "'aws_ecs_cluster.vllm' 'ftm-vllm-cluster'",
        "'aws_sfn_state_machine.quarter_processor' 'arn:aws:states:us-west-2:",
    ):
        assert found in said, found
    assert has_state(source) == []


def test_roles_are_printed_without_asking_aws(source: Project) -> None:
    source.stage.set(expired=["all"])
    printed = source.ftm("deploy", "--roles")
    assert printed.code == 0, printed.stderr
    roles = {role["kind"]: role for role in printed.json["roles"]}
    assert roles["deadman"]["name"] == "ftm-vllm-deadman-role"
    assert roles["events"]["trust"]["Statement"][0]["Action"] == "sts:AssumeRole"
    assert set(printed.json["operator"]) == {
        "ftm-operator-roles",
        "ftm-operator-network",
        "ftm-operator-services",
    }


def test_a_fresh_account_is_planned_as_far_as_it_can_be(source: Project) -> None:
    planned = source.ftm("deploy", "--plan", "--json").json
    assert [step["step"] for step in planned["steps"]] == ORDER
    assert [step["waits_for"] for step in planned["steps"]] == [None, "batch", "ecs", "batch"]
    assert planned["steps"][0]["add"] == 1
    assert planned["steps"][1]["add"] is None
    assert planned["costs"]["monthly_idle_usd"] > 0
    assert planned["costs"]["hourly_when_up_usd"] > 0
    assert "prices of" in planned["costs"]["note"]
    assert not has_state(source)


def test_each_step_that_was_not_shown_is_asked_about(source: Project) -> None:
    ended = source.ftm("deploy", given="y\ny\nn\n")
    assert ended.code == 4
    assert "Apply ecs?" in words(ended)
    assert "kept what was made" in words(ended)
    assert has_state(source) == ["batch", "ecs"]
    assert kept(source)["image_tag"]


def test_a_deploy_that_fails_half_way_is_resumed(source: Project) -> None:
    broken = source.folder / "infra" / "terraform" / "broken"
    broken.touch()
    failed = source.ftm("deploy", "--yes")
    assert failed.code == 1
    assert "terraform apply of ecs" in words(failed)
    assert "repeat the command" in words(failed)
    assert "Traceback" not in failed.stderr
    broken.unlink()
    resumed = source.ftm("deploy", "--yes", "--json").json
    assert resumed["complete"]
    assert [(step["step"], step["add"]) for step in resumed["steps"]] == [
        ("batch, without vLLM", 0),
        # The resource that failed is created again; the one created before stays.
        ("ecs", 1),
        ("batch, with vLLM", 1),
        ("stepfunctions", 1),
    ]
    assert resumed["outputs"]["stepfunctions"]["state_machine_arn"]


def test_a_stopped_deploy_saves_its_state_and_is_resumed(source: Project) -> None:
    slow = source.folder / "infra" / "terraform" / "slow"
    slow.touch()
    process = source.start("deploy", "--yes")
    wait_for_line(process.stderr, "terraform ecs: started")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "resumes from what is finished" in " ".join(stderr.split())
    slow.unlink()
    resumed = source.ftm("deploy", "--yes", "--json").json
    assert resumed["complete"]
    assert resumed["steps"][0]["step"] == ORDER[0]
    assert resumed["steps"][0]["add"] == 0


def test_a_second_deploy_changes_nothing_and_asks_nothing(deployed: Project) -> None:
    # Its image tag was kept by the first deploy's project; here content decides, to the same tag.
    ended = deployed.ftm("deploy", "--json")
    assert ended.code == 0, ended.stderr
    assert ended.json["changed"] == 0
    assert [step["step"] for step in ended.json["steps"]] == ORDER[1:]


def test_settings_of_the_project_reach_the_jobs(deployed: Project) -> None:
    text = (deployed.folder / "ftm.toml").read_text()
    more = '[aws.deploy.variables.batch]\nimage_tag = "v9"\n'
    (deployed.folder / "ftm.toml").write_text(f"{text}\n{more}")
    planned = deployed.ftm("deploy", "--plan", "--only", "batch", "--json").json
    assert [(step["step"], step["change"]) for step in planned["steps"]] == [
        ("batch, with vLLM", 1)
    ]


@pytest.mark.parametrize("command", ["deploy", "destroy"])
def test_another_account_or_an_expired_login_changes_nothing(
    deployed: Project, command: str
) -> None:
    deployed.stage.set(account=OTHER_ACCOUNT)
    other = deployed.ftm(command, "--yes")
    assert other.code == 2
    assert "is pinned, so nothing was called" in words(other)
    deployed.stage.set(account="", expired=["all"])
    expired = deployed.ftm(command, "--yes")
    assert expired.code == 2
    assert "aws sso login --profile research" in words(expired)
    assert has_state(deployed) == ["batch", "ecs", "stepfunctions"]


def test_what_a_deploy_lacks_is_named_before_anything_is_made(source: Project) -> None:
    missing = source.ftm("deploy", "--yes", "--bucket", "no-such-bucket")
    assert missing.code == 2
    assert "aws s3 mb s3://no-such-bucket" in words(missing)
    without = source.ftm("deploy", "--yes", PATH="/nowhere")
    assert without.code == 2
    assert "Install Terraform 1.11" in words(without)
    text = (source.folder / "ftm.toml").read_text()
    (source.folder / "ftm.toml").write_text(f"{text}use_external_images = true\n")
    unnamed = source.ftm("deploy", "--yes")
    assert unnamed.code == 2
    assert "ftm build" in words(unnamed)
    assert not has_state(source)


def test_fault_23_destroy_asks_for_the_name_and_stops_vllm(deployed: Project) -> None:
    deployed.stage.deploy_vllm()
    assert deployed.ftm("scale-up", "--yes").code == 0
    refused = deployed.ftm("destroy", given="yes\n")
    assert refused.code == 4
    assert "is not the name of the pinned profile" in words(refused)
    assert deployed.stage.desired_counts() == (1, 1)
    assert has_state(deployed) == ["batch", "ecs", "stepfunctions"]
    done = deployed.ftm("destroy", "--json", given="research\n")
    assert done.code == 0, done.stderr
    assert [step["module"] for step in done.json["steps"]] == ["stepfunctions", "ecs", "batch"]
    assert deployed.stage.desired_counts() == (0, 0)
    assert not has_state(deployed)


def test_nothing_is_destroyed_under_a_run_or_under_its_users(deployed: Project) -> None:
    used = deployed.ftm("destroy", "--only", "batch", "--yes")
    assert used.code == 2
    assert "is used by ecs and stepfunctions" in words(used)
    deployed.stage.deploy_state_machine({"Work": {"Type": "Wait", "Seconds": 600, "End": True}})
    states = deployed.stage.client("stepfunctions")
    machine = states.list_state_machines()["stateMachines"][0]["stateMachineArn"]
    states.start_execution(stateMachineArn=machine, name="2023Q1-20260101-000000")
    running = deployed.ftm("destroy", "--yes")
    assert running.code == 2
    assert "2023Q1-20260101-000000" in words(running)
    assert has_state(deployed) == ["batch", "ecs", "stepfunctions"]
