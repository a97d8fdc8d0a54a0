"""What goes into the images, and what never may."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ftm_cli.operations.deployment_files import image_files
from ftm_cli.operations.images import PLATFORM, Build, content_tag
from tests.fakes.needs import skip_or_fail

ROOT = Path(__file__).parents[3]
CONTAINERS = ROOT / "infra" / "containers"


def tracked_files() -> list[str]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        skip_or_fail("not a git checkout")
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def in_build_context(path: str) -> bool:
    """Whether Docker would send a file to the engine, by the rules of .dockerignore."""
    kept = True
    for rule in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if not rule or rule.startswith("#"):
            continue
        pattern = rule.removeprefix("!")
        names = [path, *(str(parent) for parent in Path(path).parents)]
        if pattern.startswith("**/"):
            matches = any(fnmatch.fnmatch(part, pattern[3:]) for part in Path(path).parts)
        else:
            matches = any(fnmatch.fnmatch(name, pattern) for name in names)
        if matches:
            kept = rule.startswith("!")
    return kept


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".git/config",
        ".venv/bin/python",
        "ftm.toml",
        "data/progress/2023Q1/run.json",
        "infra/terraform/batch/terraform.tfstate",
        "infra/terraform/batch/secret.auto.tfvars",
        "ftm_cli/app.py",
        "tests/conftest.py",
        "ftm_core/__pycache__/worker.cpython-311.pyc",
    ],
)
def test_fault_25_secrets_state_and_data_never_reach_an_image(path: str) -> None:
    assert not in_build_context(path)


@pytest.mark.parametrize(
    "path",
    ["ftm_core/worker.py", "requirements.lock", "pyproject.toml", "infra/containers/image.py"],
)
def test_an_image_gets_the_code_and_its_locked_dependencies(path: str) -> None:
    assert image_files()[path].read_bytes() == (ROOT / path).read_bytes()
    assert in_build_context(path)


def test_image_files_hold_nothing_but_ours() -> None:
    tracked = set(tracked_files())
    files = {name for name in image_files() if not name.startswith("ftm_core/")}
    assert files == {
        "pyproject.toml",
        "requirements.lock",
        "infra/containers/Dockerfile",
        "infra/containers/image.py",
    }
    assert not any("__pycache__" in name or name.endswith(".pyc") for name in image_files())
    assert {name for name in tracked if name.startswith("ftm_core/")} <= set(image_files())


def test_fault_25_no_state_or_secret_is_committed() -> None:
    forbidden = ("*.tfstate*", "*.tfvars", "*.tfplan", ".env*", "*.pem", "ftm.toml", "*/.env*")
    found = [
        path
        for path in tracked_files()
        if any(fnmatch.fnmatch(path, pattern) for pattern in forbidden)
    ]
    assert not found


def test_fault_25_no_key_or_foreign_account_is_written_down() -> None:
    key = re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b")
    account = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(\d{12}):|\b(\d{12})\.dkr\.ecr")
    for path in tracked_files():
        if not path.startswith(("infra/", "ftm_cli/", "ftm_core/", "docs/", "scripts/")):
            continue
        text = (ROOT / path).read_text(encoding="utf-8", errors="ignore")
        assert not key.search(text), path
        for match in account.finditer(text):
            assert set(match.groups()) - {None} == {"123456789012"}, f"{path}: {match.group(0)}"


def dockerfile() -> str:
    return (CONTAINERS / "Dockerfile").read_text(encoding="utf-8")


def test_image_runs_as_nobody_and_fetches_nothing() -> None:
    assert re.findall(r"^USER (.*)$", dockerfile(), re.MULTILINE) == ["10001:10001"]
    assert "HF_HUB_OFFLINE=1" in dockerfile()
    assert not re.search(r"^ADD ", dockerfile(), re.MULTILINE)


def test_image_installs_the_worker_extra_as_locked() -> None:
    """What is installed comes from the project's metadata, never from a second list (D1)."""
    printed = subprocess.run(
        [sys.executable, CONTAINERS / "image.py", "requirements", ROOT / "pyproject.toml"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert printed == project["optional-dependencies"]["worker"]
    installs = re.findall(r"pip install (.*?)[ \\]*$", dockerfile(), re.MULTILINE)
    assert installs[1:] == ["--constraint requirements.lock --requirement worker.txt"]
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(), re.M))
    assert {re.split(r"[\[<>=]", line)[0] for line in printed} <= locked


def test_cpu_image_takes_the_cpu_build_of_torch() -> None:
    """Fault: the default package index serves the CUDA build, so the image never built (A1)."""
    default = "ARG TORCH_CPU_INDEX_URL=https://download.pytorch.org/whl/cpu"
    assert default in dockerfile().splitlines()
    assert "ARG DEVICE=cpu" in dockerfile().splitlines()
    assert re.search(r"pip install --no-deps --index-url .*torch==", dockerfile())


@pytest.mark.parametrize(
    ("version", "cuda", "device", "said"),
    [
        ("2.13.0+cpu", None, "cpu", ""),
        ("2.13.0+cu130", "13.0", "cuda", ""),
        ("2.13.0+cu130", "13.0", "cpu", "TORCH_CPU_INDEX_URL"),
        ("2.13.0+cpu", None, "cuda", "TORCH_CUDA_INDEX_URL"),
        ("2.13.0+cpu", None, "tpu", "DEVICE=tpu is not known"),
    ],
)
def test_check_of_the_device_says_why_it_fails(
    version: str, cuda: str | None, device: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "torch.py").write_text(
        f"import types\n__version__ = {version!r}\nversion = types.SimpleNamespace(cuda={cuda!r})\n"
    )
    done = run_step(tmp_path, "check-device", device)
    assert done.returncode == (1 if said else 0), done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("worker", "requirement", "said"),
    [
        ("", "numpy>=2", ""),
        ("import snowballs", "numpy>=2", "No module named 'snowballs'"),
        ("import typer", "numpy>=2", "The jobs import typer"),
        ("", "snow-balls>=1", "The package snow-balls of the extra 'worker' is not installed"),
    ],
)
def test_check_of_imports_says_why_it_fails(
    worker: str, requirement: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "ftm_core").mkdir()
    (tmp_path / "ftm_core" / "worker.py").write_text(worker)
    (tmp_path / "ftm_core" / "pipeline.py").touch()
    (tmp_path / "worker.txt").write_text(requirement + "\n")
    done = run_step(tmp_path, "check-imports", str(tmp_path / "worker.txt"))
    assert done.returncode == (1 if said else 0), done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def run_step(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, CONTAINERS / "image.py", *arguments],
        env=os.environ | {"PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_tag_follows_content_platform_and_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "pyproject.toml"
    code = tmp_path / "worker.py"
    files = {"pyproject.toml": project, "ftm_core/worker.py": code}

    def write(worker: str, *, line_length: int = 100) -> None:
        project.write_text(
            f"[project.optional-dependencies]\nworker = {worker}\n"
            f"[tool.ruff]\nline-length = {line_length}\n"
        )

    write('["numpy"]')
    code.write_text("one")
    first = content_tag(Build(), files)
    write('["numpy"]', line_length=90)
    assert content_tag(Build(network="host"), files) == first
    assert content_tag(Build({"DEVICE": "cuda"}), files) != first
    write('["numpy>=2"]')
    assert content_tag(Build(), files) != first
    write('["numpy"]')
    code.write_text("two")
    assert content_tag(Build(), files) != first
    code.write_text("one")
    monkeypatch.setattr("ftm_cli.operations.images.PLATFORM", "linux/arm64")
    assert content_tag(Build(), files) != first
    assert PLATFORM == "linux/amd64"
