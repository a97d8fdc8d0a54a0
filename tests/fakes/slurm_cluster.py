"""A real one-machine Slurm for tests: nodes that can die, and jobs whose requeue need not wait."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parents[2]
SETTINGS = """\
[slurm]
cpus = 1
memory = "1500M"
time = "{time}"
partition = "{partition}"
"""
SERVED = """\
gpu_partition = "main"
gpu_options = []
gpu_cpus = 1
gpu_memory = "1500M"
vllm_command = "{command}"
"""
_POLL_SECONDS = 0.5


class SlurmCluster:
    """Two nodes, n1 and n2, with one CPU each; partitions main and spot, which main preempts."""

    def __init__(self) -> None:
        self.environment: dict[str, str] = {}

    def start(self) -> bool:
        """Start each daemon that is not running; whether there is a Slurm here."""
        started = subprocess.run(
            [REPOSITORY / "scripts" / "slurm-up"],
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if started.returncode:
            return False
        conf = started.stdout.strip().removeprefix("export SLURM_CONF=")
        self.environment = {"SLURM_CONF": conf, "PYTHONPATH": str(REPOSITORY)}
        return True

    def configure(
        self, folder: Path, *, partition: str = "main", time: str = "01:00:00", vllm: str = ""
    ) -> None:
        """Write the [slurm] table for runs that are started in ``folder``.

        ``vllm`` is the command of an LLM server that a job of its own serves, without a GPU.
        """
        text = SETTINGS.format(partition=partition, time=time)
        if vllm:
            text += SERVED.format(command=vllm)
        (folder / "ftm.toml").write_text(text, encoding="utf-8")

    def call(self, *command: str) -> str:
        """Output of a command of Slurm."""
        environment = {**os.environ, **self.environment}
        ended = subprocess.run(
            command, check=True, capture_output=True, text=True, env=environment, timeout=60
        )
        return ended.stdout

    def jobs(self) -> list[tuple[str, str, str, str]]:
        """ID, name, state and node of each job that has not ended."""
        listed = self.call("squeue", "--noheader", "--array", "--format", "%i|%j|%T|%N")
        return [tuple(line.split("|")) for line in listed.splitlines()]  # type: ignore[misc]

    def mapping(self) -> list[tuple[str, str]]:
        """ID and node of each map task at work."""
        found = [(job, node) for job, name, state, node in self.jobs() if state == "RUNNING"
                 and name.endswith("-map")]  # fmt: skip
        return found

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
        """Return once ``condition`` holds; queued jobs that wait for their begin time need not."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what} never came: {self.jobs()}"
            self.begin_now()
            time.sleep(_POLL_SECONDS)

    def begin_now(self) -> None:
        """Let requeued jobs begin: Slurm delays them by two minutes."""
        listed = self.call("squeue", "--noheader", "--array", "--states=PENDING", "-o", "%i|%r")
        for line in listed.splitlines():
            job, _, reason = line.partition("|")
            if reason == "BeginTime":
                # It may have begun just now.
                subprocess.run(
                    ["scontrol", "update", f"JobId={job}", "StartTime=now"],
                    check=False,
                    capture_output=True,
                    env={**os.environ, **self.environment},
                )

    def kill_node(self, node: str) -> None:
        """End a node as a power cut does: its daemon and all processes of its jobs."""
        home = Path(self.environment["SLURM_CONF"]).parent
        daemon = psutil.Process(int((home / f"{node}.pid").read_text()))
        killed = daemon.children(recursive=True)
        # Job steps belong to a daemon of their own, which the node's daemon left to init.
        for process in psutil.process_iter(["cmdline", "name"]):
            if process.info["name"] == "slurmstepd" and _is_of(process, node):
                killed += [process, *process.children(recursive=True)]
        daemon.kill()
        for process in killed:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue

    def is_down(self, node: str) -> bool:
        """Whether the controller has noticed that a node is gone."""
        return (
            self.call("sinfo", "--noheader", "-n", node, "-o", "%t").split()[0].startswith("down")
        )

    def clear(self) -> None:
        """Cancel every job."""
        ids = [job for job, *_ in self.jobs()]
        if ids:
            self.call("scancel", *ids)
            self.wait_for(lambda: not self.jobs(), "an empty queue")


def _is_of(step: psutil.Process, node: str) -> bool:
    """Whether a step's script says that it runs on ``node``."""
    for child in step.children(recursive=True):
        try:
            if child.environ().get("SLURMD_NODENAME") == node:
                return True
        except psutil.Error:
            continue
    return False
