"""A quarter on AWS, end to end: Terraform, Step Functions and Docker containers run our code.

What the emulator cannot show, so that a green run is no evidence of it, is listed in README.md.
"""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from ftm_core.contracts import keys
from ftm_core.contracts.errors import ExitCode
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.checkpoints import read_checkpoint
from ftm_core.storage.local import LocalStorage
from ftm_core.storage.s3 import S3Storage
from tests.e2e.account import BUCKET
from tests.e2e.conftest import (
    BATCHES,
    BROKEN_BATCH,
    FIRMS,
    FIRMS_OF,
    MODEL,
    QUARTER,
    RECLAIMED_BATCH,
    REMOVED,
    Deployment,
    Images,
    RunWithout,
)
from tests.e2e.engine import Engine
from tests.e2e.runs import Command, Place, Run
from tests.fakes.chaos_runs import assert_same_rows, rows_of

pytestmark = pytest.mark.e2e

PLAN, REDUCE = f"ftm-plan-{QUARTER}", f"ftm-reduce-{QUARTER}"


def n_rows(storage: S3Storage, key: str) -> int:
    with storage.open_input(key) as source:
        return int(pq.read_metadata(source).num_rows)


# --- images --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["map", "reduce"])
def test_images_run_as_nobody_and_hold_the_code_alone(
    images: Images, engine: Engine, kind: str
) -> None:
    image = getattr(images.jobs, kind)
    assert engine.run(image, "id", "-u") == "10001"
    assert engine.run(image, "ls", "/opt/app") == "ftm_core"
    missing = "import importlib.util as u; print(u.find_spec('ftm_cli'), u.find_spec('xllamacpp'))"
    assert engine.run(image, "python", "-c", missing) == "None None"


# --- deploy --------------------------------------------------------------------------------------


def test_modules_are_applied_in_the_order_of_their_needs(
    deployment: Deployment,
) -> None:
    in_order = ["batch, without vLLM", "ecs", "batch, with vLLM", "stepfunctions"]
    assert deployment.steps == in_order


def test_jobs_get_the_url_that_the_ecs_module_wrote(deployment: Deployment) -> None:
    outputs = deployment.outputs
    assert outputs["batch"]["llm_base_url"].endswith("/v1")
    assert outputs["batch"]["llm_base_url"] == outputs["ecs"]["base_url"]


def test_fault_23_nothing_that_costs_is_up_after_a_deploy(deployment: Deployment) -> None:
    assert deployment.counts_after_apply == (0, 0)


def test_fault_23_a_second_deploy_changes_nothing(
    deployment: Deployment,
) -> None:
    assert deployment.changes_when_repeated == []


def test_operator_scales_vllm_up_and_down(deployment: Deployment) -> None:
    assert deployment.counts_when_scaled == [(1, 1), (0, 0)]


def test_rights_that_are_printed_for_the_operator_suffice(deployment: Deployment) -> None:
    """Deploy, second plan, validate and scale: IAM refused no call of Terraform or `ftm`."""
    assert deployment.refused == []
    passed = {name for name, is_passed in deployment.checks.items() if is_passed}
    assert {"AWS login", "bucket", "roles"} <= passed


# --- a run that fails -------------------------------------------------------------------------


def test_only_a_batch_that_ends_with_75_is_submitted_again(
    failed_run: Run,
) -> None:
    for batch in BATCHES:
        expected = [ExitCode.UNEXPECTED] if batch == BROKEN_BATCH else [ExitCode.RETRYABLE] * 2
        assert failed_run.exits(f"ftm-map-{batch}") == expected, batch


def test_fault_12_a_run_without_llm_sends_one_notification(
    failed_run: Run,
) -> None:
    assert failed_run.execution["status"] == "FAILED"
    assert failed_run.execution["error"] == "Ftm.RunFailed"
    (message,) = failed_run.messages
    assert message.subject == f"ftm: {QUARTER} failed (reduce)"
    assert failed_run.execution["name"] in message.text
    assert f"Job {REDUCE} ended with exit code {int(ExitCode.USAGE)}" in message.text


def test_fault_12_a_failed_run_leaves_no_output_and_says_so(failed_run: Run) -> None:
    assert failed_run.output == []
    assert failed_run.exits(REDUCE) == [ExitCode.USAGE]
    assert failed_run.command.code == ExitCode.UNEXPECTED
    assert "Stage reduce" in " ".join(failed_run.command.stderr.split())


# --- IAM ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("removed", REMOVED)
def test_a_run_fails_without_a_permission(
    runs_without: dict[str, RunWithout], removed: str
) -> None:
    """Jobs and state machine act as their roles: each removed permission is missed."""
    without = runs_without[removed]
    assert without.run.execution["status"] == "FAILED"
    assert without.run.output == []
    assert without.refused
    assert all(item.startswith(f"{removed} ") for item in without.refused)


def test_operator_without_the_right_to_start_is_told_which(start_without_right: Command) -> None:
    assert start_without_right.code == ExitCode.USAGE
    assert "states:StartExecution" in start_without_right.stderr


def test_a_whole_run_is_refused_nothing(refused_calls: list[str]) -> None:
    """The printed roles suffice: no call of jobs, state machine or operator was refused."""
    assert refused_calls == []


# --- the same quarter started again -------------------------------------------------------------


def test_a_run_is_started_with_quarter_and_bucket_alone(finished_run: Run) -> None:
    given = json.loads(finished_run.execution["input"])
    assert given == {"quarter": str(QUARTER), "bucket": BUCKET}


def test_a_failed_quarter_is_finished_by_starting_it_again(finished_run: Run) -> None:
    assert finished_run.command.code == ExitCode.DONE, finished_run.command.stderr
    assert finished_run.execution["status"] == "SUCCEEDED"
    assert finished_run.exits(PLAN) == finished_run.exits(REDUCE) == [ExitCode.DONE]


def test_map_containers_work_at_the_same_time(finished_run: Run) -> None:
    assert finished_run.together == set(BATCHES)


def test_fault_9_a_reclaimed_job_is_resumed_where_it_was(finished_run: Run, place: Place) -> None:
    exits = finished_run.exits(f"ftm-map-{RECLAIMED_BATCH}")
    assert exits == [ExitCode.RETRYABLE, ExitCode.DONE]
    now = place.saved_parts(RECLAIMED_BATCH)
    before = finished_run.saved_before_reclaim
    assert before
    assert before.items() <= now.items()
    assert len(now) > len(before)


def test_every_firm_went_through_the_llm_and_into_the_tables(
    finished_run: Run, storage: S3Storage
) -> None:
    completed: list[str] = []
    models: set[str] = set()
    for batch in BATCHES:
        checkpoint = read_checkpoint(storage, QUARTER, batch)
        assert checkpoint is not None
        completed += checkpoint.completed_firm_ids
        for part in checkpoint.parts:
            with storage.open_input(keys.firm_topics_part(QUARTER, batch, part.number)) as source:
                models |= set(pq.read_table(source, columns=["llm_model"])["llm_model"].to_pylist())
    assert len(completed) == len(set(completed)) == FIRMS
    assert models == {MODEL}
    assert n_rows(storage, keys.themes(QUARTER)) > 0
    assert n_rows(storage, keys.theme_contributions(QUARTER)) > 0
    assert any(key.startswith("sentiment-ready/") for key in finished_run.output)


@pytest.mark.parametrize("quarter", FIRMS_OF, ids=str)
def test_two_quarters_in_one_command_equal_a_local_run(
    local_storage: LocalStorage, storage: S3Storage, quarter: Quarter
) -> None:
    assert_same_rows(rows_of(storage, quarter), rows_of(local_storage, quarter))


def test_every_check_of_evaluate_passes(evaluation: Command) -> None:
    checks = json.loads(evaluation.stdout)["quarters"][0]["checks"]
    assert checks
    assert [check for check in checks if not check["passed"]] == []
    assert evaluation.code == ExitCode.DONE, evaluation.stderr


def test_fault_12_success_is_told_once_after_the_reduce(finished_run: Run) -> None:
    (message,) = finished_run.messages
    assert message.subject == f"ftm: {QUARTER} is done"
    (reduce,) = (job for job in finished_run.jobs if job.name == REDUCE)
    assert reduce.started >= max(
        job.stopped for job in finished_run.jobs if job.name.startswith("ftm-map-")
    )


# --- destroy --------------------------------------------------------------------------------------


def test_a_destroy_leaves_nothing_but_the_data(
    left_after_destroy: set[str], storage: S3Storage
) -> None:
    assert left_after_destroy == set()
    assert n_rows(storage, keys.themes(QUARTER)) > 0
