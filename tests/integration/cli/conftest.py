"""An emulated account for the whole session, emptied for each test, and `ftm` as people run it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.aws_stage import RunningStage, running_stage
from tests.fakes.json_shapes import check_shape

# A terminal's loss is heard also where the tests run under nohup.
_START = """
import signal
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from ftm_cli.app import main
main()
"""


@dataclass
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Its standard output, which must be one JSON document."""
        return json.loads(self.stdout)


@dataclass
class Project:
    """A folder with ftm.toml, and the account its commands reach."""

    folder: Path
    stage: RunningStage
    environment: dict[str, str]

    def ftm(self, *arguments: str, given: str = "", **more: str) -> Ended:
        """Run a command to its end; its JSON must fit the documented schema."""
        process = self.start(*arguments, **more)
        stdout, stderr = process.communicate(given, timeout=180)
        if "--json" in arguments and stdout:
            check_shape(arguments, stdout)
        return Ended(process.returncode, stdout, stderr)

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """Start a command in a session of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", _START, *arguments],
            cwd=self.folder,
            env=self.environment | more,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


@pytest.fixture(scope="session")
def served_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStage]:
    with running_stage(tmp_path_factory.mktemp("stage") / "stage.log") as stage:
        yield stage


@pytest.fixture
def stage(served_stage: RunningStage) -> Iterator[RunningStage]:
    served_stage.reset()
    yield served_stage
    # However a test ended, its faults must not be met by what is set up before the next reset.
    served_stage.reset()


@pytest.fixture
def project(stage: RunningStage, tmp_path: Path) -> Project:
    return Project(tmp_path, stage, stage.project(tmp_path))


@pytest.fixture
def unpinned(stage: RunningStage, tmp_path: Path) -> Project:
    return Project(tmp_path, stage, stage.project(tmp_path, pinned=False))
