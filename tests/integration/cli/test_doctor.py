"""`ftm doctor` as people run it: causes found on the stage and in a data folder."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from ftm_core.contracts import keys
from ftm_core.contracts.quarters import Quarter
from ftm_core.storage.local import LocalStorage
from tests.fakes.small_quarter import build_small_quarter, edit_json

from .conftest import Ended, Project
from .test_monitor import start
from .test_run_on_aws import LONG, failing

QUARTER = Quarter(2023, 1)


def problems(ended: Ended) -> dict[str, dict[str, Any]]:
    """Problems by what they are about; each has a next step and makes the exit code 3."""
    found = [item for item in ended.json["findings"] if item["level"] == "problem"]
    assert ended.json["problems"] == len(found)
    assert ended.code == (3 if found else 0), ended.stderr
    assert all(item["next_step"] for item in found)
    return {item["about"]: item for item in found}


def test_nothing_deployed_is_reported_first(project: Project) -> None:
    found = problems(project.ftm("doctor", "--json"))
    assert "ftm deploy" in found["runs"]["next_step"]
    assert "ftm deploy" in found["vLLM"]["next_step"]


def test_run_that_waits_for_a_vllm_at_0_is_reported(project: Project) -> None:
    project.stage.deploy_vllm()
    project.stage.fill_bucket()
    start(project, LONG)
    found = problems(project.ftm("doctor", "--json"))
    assert found["vLLM"]["next_step"] == "Run `ftm scale-up`."


def test_no_capacity_is_reported_in_the_words_of_aws(project: Project) -> None:
    message = "We currently do not have sufficient g5.xlarge capacity."
    project.stage.deploy_vllm()
    project.stage.set(no_capacity=message)
    assert project.ftm("scale-up", "--yes", "--no-wait").code == 0
    found = problems(project.ftm("doctor", "--json"))
    assert any(message in line for line in found["vLLM"]["evidence"])


def test_failed_execution_is_reported_with_its_cause(project: Project) -> None:
    project.stage.fill_bucket()
    start(project, failing("Stage reduce: States.TaskFailed"))
    ended = project.ftm("doctor")
    assert ended.code == 3
    reported = " ".join(ended.stdout.split())
    assert "Stage reduce: States.TaskFailed" in reported
    assert "ftm logs reduce" in reported


def test_doctor_local_names_dead_owner_failures_and_settings(unpinned: Project) -> None:
    storage = LocalStorage(unpinned.folder / "data")
    build_small_quarter(storage)
    code = "import os; print(os.getpid())"
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    pid = int(ended.stdout)

    def die(identity: Any) -> None:
        from ftm_core.data.lease import this_process

        owner = vars(this_process("2023Q1-20230601-120000"))
        identity["owner"] = owner | {"pid": pid, "process_started": 1.0}
        identity["finished"] = None

    edit_json(storage, keys.run_identity(QUARTER), die)
    found = problems(unpinned.ftm("doctor", "--json", THEME_SEED="7"))
    run = next(item for about, item in found.items() if about.startswith("run "))
    assert "no longer exists" in run["what"]
    assert any(str(pid) in line for line in run["evidence"])
    assert "2 of 7 firms" in found["failures"]["what"]
    assert any("seed" in line for line in found["settings"]["evidence"])
    assert "--restart" in found["settings"]["next_step"]
