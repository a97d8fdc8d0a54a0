"""The commands of Slurm that a run needs, each with its errors explained."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from ftm_core.contracts.errors import FtmError, InputError, RetryableError

_COMMAND_SECONDS = 60
_RUNNING = ("RUNNING", "COMPLETING", "SUSPENDED", "CONFIGURING")


class SlurmError(FtmError):
    """A command of Slurm failed."""


class SlurmBusyError(RetryableError, SlurmError):
    """The controller did not answer."""


@dataclass(frozen=True)
class Job:
    """A job that Slurm still has in its queue; of an array, one task or the tasks that wait."""

    job_id: str
    run: str
    step: str
    state: str
    reason: str
    node: str

    @property
    def is_running(self) -> bool:
        """Whether it has a node."""
        return self.state in _RUNNING

    @property
    def is_step(self) -> bool:
        """Whether it is a step of one run; the LLM server's job may serve many runs."""
        return self.step != "vllm"


class Cluster:
    """The cluster whose commands are on the PATH."""

    def version(self) -> str:
        """Version of Slurm; raises InputError without its commands."""
        for name in ("sbatch", "squeue", "scancel", "scontrol", "sinfo"):
            if shutil.which(name) is None:
                raise InputError(
                    f"The command {name}",
                    "is not on the PATH",
                    "Log in to a machine of the cluster from which jobs are submitted.",
                )
        return self.call("sbatch", "--version").strip()

    def partition(self, name: str) -> str:
        """Nodes of a partition (empty: the default one); InputError when it does not exist."""
        listed = self.call("sinfo", "--noheader", "--format", "%R|%P|%a|%D|%T")
        rows = [line.split("|") for line in listed.splitlines() if line.strip()]
        chosen = [row for row in rows if (row[0] == name if name else row[1].endswith("*"))]
        if not chosen:
            known = ", ".join(sorted({row[0] for row in rows})) or "none"
            raise InputError(
                f"The partition {name or 'named as the default'}",
                "does not exist on this cluster",
                f"Set `partition` in [slurm] of ftm.toml to one of {known}.",
            )
        nodes = ", ".join(f"{row[3]} {row[4]}" for row in chosen)
        return f"{chosen[0][0]}, {chosen[0][2]}: {nodes}"

    def jobs(self, runs: Sequence[str] | None = None) -> list[Job]:
        """Jobs of ftm in the queue, of all users; of these ``runs`` alone when given."""
        listed = self.call(
            "squeue", "--noheader", "--array", "--states=all", "--format", "%i|%j|%T|%r|%N"
        )
        found = []
        for line in listed.splitlines():
            job_id, name, state, reason, node = (*line.split("|"), "", "", "", "")[:5]
            match = re.fullmatch(r"ftm-(?P<run>.+)-(?P<step>\w+)", name)
            if match is None or state in _ENDED:
                continue
            if runs is None or match["run"] in runs:
                found.append(Job(job_id, match["run"], match["step"], state, reason, node))
        return found

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Cancel jobs; each saves what is finished."""
        if jobs:
            self.call("scancel", *(job.job_id for job in jobs))

    def submit(self, script: str) -> str:
        """Run the submitting script; its output names the jobs."""
        return self.call("bash", script)

    def call(self, *command: str) -> str:
        """Standard output of a command.

        Raises SlurmBusyError when the controller is out of reach, SlurmError for any other failure.
        """
        name = f"The command `{command[0]}`"
        try:
            ended = subprocess.run(
                command,
                check=False,
                capture_output=True,
                text=True,
                timeout=_COMMAND_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise SlurmBusyError(
                name, f"did not answer in {_COMMAND_SECONDS} s", "Run the command again."
            ) from error
        except OSError as error:
            raise InputError(
                name,
                f"cannot be started ({error.strerror})",
                "Run ftm on a machine of the Slurm cluster.",
            ) from error
        if ended.returncode == 0:
            return ended.stdout
        message = " ".join(ended.stderr.split()) or f"exit code {ended.returncode}"
        if "Unable to contact" in message or "Socket timed out" in message:
            raise SlurmBusyError(name, f"failed: {message}", "Run the command again.")
        hint = "Run `ftm doctor --target slurm`, which shows the cause."
        raise SlurmError(name, f"failed: {message}", hint)


_ENDED = (
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY",
    "TIMEOUT",
)  # fmt: skip
