"""What goes into the images, and what never may."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ftm_cli.operations.images import KINDS, Build, content_tag

ROOT = Path(__file__).parents[3]
CONTAINERS = ROOT / "infra" / "containers"


def tracked_files() -> list[str]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
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
    "path", ["ftm_core/worker.py", "requirements.lock", "infra/containers/requirements.txt"]
)
def test_an_image_gets_the_code_and_its_locked_dependencies(path: str) -> None:
    assert (ROOT / path).exists()
    assert in_build_context(path)


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


def test_both_images_are_one_definition_but_for_their_command() -> None:
    texts = {kind: (CONTAINERS / kind / "Dockerfile").read_text("utf-8") for kind in KINDS}
    instructions = {
        kind: [line for line in text.splitlines() if not line.startswith("#")]
        for kind, text in texts.items()
    }
    assert instructions["map"][:-1] == instructions["reduce"][:-1]
    assert instructions["map"][-1] == 'CMD ["map"]'
    assert instructions["reduce"][-1] == 'CMD ["reduce"]'


@pytest.mark.parametrize("kind", KINDS)
def test_images_run_as_nobody_and_fetch_nothing(kind: str) -> None:
    text = (CONTAINERS / kind / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["10001:10001"]
    assert "HF_HUB_OFFLINE=1" in text
    assert "--constraint requirements.lock" in text
    assert not re.search(r"^ADD ", text, re.MULTILINE)


def test_every_dependency_of_the_images_is_locked() -> None:
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(), re.M))
    lines = (CONTAINERS / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = {line for line in lines if line and not line.startswith("#")}
    assert wanted <= locked


def test_a_tag_follows_the_content_of_the_image(tmp_path: Path) -> None:
    for path in ("requirements.lock", "infra/containers/map/Dockerfile", "ftm_core/worker.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("one", encoding="utf-8")
    (tmp_path / "README.md").write_text("one", encoding="utf-8")
    first = content_tag(Build(tmp_path))
    (tmp_path / "README.md").write_text("two", encoding="utf-8")
    (tmp_path / "ftm_core" / "__pycache__").mkdir()
    (tmp_path / "ftm_core" / "__pycache__" / "worker.pyc").write_text("x", encoding="utf-8")
    assert content_tag(Build(tmp_path)) == first
    assert content_tag(Build(tmp_path, {"DEVICE": "cuda"})) != first
    (tmp_path / "ftm_core" / "worker.py").write_text("two", encoding="utf-8")
    assert content_tag(Build(tmp_path)) != first
