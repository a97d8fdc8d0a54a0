"""A Docker engine for the end-to-end test: the machine's own, or one that is started for it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.fakes.needs import skip_or_fail

ROOT = Path(__file__).parents[2]
# What a base image says that brings wheels of its own.
_LINKS = "PIP_FIND_LINKS="
_DOCKER_UP = ROOT.parent / "shared" / "tools" / "docker-up"


def unavailable(what: str) -> NoReturn:
    """Skip with the reason; fail in CI, and where FTM_E2E_REQUIRED says that all is there."""
    if os.environ.get("FTM_E2E_REQUIRED"):
        pytest.fail(f"{what}, but FTM_E2E_REQUIRED is set")
    skip_or_fail(what)


@dataclass(frozen=True)
class JobContainer:
    """A running container of a Batch job."""

    container: Any
    image: str
    environment: dict[str, str]

    def reclaim(self) -> None:
        """What the loss of a Spot instance begins with: SIGTERM to the job."""
        self.container.kill(signal="SIGTERM")


class Engine:
    """The engine that DOCKER_HOST names."""

    def __init__(self) -> None:
        import docker

        self._client: Any = docker.from_env()

    def jobs(self, repository: str) -> Iterator[JobContainer]:
        """Running containers of images of one repository."""
        for container in self._client.containers.list(ignore_removed=True):
            attributes = container.attrs
            image = attributes["Config"]["Image"]
            if image.rpartition(":")[0] == repository:
                pairs = (pair.partition("=") for pair in attributes["Config"]["Env"] or ())
                yield JobContainer(container, image, {name: value for name, _, value in pairs})

    @property
    def build_arguments(self) -> dict[str, str]:
        """Arguments for a build here: local wheels of PyTorch where the base image brings some."""
        variables = self._client.images.get("python:3.11-slim").attrs["Config"]["Env"] or []
        folder = next((v.partition("=")[2] for v in variables if v.startswith(_LINKS)), "")
        return {"TORCH_CPU_INDEX_URL": f"file://{folder}"} if folder else {}

    def has(self, name: str) -> bool:
        """Whether an image of this name is on the engine."""
        return bool(self._client.images.list(name=name))

    def tag(self, image: str, as_name: str) -> None:
        """Give an image a second name."""
        repository, _, tag = as_name.rpartition(":")
        self._client.images.get(image).tag(repository, tag)

    def forget(self, name: str) -> None:
        """Take a name from an image; its layers stay while another has them."""
        self._client.images.remove(name, force=True)

    def pull(self, name: str) -> None:
        """Fetch an image from its registry."""
        repository, _, tag = name.rpartition(":")
        self._client.images.pull(repository, tag)

    def run(self, image: str, *command: str) -> str:
        """What a command in a fresh container prints."""
        output = self._client.containers.run(
            image, command[1:], entrypoint=command[0], network_mode="host", remove=True
        )
        return str(output.decode()).strip()

    def remove_jobs(self, *repositories: str) -> None:
        """End containers that a broken test left behind."""
        for repository in repositories:
            for job in self.jobs(repository):
                job.container.remove(force=True)


def start_engine(environment: pytest.MonkeyPatch) -> Engine:
    """The engine of this machine, or one started by the tool that lies beside the project."""
    # The legacy builder needs no bridge, which the started engine does not have.
    environment.setenv("DOCKER_BUILDKIT", "0")
    if not _answers() and _DOCKER_UP.exists() and os.geteuid() == 0:
        done = subprocess.run([_DOCKER_UP], stdout=subprocess.PIPE, text=True, check=False)
        for line in done.stdout.splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            environment.setenv(name, value)
    if not _answers():
        unavailable("no Docker engine answers")
    return Engine()


def _answers() -> bool:
    try:
        done = subprocess.run(["docker", "version"], capture_output=True, check=False, timeout=30)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
