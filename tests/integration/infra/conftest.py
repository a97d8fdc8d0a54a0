"""Terraform's own verdict on the modules, made once: formatted, valid, and every test's plan."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.needs import skip_or_fail

ROOT = Path(__file__).parents[3]
MODULES = ("batch", "ecs", "stepfunctions")


def required_tool(name: str, *places: Path) -> str:
    """Path of a tool that CI installs; skips with the reason where it is missing elsewhere."""
    found = next((str(place) for place in places if place.exists()), None) or shutil.which(name)
    if found is None:
        skip_or_fail(f"{name} is not installed (scripts/install-infra-tools)")
    return found


def ended(*command: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A tool run to its end, with what it printed."""
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)


def terraform_environment() -> dict[str, str]:
    """The environment, with a provider mirror where this machine has one; no login of anybody."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    mirror = ROOT.parent / "shared" / "tools" / "terraform-mirror"
    if mirror.exists():
        printed = subprocess.run([mirror], capture_output=True, text=True, check=True).stdout
        if printed.startswith("export TF_CLI_CONFIG_FILE="):
            environment["TF_CLI_CONFIG_FILE"] = printed.strip().partition("=")[2]
    if not Path(environment.get("TF_CLI_CONFIG_FILE", "/")).is_file():
        environment.pop("TF_CLI_CONFIG_FILE", None)
    return environment


@dataclass(frozen=True)
class ModuleVerdict:
    """What ``terraform validate`` and ``terraform test`` said of one module."""

    validate: Mapping[str, Any]
    outcomes: Mapping[str, str]
    problems: tuple[str, ...]
    # By test, then by address: the values that the resource would get.
    plans: Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="session")
def terraform() -> str:
    return required_tool("terraform")


@pytest.fixture(scope="session")
def terraform_copy(terraform: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the modules, so that no test leaves anything in the project's folders."""
    copy = tmp_path_factory.mktemp("terraform") / "terraform"
    shutil.copytree(
        ROOT / "infra" / "terraform",
        copy,
        ignore=shutil.ignore_patterns(".terraform", "*.tfstate*"),
    )
    return copy


@pytest.fixture(scope="session")
def verdicts(terraform: str, terraform_copy: Path) -> Mapping[str, ModuleVerdict]:
    environment = terraform_environment()

    def check_module(module: str) -> ModuleVerdict:
        folder = terraform_copy / module
        run = _runner(terraform, folder, environment)
        run("init", "-backend=false", "-input=false", check=True)
        validate = json.loads(run("validate", "-json"))
        decisions = run("test", "-json", "-filter=tests/decisions.tftest.hcl")
        # Plans come with the provider's whole schema, 14 MB each: only those that are read.
        rendered = run("test", "-json", "-verbose", "-filter=tests/rendered.tftest.hcl")
        return _verdict(validate, decisions, rendered)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(MODULES, pool.map(check_module, MODULES), strict=True))


def _runner(terraform: str, folder: Path, environment: dict[str, str]) -> Any:
    def run(*arguments: str, check: bool = False) -> str:
        done = subprocess.run(
            [terraform, *arguments],
            cwd=folder,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def _verdict(validate: Mapping[str, Any], decisions: str, rendered: str) -> ModuleVerdict:
    outcomes: dict[str, str] = {}
    problems: list[str] = []
    plans: dict[str, Mapping[str, Any]] = {}
    for line in (*decisions.splitlines(), *rendered.splitlines()):
        message = json.loads(line)
        if message["type"] == "test_run" and message["test_run"].get("progress") == "complete":
            outcomes[message["test_run"]["run"]] = message["test_run"]["status"]
        elif message["type"] == "test_plan":
            changes = message["test_plan"]["resource_changes"]
            plans[message["@testrun"]] = {
                resource["address"]: resource["change"]["after"] for resource in changes
            }
        elif message["type"] == "diagnostic" and message["diagnostic"]["severity"] == "error":
            problems.append(f"{message.get('@testrun')}: {message['diagnostic']}")
    return ModuleVerdict(validate, outcomes, tuple(problems), plans)


@pytest.fixture(scope="session")
def quarter_processor(verdicts: Mapping[str, ModuleVerdict]) -> dict[str, Any]:
    """The state machine of a quarter as it would be deployed, with notifications."""
    planned = verdicts["stepfunctions"].plans["notified"]["aws_sfn_state_machine.quarter_processor"]
    return dict(json.loads(planned["definition"]))


@pytest.fixture(scope="session")
def deadman(verdicts: Mapping[str, ModuleVerdict]) -> dict[str, Any]:
    """The deadman's switch as it would be deployed, with notifications."""
    planned = verdicts["stepfunctions"].plans["notified"]["aws_sfn_state_machine.deadman[0]"]
    return dict(json.loads(planned["definition"]))


@pytest.fixture(scope="session")
def job_definitions(verdicts: Mapping[str, ModuleVerdict]) -> dict[str, Any]:
    """The job definitions after the second pass, by kind of job."""
    planned = verdicts["batch"].plans["second_pass"]
    found = {}
    for kind in ("plan", "map", "reduce"):
        values = planned[f'aws_batch_job_definition.jobs["{kind}"]']
        found[kind] = values | {"container": json.loads(values["container_properties"])}
    return found
