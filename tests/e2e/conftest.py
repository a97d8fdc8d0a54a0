"""The whole system, once: images built, modules applied, two runs, everything taken down again.

Each stage is a fixture that leaves plain facts, so that tests may come in any order; a stage begins
only when those before it are over.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ftm_cli.operations.images import Build, ImageUris, build_image, content_tag, push_image
from ftm_core.contracts import keys
from ftm_core.contracts.quarters import Quarter
from ftm_core.storage import Storage
from ftm_core.storage.local import LocalStorage
from ftm_core.storage.s3 import S3Storage
from ftm_core.transcripts.ingest import IngestOptions, ingest
from ftm_core.transcripts.sources import sample_corpus
from tests.e2e.account import REGISTRY, Account
from tests.e2e.administrator import OPERATOR, make_roles
from tests.e2e.engine import ROOT, Engine, start_engine, unavailable
from tests.e2e.registry import running_registry
from tests.e2e.runs import Command, Place, Project, Run
from tests.emulator.process import running
from tests.fakes.aws_stage import PROFILE, RunningStage
from tests.fakes.chaos_llm import FakeLlm, serving
from tests.integration.infra.conftest import terraform_environment

QUARTER, NEXT_QUARTER = Quarter(2023, 1), Quarter(2023, 2)
FIRMS = 12
FIRMS_PER_BATCH = 4
FIRMS_OF = {QUARTER: FIRMS, NEXT_QUARTER: 8}
BATCHES = [keys.batch_id(QUARTER, number) for number in range(FIRMS // FIRMS_PER_BATCH)]
RECLAIMED_BATCH, _, BROKEN_BATCH = BATCHES
MODEL = "Qwen/Qwen3-8B"
# Where the listener of vLLM's load balancer listens; the emulator lets its name lead to 127.0.0.1.
LOAD_BALANCER_PORT = 80
VARIABLES = f"""
[aws.deploy.variables.batch]
checkpoint_interval = 1
llm_max_concurrent = 4

[aws.deploy.variables.batch.settings_environment]
BATCH_SIZE = "{FIRMS_PER_BATCH}"
MAP_WORKERS = "1"
LLM_HEALTH_WAIT = "10"
LLM_HEALTH_POLL = "1"

[aws.deploy.variables.stepfunctions]
enable_notifications = true
retryable_submissions = 2
retryable_wait_seconds = 1
"""
_seconds: dict[str, float] = {}
_seen_without: dict[str, str] = {}
_reporters: list[Any] = []


@contextlib.contextmanager
def timed(stage: str) -> Iterator[None]:
    """Say that a stage begins and ends, and keep its wall time for the summary."""
    began = time.monotonic()
    say(f"{stage} ...")
    try:
        yield
    finally:
        _seconds[stage] = time.monotonic() - began
        say(f"{stage}: {_seconds[stage]:.0f} s")


def say(text: str) -> None:
    """Show progress, past the capture of output."""
    for reporter in _reporters:
        reporter.write_line(f"    {text}")


def pytest_sessionstart(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        _reporters.append(reporter)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _seconds:
        terminalreporter.section("wall time of the stages")
        for stage, seconds in _seconds.items():
            terminalreporter.write_line(f"{stage:<44}{seconds:8.1f} s")
    if _seen_without:
        terminalreporter.section("what the operator sees when a permission is missing")
        for removed, seen in _seen_without.items():
            terminalreporter.write_line(f"{removed}: {seen}")


@dataclass(frozen=True)
class Images:
    """The image as the registry gave it back, by the name that the jobs use."""

    tag: str
    jobs: ImageUris


@dataclass(frozen=True)
class Deployment:
    """What was there before the deploy, what it made, and what a repeated one would change."""

    before: set[str]
    steps: list[str]
    outputs: dict[str, Any]
    counts_after_apply: tuple[int, int]
    counts_when_scaled: list[tuple[int, int]]
    changes_when_repeated: list[str]
    checks: dict[str, bool]
    refused: list[str]


@pytest.fixture(scope="session")
def environment() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="session")
def engine(environment: pytest.MonkeyPatch) -> Engine:
    if shutil.which("terraform") is None:
        unavailable("terraform is not installed")
    with timed("engine up"):
        return start_engine(environment)


@pytest.fixture(scope="session")
def images(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Images:
    """The image built, pushed to a registry, and taken from it again."""
    build = Build(engine.build_arguments, network="host")
    tag = content_tag(build)
    with running_registry(tmp_path_factory.mktemp("registry")) as registry:
        with timed("image: build"):
            local = build_image(build, tag)
        with timed("image: push and pull"):
            pushed = push_image(local, registry)
            engine.forget(pushed)
            engine.pull(pushed)
    # The emulated ECR keeps records only: what it would hold is given its name here.
    uri = f"{REGISTRY}/ftm-worker:{tag}"
    engine.tag(pushed, uri)
    engine.forget(pushed)
    return Images(tag, ImageUris(uri, uri))


@pytest.fixture(scope="session")
def account(
    engine: Engine, environment: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Account]:
    """The emulated account, its Batch on the engine, and this process's AWS clients sent to it."""
    with running(tmp_path_factory.mktemp("emulator") / "log") as emulator:
        for name in ("AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
            environment.delenv(name, raising=False)
        for name, value in emulator.environment.items():
            if name.startswith("AWS_"):
                environment.setenv(name, value)
        yield Account(emulator)
    engine.remove_jobs(f"{REGISTRY}/ftm-worker")


@pytest.fixture(scope="session")
def storage(account: Account) -> S3Storage:
    return account.make_bucket()


@pytest.fixture(scope="session")
def project(
    account: Account,
    images: Images,
    storage: S3Storage,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """An operator's folder; its login has the rights that `ftm deploy --roles` prints, no others.

    An administrator has made the roles from the same document.
    """
    folder = tmp_path_factory.mktemp("project")
    environment = RunningStage(account.emulator.url).project(folder)
    environment["FTM_POLL_SECONDS"] = "1"
    if mirror := terraform_environment().get("TF_CLI_CONFIG_FILE"):
        environment["TF_CLI_CONFIG_FILE"] = mirror
    settings = folder / "ftm.toml"
    settings.write_text(f'{settings.read_text()}image_tag = "{images.tag}"\n{VARIABLES}')
    project = Project(folder, environment)
    make_roles(account, project.succeed("deploy", "--roles"))
    keys = account.emulator.credentials_of(OPERATOR)
    lines = [f"[{PROFILE}]", *(f"{name} = {value}" for name, value in keys.items())]
    (folder / "credentials").write_text("\n".join(lines), encoding="utf-8")
    return project


@pytest.fixture(scope="session")
def deployment(account: Account, project: Project) -> Deployment:
    """All modules applied in our order; then vLLM scaled, and the deploy planned again."""
    before = account.inventory()
    with timed("terraform: apply"):
        result = project.succeed("deploy", "--use-precreated-roles", "--yes", "--json")
    counts = account.desired_counts()
    project.succeed("scale-up", "--yes", "--no-wait", "--json")
    scaled = [account.desired_counts()]
    with timed("terraform: second plan"):
        again = project.succeed("deploy", "--plan", "--json")
    with timed("validate"):
        checks = json.loads(project.ftm("validate", "--json").stdout)["checks"]
    project.succeed("scale-down", "--no-wait", "--json")
    scaled.append(account.desired_counts())
    return Deployment(
        before=before,
        steps=[step["step"] for step in result["steps"]],
        outputs=result["outputs"],
        counts_after_apply=counts,
        counts_when_scaled=scaled,
        changes_when_repeated=[item for step in again["steps"] for item in step["addresses"]],
        checks={check["name"]: check["passed"] for check in checks},
        refused=account.emulator.remove_permissions(),
    )


@pytest.fixture(scope="session")
def place(
    deployment: Deployment,
    project: Project,
    account: Account,
    engine: Engine,
    storage: S3Storage,
) -> Place:
    """The operator's folder, a mailbox that hears of runs, and transcripts in the bucket."""
    outputs = deployment.outputs
    account.open_mailbox(outputs["stepfunctions"]["notification_topic_arn"])
    with timed("ingest"):
        for quarter, firms in FIRMS_OF.items():
            ingest_firms(storage, quarter, firms, project.folder / "calls.csv")
    return Place(
        project=project,
        account=account,
        engine=engine,
        storage=storage,
        state_machine=outputs["stepfunctions"]["state_machine_arn"],
        queue=outputs["batch"]["job_queue_name"],
        quarter=QUARTER,
        say=say,
    )


@pytest.fixture(scope="session")
def failed_run(place: Place) -> Run:
    """A run while nothing serves the LLM and one chunk of transcripts is gone."""
    chunk = keys.transcripts_chunk(QUARTER, BATCHES.index(BROKEN_BATCH))
    kept = place.storage.read(chunk)
    place.storage.delete(chunk)
    try:
        with timed("execution that fails"):
            return place.run()
    finally:
        place.storage.write(chunk, kept)


@pytest.fixture(scope="session")
def llm(
    start_without_right: Command, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FakeLlm]:
    """A server behind vLLM's name whose answers follow from the questions alone."""
    log = tmp_path_factory.mktemp("llm") / "log"
    with serving(log, model=MODEL, port=LOAD_BALANCER_PORT) as server:
        yield server


@pytest.fixture(scope="session")
def finished_run(llm: FakeLlm, place: Place, account: Account) -> Run:
    """The quarter started again with the next one, all in order now, but one job is reclaimed."""
    with timed("execution of two quarters to the end"):
        run = place.run(reclaim=RECLAIMED_BATCH, until=NEXT_QUARTER)
    account.ship_llm_log(llm.log())
    return run


@pytest.fixture(scope="session")
def local_storage(
    finished_run: Run, llm: FakeLlm, tmp_path_factory: pytest.TempPathFactory
) -> LocalStorage:
    """The same two quarters run by the same command on this machine."""
    folder = tmp_path_factory.mktemp("local")
    storage = LocalStorage(folder / "data")
    for quarter, firms in FIRMS_OF.items():
        ingest_firms(storage, quarter, firms, folder / "calls.csv")
    settings = tomllib.loads(VARIABLES)["aws"]["deploy"]["variables"]["batch"]
    environment = os.environ | settings["settings_environment"] | llm.environment
    environment |= {"CHECKPOINT_INTERVAL": "1", "PYTHONPATH": str(ROOT)}
    with timed("the same two quarters on this machine"):
        Project(folder, environment).succeed(
            "run", "--quarters", f"{QUARTER}..{NEXT_QUARTER}", "--yes", "--json", "--data", "data"
        )
    return storage


@dataclass(frozen=True)
class RunWithout:
    """A run for which a role lacked one permission: how it ended, and what was refused."""

    run: Run
    refused: list[str]


# Role and action, each of a different kind of caller or call.
REMOVED = (
    "ftm-quarter-processor-role batch:SubmitJob",
    "ftm-quarter-processor-role s3:GetObject",
    "ftm-batch-job-role s3:PutObject",
    "ftm-batch-job-role s3:ListBucket",
)


@pytest.fixture(scope="session")
def runs_without(failed_run: Run, place: Place, account: Account) -> dict[str, RunWithout]:
    """The quarter started again with one permission missing, for each of REMOVED."""
    found = {}
    with timed("executions with a permission removed"):
        for removed in REMOVED:
            account.emulator.remove_permissions(removed)
            try:
                run = place.run()
            finally:
                refused = account.emulator.remove_permissions()
            found[removed] = RunWithout(run, refused)
            _seen_without[removed] = run.command.stderr.strip().splitlines()[-2]
    return found


@pytest.fixture(scope="session")
def start_without_right(runs_without: dict[str, RunWithout], place: Place) -> Command:
    """What `ftm run` says to an operator who may not start an execution."""
    removed = f"{OPERATOR} states:StartExecution"
    place.account.emulator.remove_permissions(removed)
    try:
        ended = place.project.ftm("run", "-q", str(QUARTER), "--scale", "none", "--yes")
    finally:
        place.account.emulator.remove_permissions()
    _seen_without[removed] = ended.stderr.strip().splitlines()[-2]
    return ended


@pytest.fixture(scope="session")
def refused_calls(evaluation: Command, account: Account) -> list[str]:
    """Calls that IAM refused while a quarter ran to its end, was watched, and was evaluated."""
    return account.emulator.remove_permissions()


@pytest.fixture(scope="session")
def evaluation(finished_run: Run, place: Place) -> Command:
    with timed("monitor, runs, logs, evaluate"):
        for watching in (("monitor", "--json"), ("runs", "--json"), ("logs", "vllm")):
            ended = place.project.ftm(*watching)
            assert ended.code == 0, ended.stderr
        return place.project.ftm("evaluate", "--quarter", str(QUARTER), "--json")


@pytest.fixture(scope="session")
def left_after_destroy(
    refused_calls: list[str], project: Project, deployment: Deployment, account: Account
) -> set[str]:
    with timed("terraform: destroy"):
        project.succeed("destroy", "--yes", "--json")
    return account.inventory() - deployment.before


def ingest_firms(storage: Storage, quarter: Quarter, firms: int, path: Path) -> None:
    """The first firms of the sample corpus, held in the quarter, a chunk for each batch."""
    later = timedelta(weeks=13 * (quarter.number - QUARTER.number))
    with sample_corpus(QUARTER).open(encoding="utf-8", newline="") as source:
        reader = csv.DictReader(source)
        rows, fields = list(reader), reader.fieldnames or []
    for row in rows:
        held = datetime.fromisoformat(row["mostimportantdateutc"])
        row["mostimportantdateutc"] = str(held + later)
    chosen = sorted({row["companyid"] for row in rows})[:firms]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(row for row in rows if row["companyid"] in chosen)
    options = IngestOptions(firms_per_chunk=FIRMS_PER_BATCH, strict=True)
    ingest(path, quarter, storage, options)
