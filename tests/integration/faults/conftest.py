"""A finished quarter, and `ftm` as a process of its own with real pipes and terminals."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.chaos_runs import clean_environment
from tests.fakes.small_quarter import finished_quarter, small_quarter

__all__ = ["finished_quarter", "small_quarter"]

Ftm = Callable[..., "subprocess.CompletedProcess[str]"]
ROOT = Path(__file__).resolve().parents[3]


def command(*arguments: str) -> list[str]:
    """The command line of `ftm` in this environment."""
    return [sys.executable, "-m", "ftm_cli", *arguments]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This machine's environment without settings of ftm, with the code under test first."""
    kept = clean_environment(more or {})
    return {"PYTHONPATH": str(ROOT), **kept}


@pytest.fixture
def ftm(tmp_path: Path) -> Ftm:
    """Runs `ftm` in an empty folder; keywords go to subprocess.run."""
    folder = tmp_path / "work"
    folder.mkdir()

    def run(
        *arguments: str,
        variables: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        **options: Any,
    ) -> subprocess.CompletedProcess[str]:
        given = {"cwd": folder, "text": True, "timeout": 300, "stdin": subprocess.DEVNULL} | options
        if "stdout" not in given:
            given["stdout"] = subprocess.PIPE
        if "stderr" not in given:
            given["stderr"] = subprocess.PIPE
        return subprocess.run(
            [*prefix, *command(*arguments)], env=environment(variables), check=False, **given
        )

    return run
