"""vLLM up and down: group and service together, and what AWS's refusals come to."""

from __future__ import annotations

import pytest

from .conftest import Project


@pytest.fixture
def deployed(project: Project) -> Project:
    project.stage.deploy_vllm()
    return project


def test_up_waits_phase_by_phase_and_down_ends_at_zero(deployed: Project) -> None:
    deployed.stage.set(image_seconds=0.5, load_seconds=0.5)
    up = deployed.ftm("scale-up", "--yes", "--json")
    assert up.code == 0, up.stderr
    assert up.json["phase"] == "ready"
    assert deployed.stage.desired_counts() == (1, 1)
    assert "waiting for image" in up.stderr
    assert "waiting for model load" in up.stderr
    assert "an hour until `ftm scale-down`" in up.stderr
    down = deployed.ftm("scale-down", "--json")
    assert "then it costs nothing" in down.stderr
    assert down.json["phase"] == "off"
    assert deployed.stage.desired_counts() == (0, 0)


def test_a_dry_run_shows_the_cost_and_changes_nothing(deployed: Project) -> None:
    ended = deployed.ftm("vllm", "scale", "2", "--dry-run", "--json")
    assert ended.json["after"] == {"instances": 2, "tasks": 2}
    assert ended.json["hourly_usd"] > 0
    assert ended.json["prices_date"]
    assert deployed.stage.desired_counts() == (0, 0)


def test_no_capacity_is_retryable_and_leaves_nothing_asked_for(deployed: Project) -> None:
    message = "We currently do not have sufficient g5.xlarge capacity."
    deployed.stage.set(no_capacity=message)
    ended = deployed.ftm("scale-up", "--yes", FTM_CAPACITY_WAIT="1")
    assert ended.code == 75
    assert "sufficient g5.xlarge capacity" in " ".join(ended.stderr.split())
    assert deployed.stage.desired_counts() == (0, 0)


def test_used_up_quota_is_reported_at_once(deployed: Project) -> None:
    deployed.stage.set(no_capacity="VcpuLimitExceeded: you have requested more vCPU capacity")
    ended = deployed.ftm("scale-up", "--yes")
    assert ended.code == 75
    assert "quota" in ended.stderr
    assert deployed.stage.desired_counts() == (0, 0)


def test_more_than_the_maximum_is_refused(deployed: Project) -> None:
    ended = deployed.ftm("vllm", "scale", "9", "--yes")
    assert ended.code == 2
    assert "max_capacity" in ended.stderr
    assert deployed.stage.desired_counts() == (0, 0)


def test_down_gets_through_throttling(deployed: Project) -> None:
    assert deployed.ftm("scale-up", "--yes").code == 0
    deployed.stage.set(busy={"autoscaling": 3, "ecs": 3})
    assert deployed.ftm("scale-down").code == 0
    assert deployed.stage.desired_counts() == (0, 0)


def test_what_is_not_deployed_is_named(project: Project) -> None:
    ended = project.ftm("vllm", "status")
    assert ended.code == 2
    assert "ftm deploy" in ended.stderr
