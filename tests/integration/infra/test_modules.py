"""Terraform accepts the modules, their tests pass, and a scanner finds nothing unexplained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.integration.infra.conftest import (
    MODULES,
    ROOT,
    ModuleVerdict,
    ended,
    required_tool,
)


def test_modules_are_formatted(terraform: str) -> None:
    done = ended(terraform, "fmt", "-check", "-recursive", ROOT / "infra" / "terraform")
    assert done.returncode == 0, f"terraform fmt would change: {done.stdout}"


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_valid(verdicts: Mapping[str, ModuleVerdict], module: str) -> None:
    assert verdicts[module].validate["valid"], verdicts[module].validate["diagnostics"]


@pytest.mark.parametrize("module", MODULES)
def test_decisions_of_modules_hold(verdicts: Mapping[str, ModuleVerdict], module: str) -> None:
    verdict = verdicts[module]
    assert not verdict.problems
    assert verdict.outcomes, "no test ran"
    assert set(verdict.outcomes.values()) == {"pass"}, verdict.outcomes


def test_fault_24_a_loading_model_is_not_taken_for_dead(
    verdicts: Mapping[str, ModuleVerdict],
) -> None:
    assert verdicts["ecs"].outcomes["fault_24_a_loading_model_is_not_dead"] == "pass"


@pytest.mark.parametrize("module", MODULES)
def test_every_variable_and_output_says_what_it_is(module: str) -> None:
    for name in ("variables.tf", "outputs.tf"):
        text = (ROOT / "infra" / "terraform" / module / name).read_text(encoding="utf-8")
        blocks = text.split("\nvariable ")[1:] + text.split("\noutput ")[1:]
        for block in blocks:
            assert "description" in block, block.splitlines()[0]
            assert name == "outputs.tf" or "type " in block, block.splitlines()[0]


def test_versions_are_pinned_alike() -> None:
    texts = {
        (ROOT / "infra" / "terraform" / module / "versions.tf").read_text(encoding="utf-8")
        for module in MODULES
    }
    assert len(texts) == 1
    assert 'version = "5.100.0"' in texts.pop()
    for module in MODULES:
        lock = (ROOT / "infra" / "terraform" / module / ".terraform.lock.hcl").read_text()
        assert 'version     = "5.100.0"' in lock


def test_scanner_finds_nothing_unexplained(tmp_path: Path) -> None:
    checkov = required_tool("checkov", ROOT / ".tools" / "checkov" / "bin" / "checkov")
    done = ended(
        checkov,
        *("--directory", ROOT / "infra" / "terraform"),
        *("--framework", "terraform", "--skip-download", "--quiet", "--compact"),
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stdout
