"""ftm as its users have it: the built wheel in an environment of its own, in an empty folder.

The environment takes the other packages from the one that runs the tests; only ftm is installed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ftm_core import __version__
from ftm_core.contracts.extras import EXTRAS
from tests.fakes.aws_stage import BUCKET, RunningStage, running_stage
from tests.fakes.chaos_llm import serving
from tests.integration.infra.conftest import required_tool, terraform_environment

ROOT = Path(__file__).parents[3]
COMMIT = "0123456789ab"
QUARTER = "2023Q1"
# Makes the packages of HIDE look as if they were not installed.
HIDING = """
import importlib.machinery as machinery, os
hidden = set(os.environ.get("HIDE", "").split())
plain = machinery.PathFinder.find_spec
def find_spec(cls, name, path=None, target=None):
    return None if name.partition(".")[0] in hidden else plain(name, path, target)
machinery.PathFinder.find_spec = classmethod(find_spec)
"""
ALL_EXTRAS = " ".join(module for modules in EXTRAS.values() for module in modules)
PARTS = ("ftm_core", "ftm_cli", "infra")


@dataclass(frozen=True)
class Installed:
    """The environment with ftm, and an empty folder to work in."""

    python: Path
    folder: Path

    def ftm(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run the installed script as a user does."""
        environment = os.environ | more
        return subprocess.run(
            [self.python.with_name("ftm"), *arguments],
            cwd=self.folder,
            env={k: v for k, v in environment.items() if k not in ("PYTHONPATH", "FTM_COMMIT")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


def done(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution as a release is."""
    source = tmp_path_factory.mktemp("source")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in names.splitlines():
        if (name.startswith(PARTS) or "/" not in name) and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", str(source)],
        env=os.environ | {"FTM_COMMIT": COMMIT},
        check=True,
        capture_output=True,
    )
    return next((source / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("user")
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    packages = next(venv.glob("lib/python*/site-packages"))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", "--ignore-installed", str(wheel)], check=True)
    # Only the folder: what makes an editable install of ftm found there is not read.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (packages / "sitecustomize.py").write_text(HIDING)
    work = folder / "work"
    work.mkdir()
    return Installed(python, work)


@pytest.fixture(scope="module")
def finished(installed: Installed) -> Installed:
    """The same with a finished quarter of a few firms, asked of a local LLM server."""
    done(installed.ftm("ingest", "sample", "--quarter", QUARTER))
    with serving(installed.folder.parent / "llm.log") as llm:
        done(installed.ftm("run", "--quarter", QUARTER, "--max-firms", "4", **llm.environment))
    return installed


def test_wheel_holds_what_a_deployment_needs(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "ftm_core/commit.txt",
        "ftm_core/py.typed",
        f"ftm-{__version__}.dist-info/licenses/LICENSE",
        "ftm_cli/deployment/pyproject.toml",
        "ftm_cli/deployment/requirements.lock",
        "ftm_cli/deployment/infra/containers/Dockerfile",
        "ftm_cli/deployment/infra/terraform/batch/.terraform.lock.hcl",
        "ftm_cli/deployment/infra/terraform/ecs/main.tf",
        "ftm_cli/deployment/infra/terraform/stepfunctions/definitions/"
        "quarter_processor.asl.json.tftpl",
    ):
        assert name in names
    assert not [name for name in names if "tfstate" in name or name.startswith("tests/")]


def test_installed_ftm_names_its_version_and_commit(installed: Installed) -> None:
    assert done(installed.ftm("--version")) == f"ftm {__version__} (commit {COMMIT})\n"
    where = "import ftm_core, ftm_cli; print(ftm_core.__file__, ftm_cli.__file__)"
    found = subprocess.run(
        [installed.python, "-c", where],
        cwd=installed.folder,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.count(str(installed.python.parents[1])) == 2


def test_installed_ftm_runs_a_quarter_and_reports(finished: Installed) -> None:
    done(finished.ftm("report", "--quarter", QUARTER))
    assert list(finished.folder.rglob("*.html"))
    assert "theme" in done(finished.ftm("browse", "--quarter", QUARTER)).lower()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_installed_ftm_completes_in_a_shell(shell: str, installed: Installed) -> None:
    script = done(installed.ftm("--show-completion", shell))
    assert "_FTM_COMPLETE" in script


def test_completion_offers_the_commands(installed: Installed) -> None:
    words = done(
        installed.ftm(_FTM_COMPLETE="complete_bash", COMP_WORDS="ftm re", COMP_CWORD="1")
    ).split()
    assert words == ["report"]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStage]:
    with running_stage(tmp_path_factory.mktemp("stage") / "log") as running:
        yield running


def test_installed_ftm_plans_a_deployment(
    installed: Installed, stage: RunningStage, tmp_path: Path
) -> None:
    required_tool("terraform")
    operator = replace(installed, folder=tmp_path)
    stage.reset()
    stage.fill_bucket()
    mirror = terraform_environment().get("TF_CLI_CONFIG_FILE", "")
    environment: dict[str, Any] = stage.project(tmp_path)
    if mirror:
        environment["TF_CLI_CONFIG_FILE"] = mirror
    planned = operator.ftm("deploy", "--plan", "--bucket", BUCKET, "--json", **environment)
    steps = json.loads(done(planned))["steps"]
    assert [step["module"] for step in steps] == ["batch", "ecs", "batch", "stepfunctions"]
    assert steps[0]["add"] > 10
    assert steps[1]["waits_for"] == "batch"
    # Nothing is written beside the code; what was planned is in the operator's folder.
    assert (tmp_path / ".ftm/terraform/batch/main.tf").is_file()
    deployment = next(installed.python.parents[1].rglob("ftm_cli/deployment"))
    assert not list(deployment.rglob(".terraform"))


def test_installed_ftm_names_the_image_to_build(installed: Installed) -> None:
    plan = json.loads(done(installed.ftm("build", "--dry-run", "--json")))
    assert plan["map_image_uri"] == plan["reduce_image_uri"] == f"ftm-worker:{plan['tag']}"


@pytest.mark.parametrize(
    "command",
    [
        ("browse", "--quarter", QUARTER),
        ("export", "--quarter", QUARTER),
        ("failures", "--quarter", QUARTER),
        ("runs",),
        ("config",),
        ("ingest", "sample", "--quarter", "2023Q1", "--data", "elsewhere"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_base_install_is_enough_to_read_results(
    command: tuple[str, ...], finished: Installed
) -> None:
    done(finished.ftm(*command, HIDE=ALL_EXTRAS))


def test_base_install_reads_results_in_python(finished: Installed) -> None:
    code = f"import ftm_core; print(len(ftm_core.open_quarter('data', '{QUARTER}').topics()))"
    ended = subprocess.run(
        [finished.python, "-c", code],
        cwd=finished.folder,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"HIDE": ALL_EXTRAS},
        capture_output=True,
        text=True,
        check=False,
    )
    assert int(done(ended)) > 4


@pytest.mark.parametrize(
    ("extra", "command"),
    [
        ("models", ("run", "--quarter", QUARTER, "--restart", "--data", "elsewhere")),
        ("models", ("quality", "--quarter", QUARTER)),
        ("report", ("report", "--quarter", QUARTER)),
        ("aws", ("browse", "--quarter", QUARTER, "--data", "s3://some-bucket")),
        ("aws", ("pin-profile", "research")),
        ("wrds", ("ingest", "wrds", "--quarter", QUARTER, "--user", "u")),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_command_without_its_extra_names_it(
    extra: str, command: tuple[str, ...], finished: Installed
) -> None:
    ended = finished.ftm(*command, HIDE=" ".join(EXTRAS[extra]), WRDS_PASSWORD="x")
    assert ended.returncode == 2, ended.stderr
    assert f"pip install 'ftm[{extra}]'" in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr


def test_local_llm_without_its_extra_names_it(finished: Installed) -> None:
    ended = finished.ftm("run", "-q", QUARTER, "--restart", HIDE=" ".join(EXTRAS["local"]))
    assert ended.returncode == 2
    assert "pip install 'ftm[local]'" in " ".join(ended.stderr.split())
