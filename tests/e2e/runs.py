"""A run on the emulated account: started by `ftm run` as an operator does, watched, collected."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftm_core.contracts import keys
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.checkpoints import read_checkpoint
from ftm_core.storage.s3 import S3Storage
from tests.e2e.account import REGISTRY, Account, Job, Message
from tests.e2e.engine import Engine

_LIMIT_SECONDS = 1500


@dataclass(frozen=True)
class Command:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Project:
    """A folder in which an operator works: ftm.toml with the pin, and credentials."""

    folder: Path
    environment: dict[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `ftm`; what it prints goes to files, so that nobody need read along."""
        command = [sys.executable, "-c", "from ftm_cli.app import main; main()", *arguments]
        with (self.folder / "out").open("w") as out, (self.folder / "err").open("w") as err:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                text=True,
            )

    def ended(self, process: subprocess.Popen[str]) -> Command:
        """Wait for `ftm` to end."""
        code = process.wait(timeout=_LIMIT_SECONDS)
        out, err = (self.folder / "out").read_text(), (self.folder / "err").read_text()
        return Command(code, out, err)

    def ftm(self, *arguments: str) -> Command:
        """Run `ftm` to its end."""
        return self.ended(self.start(*arguments))

    def succeed(self, *arguments: str) -> dict[str, Any]:
        """The JSON document of a command that must not fail."""
        ended = self.ftm(*arguments)
        assert ended.code == 0, f"ftm {' '.join(arguments)}: {ended.stderr}"
        found: dict[str, Any] = json.loads(ended.stdout)
        return found


@dataclass(frozen=True)
class Run:
    """A run from start to end: what the operator, Step Functions, Batch and the topic said."""

    command: Command
    execution: dict[str, Any]
    jobs: list[Job]
    messages: list[Message]
    # Keys under processed/ and sentiment-ready/ when it had ended.
    output: list[str]
    # Batches that were seen at work at one and the same moment, the most of them.
    together: set[str]
    # Parts that the reclaimed job had saved, with the times of their writing.
    saved_before_reclaim: dict[str, Any]

    def exits(self, name: str) -> list[int | None]:
        """Exit codes of the jobs of one name, in the order in which they began."""
        return [job.exit_code for job in self.jobs if job.name == name]


@dataclass
class Place:
    """Where runs happen: the project, the account with its state machine and queue, the engine."""

    project: Project
    account: Account
    engine: Engine
    storage: S3Storage
    state_machine: str
    queue: str
    quarter: Quarter
    say: Callable[[str], None]
    limit_seconds: float = field(default=_LIMIT_SECONDS)

    def run(self, *, reclaim: str | None = None, until: Quarter | None = None) -> Run:
        """Run the quarter to its end, with all others to ``until``, as one command.

        ``reclaim`` is a batch whose job loses its Spot instance.
        """
        together: set[str] = set()
        saved: dict[str, Any] = {}
        shown: set[str] = set()
        deadline = time.monotonic() + self.limit_seconds
        what = ["--quarters", f"{self.quarter}..{until}"] if until else ["-q", str(self.quarter)]
        process = self.project.start("run", *what, "--scale", "none", "--yes", "--json")
        try:
            while process.poll() is None and time.monotonic() < deadline:
                jobs = self.engine.jobs(f"{REGISTRY}/ftm-worker")
                at_work = {job.environment.get("BATCH_ID", "plan"): job for job in jobs}
                batches = {name for name in at_work if name.startswith(str(self.quarter))}
                together = max(together, batches, key=len)
                if set(at_work) != shown:
                    shown = set(at_work)
                    self.say(f"jobs at work: {', '.join(sorted(shown)) or 'none'}")
                if reclaim in at_work and not saved:
                    # What is lost is only what was not saved: so wait until something is.
                    saved = self.saved_parts(reclaim)
                    if saved:
                        at_work[reclaim].reclaim()
                time.sleep(0.2)
        finally:
            process.kill()
        command = self.project.ended(process)
        # For whoever looks for the cause of a failed test.
        (self.project.folder / "jobs.log").write_text(self.account.job_logs(), encoding="utf-8")
        execution = self.account.latest_execution(self.state_machine, str(self.quarter))
        return Run(
            command=command,
            execution=execution,
            jobs=self.account.jobs_of(execution["name"], self.queue),
            messages=[
                message
                for message in self.account.empty_mailbox()
                if str(self.quarter) in message.subject
            ],
            output=[*self.storage.list("processed/"), *self.storage.list("sentiment-ready/")],
            together=together,
            saved_before_reclaim=saved,
        )

    def saved_parts(self, batch_id: str) -> dict[str, Any]:
        """Keys of the parts that a batch's checkpoint names, and when they were written."""
        checkpoint = read_checkpoint(self.storage, self.quarter, batch_id)
        parts = checkpoint.parts if checkpoint else ()
        named = [keys.firm_topics_part(self.quarter, batch_id, part.number) for part in parts]
        return {key: self.account.modified(key) for key in named}
