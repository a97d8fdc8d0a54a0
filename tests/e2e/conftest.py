"""The whole system, once: images built, modules applied, two runs, everything taken down again.

Each stage is a fixture that leaves plain facts, so that tests may come in any order; a stage begins
only when those before it are over.
"""

from __future__ import annotations

import contextlib
import csv
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ftm_cli.operations.deploy import DeployResult, DeploySettings, deploy, destroy, plan_deploy
from ftm_cli.operations.images import Build, ImageUris, build_image, content_tag, push_image
from ftm_core.contracts import keys
from ftm_core.contracts.quarters import Quarter
from ftm_core.llm.local_server import LocalServer
from ftm_core.storage.s3 import S3Storage
from ftm_core.transcripts.ingest import IngestOptions, ingest
from ftm_core.transcripts.sources import sample_corpus
from tests.e2e.account import ACCOUNT, REGISTRY, Account
from tests.e2e.engine import ROOT, Engine, start_engine, unavailable
from tests.e2e.registry import running_registry
from tests.e2e.runs import Command, Place, Project, Run
from tests.emulator.process import running
from tests.fakes.aws_stage import RunningStage
from tests.fakes.chaos_llm import serving
from tests.integration.infra.conftest import terraform_environment

QUARTER = Quarter(2023, 1)
FIRMS = 12
FIRMS_PER_BATCH = 4
BATCHES = [keys.batch_id(QUARTER, number) for number in range(FIRMS // FIRMS_PER_BATCH)]
RECLAIMED_BATCH, _, BROKEN_BATCH = BATCHES
MODEL = "Qwen/Qwen3-8B"
# Where the listener of vLLM's load balancer listens; the emulator lets its name lead to 127.0.0.1.
LOAD_BALANCER_PORT = 80
VARIABLES: dict[str, dict[str, Any]] = {
    "batch": {
        "checkpoint_interval": 1,
        "llm_max_concurrent": 4,
        "settings_environment": {
            "BATCH_SIZE": str(FIRMS_PER_BATCH),
            "MAP_WORKERS": "1",
            # A small model on few cores stands in for the large one: short answers, and patience.
            "LLM_SUMMARY_MAX_TOKENS": "48",
            "LLM_THEME_MAX_TOKENS": "96",
            "LLM_TIMEOUT": "240",
            "LLM_HEALTH_WAIT": "10",
            "LLM_HEALTH_POLL": "1",
        },
    },
    "stepfunctions": {
        "enable_notifications": True,
        "retryable_submissions": 2,
        "retryable_wait_seconds": 1,
    },
}
_seconds: dict[str, float] = {}


@contextlib.contextmanager
def timed(stage: str) -> Iterator[None]:
    """Keep the wall time of a stage for the summary."""
    began = time.monotonic()
    try:
        yield
    finally:
        _seconds[stage] = time.monotonic() - began


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _seconds:
        terminalreporter.section("wall time of the stages")
        for stage, seconds in _seconds.items():
            terminalreporter.write_line(f"{stage:<44}{seconds:8.1f} s")


@dataclass(frozen=True)
class Images:
    """The image as the registry gave it back, by the name that the jobs use."""

    tag: str
    jobs: ImageUris


@dataclass(frozen=True)
class Deployment:
    """What was there before the deploy, what it made, and what a repeated one would change."""

    settings: DeploySettings
    before: set[str]
    result: DeployResult
    counts_after_apply: tuple[int, int]
    changes_when_repeated: list[str]


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
def deployment(
    account: Account,
    images: Images,
    storage: S3Storage,
    environment: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Deployment:
    """All modules applied in our order; then vLLM scaled by hand, and the deploy planned again."""
    mirror = terraform_environment().get("TF_CLI_CONFIG_FILE")
    if mirror:
        environment.setenv("TF_CLI_CONFIG_FILE", mirror)
    root = tmp_path_factory.mktemp("terraform") / "terraform"
    ignored = shutil.ignore_patterns(".terraform", "*.tfstate*")
    shutil.copytree(ROOT / "infra" / "terraform", root, ignore=ignored)
    settings = DeploySettings(
        terraform_root=root,
        s3_bucket_name=storage.uri.removeprefix("s3://"),
        account_id=ACCOUNT,
        image_tag=images.tag,
        variables=VARIABLES,
    )
    before = account.inventory()
    with timed("terraform: apply"):
        result = deploy(settings)
    counts = account.desired_counts()
    account.scale(1)
    with timed("terraform: second plan"):
        again = plan_deploy(settings)
    account.scale(0)
    changes = [address for step in again for address in step.addresses]
    return Deployment(settings, before, result, counts, changes)


@pytest.fixture(scope="session")
def place(
    deployment: Deployment,
    account: Account,
    engine: Engine,
    storage: S3Storage,
    tmp_path_factory: pytest.TempPathFactory,
) -> Place:
    """An operator's folder, a mailbox that hears of runs, and transcripts in the bucket."""
    outputs = deployment.result.outputs
    account.open_mailbox(outputs["stepfunctions"]["notification_topic_arn"])
    folder = tmp_path_factory.mktemp("project")
    environment = RunningStage(account.emulator.url).project(folder)
    with timed("ingest"):
        _ingest(storage, folder / "calls.csv")
    return Place(
        project=Project(folder, environment | {"FTM_POLL_SECONDS": "1"}),
        account=account,
        engine=engine,
        storage=storage,
        state_machine=outputs["stepfunctions"]["state_machine_arn"],
        queue=outputs["batch"]["job_queue_name"],
        quarter=QUARTER,
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
def finished_run(
    runs_without: dict[str, RunWithout],
    place: Place,
    account: Account,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """The quarter started again at once, all in order now, but that one job is reclaimed."""
    log = tmp_path_factory.mktemp("llm") / "log"
    with (
        LocalServer(slots=8, served_as=MODEL) as server,
        serving(
            log,
            upstream=server.base_url.removesuffix("/v1"),
            model=MODEL,
            port=LOAD_BALANCER_PORT,
        ) as llm,
        timed("execution to the end"),
    ):
        run = place.run(reclaim=RECLAIMED_BATCH)
    account.ship_llm_log(llm.log())
    return run


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
    return found


@pytest.fixture(scope="session")
def refused_calls(evaluation: Command, account: Account) -> list[str]:
    """Calls that IAM refused while a whole quarter ran with the modules' own roles."""
    return account.emulator.remove_permissions()


@pytest.fixture(scope="session")
def evaluation(finished_run: Run, place: Place) -> Command:
    with timed("evaluate"):
        return place.project.ftm("evaluate", "--quarter", str(QUARTER), "--json")


@pytest.fixture(scope="session")
def left_after_destroy(evaluation: Command, deployment: Deployment, account: Account) -> set[str]:
    with timed("terraform: destroy"):
        destroy(deployment.settings)
    return account.inventory() - deployment.before


def _ingest(storage: S3Storage, path: Path) -> None:
    """The first firms of the sample corpus, a chunk for each batch."""
    with sample_corpus(QUARTER).open(encoding="utf-8", newline="") as source:
        reader = csv.DictReader(source)
        rows, fields = list(reader), reader.fieldnames or []
    chosen = sorted({row["companyid"] for row in rows})[:FIRMS]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(row for row in rows if row["companyid"] in chosen)
    options = IngestOptions(firms_per_chunk=FIRMS_PER_BATCH, strict=True)
    ingest(path, QUARTER, storage, options)
