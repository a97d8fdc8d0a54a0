"""The deploy works its order out by itself, and a repeat leaves the first pass out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ftm_cli.operations.deploy import MODULES, DeploySettings, deploy_steps, destroy_steps
from ftm_core.contracts.errors import InputError

SETTINGS = DeploySettings(
    terraform_root=Path("infra/terraform"),
    s3_bucket_name="some-research-bucket",
    use_external_images=True,
    map_image_uri="registry.example.org/ftm-map:1",
    reduce_image_uri="registry.example.org/ftm-reduce:1",
)
EVERYTHING = frozenset(MODULES)


def titles(settings: DeploySettings, deployed: frozenset[str] = frozenset()) -> list[str]:
    return [step.title for step in deploy_steps(settings, deployed)]


def test_a_fresh_account_gets_batch_twice() -> None:
    assert titles(SETTINGS) == ["batch, without vLLM", "ecs", "batch, with vLLM", "stepfunctions"]
    first, _, second, _ = deploy_steps(SETTINGS)
    assert first.module.variables["enable_vllm"] is False
    assert second.module.variables["enable_vllm"] is True


@pytest.mark.parametrize("deployed", [frozenset(), frozenset({"batch"}), frozenset({"ecs"})])
def test_deploy_stopped_half_way_resumes_in_the_same_order(deployed: frozenset[str]) -> None:
    assert titles(SETTINGS, deployed)[0] == "batch, without vLLM"


def test_a_second_deploy_never_takes_the_llm_away_in_between() -> None:
    again = deploy_steps(SETTINGS, EVERYTHING)
    assert [step.title for step in again] == ["ecs", "batch, with vLLM", "stepfunctions"]
    passes = [step.module.variables.get("enable_vllm") for step in again]
    assert passes == [None, True, True]


def test_an_llm_given_by_url_stands_in_for_ecs() -> None:
    settings = replace(SETTINGS, llm_base_url="https://llm.example.org/v1")
    steps = deploy_steps(settings)
    assert [step.module.name for step in steps] == ["batch", "stepfunctions"]
    assert steps[0].module.variables["llm_base_url"] == "https://llm.example.org/v1"
    assert [step.module.variables["enable_vllm"] for step in steps] == [False, False]


@pytest.mark.parametrize(
    ("only", "deployed", "expected"),
    [
        ("batch", frozenset(), "batch, without vLLM"),
        ("batch", frozenset({"batch"}), "batch, without vLLM"),
        ("batch", EVERYTHING, "batch, with vLLM"),
        ("ecs", frozenset({"batch"}), "ecs"),
        ("stepfunctions", EVERYTHING, "stepfunctions"),
    ],
)
def test_one_module_alone_goes_as_far_as_it_can(
    only: str, deployed: frozenset[str], expected: str
) -> None:
    (step,) = deploy_steps(SETTINGS, deployed, only=only)
    assert step.title == expected


@pytest.mark.parametrize("only", ["ecs", "stepfunctions"])
def test_one_module_alone_is_refused_before_what_it_needs(only: str) -> None:
    with pytest.raises(InputError, match="Deploy the module batch first"):
        deploy_steps(SETTINGS, only=only)


def test_a_destroy_takes_down_what_uses_before_what_is_used() -> None:
    steps = destroy_steps(SETTINGS)
    assert [step.module.name for step in steps] == ["stepfunctions", "ecs", "batch"]
    assert steps[-1].module.variables["enable_vllm"] is False


@pytest.mark.parametrize("steps", [deploy_steps, destroy_steps])
def test_an_unknown_module_is_refused(steps: object) -> None:
    with pytest.raises(InputError, match="vpc"):
        steps(SETTINGS, only="vpc")  # type: ignore[operator]


def test_the_pinned_account_reaches_every_module() -> None:
    settings = replace(SETTINGS, profile="research", account_id="123456789012", region="eu-west-1")
    for step in (*deploy_steps(settings), *destroy_steps(settings)):
        assert step.module.variables["aws_profile"] == "research"
        assert step.module.variables["aws_account_id"] == "123456789012"
        assert step.module.variables["aws_region"] == "eu-west-1"


def test_variables_of_one_module_reach_that_module_alone() -> None:
    settings = replace(SETTINGS, variables={"ecs": {"max_capacity": 2}})
    found = {
        step.title: step.module.variables.get("max_capacity") for step in deploy_steps(settings)
    }
    assert [title for title, value in found.items() if value == 2] == ["ecs"]


def test_fault_26_every_value_is_a_variable_of_its_module() -> None:
    root = Path(__file__).parents[3] / "infra" / "terraform"
    settings = replace(
        SETTINGS, profile="research", account_id="123456789012", image_tag="abc", enable_vllm=True
    )
    for step in (*deploy_steps(settings), *destroy_steps(settings)):
        text = (root / step.module.name / "variables.tf").read_text(encoding="utf-8")
        for name in step.module.variables:
            assert f'variable "{name}"' in text, f"{step.module.name} has no {name}"
