"""A quarter on a real Slurm: dead nodes, preemption, time limits, cancelled and rival runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ftm_core.contracts.errors import ExitCode
from tests.chaos.conftest import Reference
from tests.fakes.chaos_llm import MODEL, SUMMARY, FakeLlm
from tests.fakes.chaos_runs import Place, Process, assert_same_rows, rows_of
from tests.fakes.needs import skip_or_fail
from tests.fakes.slurm_cluster import SlurmCluster

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def started_cluster() -> SlurmCluster:
    cluster = SlurmCluster()
    if not cluster.start():
        skip_or_fail("scripts/slurm-up finds no tool that starts a Slurm here")
    return cluster


@pytest.fixture
def cluster(started_cluster: SlurmCluster, place: Place) -> Iterator[SlurmCluster]:
    started_cluster.configure(place.folder)
    yield started_cluster
    # A node that a test killed is there for the next.
    assert started_cluster.start()
    started_cluster.clear()


def run_on_slurm(cluster: SlurmCluster, place: Place, *options: str, **environment: str) -> Process:
    """Start ``ftm run --target slurm``: four batches of two firms, followed closely."""
    return place.start(
        "--target", "slurm", "--batch-size", "2", *options, FTM_POLL_SECONDS="1",
        **cluster.environment, **environment,
    )  # fmt: skip


def start_held(
    cluster: SlurmCluster, place: Place, llm: FakeLlm
) -> tuple[Process, list[tuple[str, str]]]:
    """A run with two map tasks at work, their answers held back; the tasks' ids and nodes."""
    before = len(llm.log())
    llm.hold(SUMMARY, after=2)
    run = run_on_slurm(cluster, place)
    run.wait_for(lambda: len(cluster.mapping()) == 2 and len(llm.asked(before)) >= 4)
    return run, cluster.mapping()


def finish(cluster: SlurmCluster, run: Process) -> None:
    cluster.wait_for(lambda: run.has_ended, "the end of the run", 400)
    assert run.wait() == 0, run.output


def logs(place: Place, name: str) -> str:
    """The logs of a step, of all submissions."""
    return "".join(path.read_text() for path in sorted(Path(place.folder).glob(f"slurm/*/{name}")))


def test_fault_7_slurm_dead_node_and_rival_leave_the_rows(
    cluster: SlurmCluster, place: Place, llm: FakeLlm, reference: Reference
) -> None:
    """An array of four; a second run is refused; a node dies, and its task starts on the other."""
    run, ((task, node), _) = start_held(cluster, place, llm)

    rival = run_on_slurm(cluster, place)
    assert rival.wait() == ExitCode.USAGE
    assert "whose jobs are in the queue" in " ".join(rival.output.split())

    cluster.kill_node(node)
    cluster.wait_for(lambda: cluster.is_down(node), "a node that is down")
    llm.reset()
    assert cluster.start()
    finish(cluster, run)
    number = task.rsplit("_", 1)[1]
    assert logs(place, f"2023Q1-map-{number}.log").count("map: started") == 2
    assert_same_rows(rows_of(place.storage), reference.rows)


@pytest.mark.long
def test_fault_9_slurm_preempted_task_saves_and_resumes(
    cluster: SlurmCluster, place: Place, llm: FakeLlm, reference: Reference
) -> None:
    cluster.configure(place.folder, partition="spot")
    run, tasks = start_held(cluster, place, llm)
    cluster.call("sbatch", "--partition=main", "--ntasks=2", "--output=/dev/null", "--wrap=sleep 5")
    cluster.wait_for(lambda: cluster.mapping() != tasks, "a preempted task")
    llm.reset()
    finish(cluster, run)
    assert "SIGTERM: saving what is finished" in logs(place, "2023Q1-map-*.log")
    assert_same_rows(rows_of(place.storage), reference.rows)


@pytest.mark.long
def test_slurm_time_limit_saves_and_queues_again(
    cluster: SlurmCluster, place: Place, llm: FakeLlm, reference: Reference
) -> None:
    """Answers are held until the limit is near: the step saves and ends with 75."""
    cluster.configure(place.folder, time="00:02:00")
    run, _ = start_held(cluster, place, llm)
    cluster.wait_for(
        lambda: "SIGTERM: saving what is finished" in logs(place, "2023Q1-map-*.log"),
        "the signal before the limit",
        180,
    )
    llm.reset()
    finish(cluster, run)
    assert_same_rows(rows_of(place.storage), reference.rows)


@pytest.mark.long
def test_slurm_cancelled_run_stays_ended_and_resumes(
    cluster: SlurmCluster, place: Place, llm: FakeLlm, reference: Reference
) -> None:
    run, _ = start_held(cluster, place, llm)
    name = next(job[1] for job in cluster.jobs()).removeprefix("ftm-").rsplit("-", 1)[0]
    cancel = Process(
        ["ftm_cli", "cancel", name, "--yes", "--target", "slurm", "--data", str(place.data)],
        {**place.environment, **cluster.environment},
        place.folder / "cancel.log",
    )
    assert cancel.wait() == 0, cancel.output
    cluster.wait_for(lambda: run.has_ended, "the end of the run")
    assert run.wait() == ExitCode.RETRYABLE, run.output
    assert cluster.jobs() == []

    llm.reset()
    finish(cluster, run_on_slurm(cluster, place))
    assert_same_rows(rows_of(place.storage), reference.rows)


@pytest.mark.long
def test_fault_7_slurm_of_two_runs_at_once_one_wins(
    cluster: SlurmCluster, place: Place, reference: Reference
) -> None:
    """Both submit before either has planned: the plan step of one is refused, its jobs go."""
    first = run_on_slurm(cluster, place)
    cluster.wait_for(lambda: len(cluster.jobs()) >= 3, "the first run's jobs")
    second = run_on_slurm(cluster, place)
    cluster.wait_for(lambda: first.has_ended and second.has_ended, "the end of both", 400)
    assert sorted((first.wait(), second.wait())) == [ExitCode.DONE, ExitCode.USAGE]
    assert "is leased to the run" in " ".join((first.output + second.output).split())
    assert cluster.jobs() == []
    assert_same_rows(rows_of(place.storage), reference.rows)


def serve_command(place: Place, model: str) -> str:
    """The command of a job that serves the fake LLM on the port that the script chose."""
    log = place.folder / "served.log"
    options = f"--log {log} --host 0.0.0.0 --port {{port}} --model {model} --until-killed"
    return f"{sys.executable} -m tests.fakes.chaos_llm {options}"


def without_server(place: Place) -> Place:
    """The place less the URL of a server: the job of the run serves the same model."""
    environment = {k: v for k, v in place.environment.items() if k != "LLM_BASE_URL"}
    bare = Place(place.folder, {})
    bare.environment = environment
    return bare


@pytest.mark.long
def test_slurm_llm_job_serves_the_steps_and_ends(
    cluster: SlurmCluster, place: Place, reference: Reference
) -> None:
    """Its URL reaches the steps through the shared folder; killed amid the map, it comes back."""
    bare = without_server(place)
    cluster.configure(place.folder, vllm=serve_command(place, MODEL))
    run = run_on_slurm(cluster, bare, LLM_HEALTH_WAIT="20")
    cluster.wait_for(lambda: bare.n_completed() > 0, "a finished firm")
    (url_file,) = place.folder.glob("slurm/*/llm_url")
    (server,) = [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(place.folder / "served.log") in (process.info["cmdline"] or ())
    ]
    server.kill()
    finish(cluster, run)
    assert "it is started again" in logs(place, "vllm.log")
    assert_same_rows(rows_of(bare.storage), reference.rows)
    cluster.wait_for(lambda: cluster.jobs() == [], "the end of the LLM job", 60)
    assert "No step of the runs is in the queue any more" in logs(place, "vllm.log")
    assert not url_file.exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("served", "reported"),
    [("", "ended with exit code 1"), ("another-model", "serves another-model, not")],
)
def test_slurm_llm_job_ends_with_a_failed_map(
    cluster: SlurmCluster, place: Place, served: str, reported: str
) -> None:
    """A server that does not start, and a map that fails beside one that does."""
    command = serve_command(place, served) if served else "false"
    cluster.configure(place.folder, vllm=command)
    run = run_on_slurm(cluster, without_server(place))
    cluster.wait_for(lambda: run.has_ended, "the end of the run", 200)
    assert run.wait() == ExitCode.USAGE, run.output
    assert reported in " ".join(run.output.split())
    cluster.wait_for(lambda: cluster.jobs() == [], "the end of the LLM job", 60)


@pytest.mark.long
def test_slurm_llm_job_ends_with_a_cancelled_run(cluster: SlurmCluster, place: Place) -> None:
    cluster.configure(place.folder, vllm=serve_command(place, MODEL))
    run = run_on_slurm(cluster, without_server(place))
    cluster.wait_for(lambda: bool(cluster.mapping()), "a map task")
    steps = [job for job, name, *_ in cluster.jobs() if not name.endswith("-vllm")]
    cluster.call("scancel", *steps)
    cluster.wait_for(lambda: cluster.jobs() == [], "the end of the LLM job", 90)
    cluster.wait_for(lambda: run.has_ended, "the end of the run")
