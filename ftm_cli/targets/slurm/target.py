"""Runs on a Slurm cluster: submit, follow, diagnose, read logs, cancel; no daemon."""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ftm_cli.operations.aws.waiting import StopSignal, Waits, stopped_by_signals
from ftm_cli.operations.findings import recorded_failures
from ftm_cli.operations.following import Monitor
from ftm_cli.operations.preflight import Probe, check_local, run_probes
from ftm_cli.operations.smoke import SmokeTest, require_all
from ftm_cli.results.runs import Check, Finding, FirmCounts, RunRecord, RunResult
from ftm_cli.targets.base import LogLine, QuarterOutcome, QuarterPlan, RunOptions
from ftm_cli.targets.data import open_data
from ftm_cli.targets.history import recorded_runs
from ftm_cli.targets.local import failed_outcome, quarter_of
from ftm_cli.targets.names import TargetName
from ftm_cli.targets.slurm.cluster import Cluster
from ftm_cli.targets.slurm.config import read_config
from ftm_cli.targets.slurm.diagnosis import (
    failed_step_findings,
    failure_of_run,
    queue_findings,
)
from ftm_cli.targets.slurm.monitoring import SlurmMonitor, follow_run
from ftm_cli.targets.slurm.submissions import Submissions
from ftm_cli.targets.slurm.submitting import Submitter, native_plan
from ftm_core.contracts.errors import FtmError, InputError
from ftm_core.contracts.events import Listener, Note, ignore
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.states import RunState
from ftm_core.storage import Storage

CRITERIA = ("The run ends finished",)
STEPS = ("preflight", "run", "evaluate", "failures")
_LOG_STEP_SECONDS = 1.0


class SlurmTarget:
    """The cluster that this machine submits to."""

    name = TargetName.SLURM
    run_flags: frozenset[str] = frozenset(
        {
            "--llm-base-url", "--llm-model-name", "--local-model", "--max-firms", "--batch-size",
            "--detach", "--save-scripts",
        }
    )  # fmt: skip
    costs_money = False
    smoke_steps: tuple[str, ...] = STEPS
    smoke_criteria: tuple[str, ...] = CRITERIA

    def __init__(self, data: str | None, cluster: Cluster | None = None) -> None:
        storage = open_data(data, target=TargetName.SLURM)
        if not storage.uri.startswith("s3://"):
            # Jobs start in other folders.
            storage = open_data(str(Path(storage.uri.removeprefix("file://")).resolve()))
        self._storage = storage
        self._config = read_config()
        self._cluster = cluster or Cluster()
        self._waits = Waits.from_environment()
        self._submitter = Submitter(self._storage, self._config, self._cluster)
        self._submissions = Submissions(self._config.folder)

    @property
    def data(self) -> str:
        """URI of the data location, which all nodes must reach."""
        return self._storage.uri

    @property
    def location(self) -> str:
        """Partition and data location, for people."""
        return f"{self.data}, partition {self._config.partition or '(default)'}"

    def storage(self) -> Storage:
        """Storage of the data location."""
        return self._storage

    def preflight(self, quarter: Quarter | None, listener: Listener) -> Sequence[Check]:
        """Slurm and its partitions, then models, data, disk and the quarter's transcripts."""
        config = self._config
        probes: list[Probe] = [
            ("slurm", self._cluster.version),
            ("partition", lambda: self._cluster.partition(config.partition)),
        ]
        if self._submitter.serves({}):
            probes.append(("gpu partition", lambda: self._cluster.partition(config.gpu_partition)))
        checks = check_local(self._submitter.settings({}), self._storage, quarter, listener)
        # The server of the GPU job is not up yet.
        kept = [item for item in checks if item.name != "LLM" or not self._submitter.serves({})]
        return (*run_probes(probes, listener), *kept)

    def plan(self, quarter: Quarter, options: RunOptions) -> QuarterPlan:
        """Batches, and the time that an earlier run in this data location lets expect."""
        return self._submitter.plan(quarter, options)

    def scripts(self, plans: Sequence[QuarterPlan], options: RunOptions) -> dict[str, str]:
        """Name and text of every script that ``start`` would submit."""
        return self._submitter.scripts(plans, options)

    def save_scripts(self, plans: Sequence[QuarterPlan], options: RunOptions) -> Path:
        """Write the scripts into their folder, to be read, edited and submitted."""
        return self._submitter.save_scripts(plans, options)

    def execute(
        self, plans: Sequence[QuarterPlan], options: RunOptions, listener: Listener
    ) -> list[QuarterOutcome]:
        """Submit all quarters and follow them to their end.

        A stop signal ends only this command. The jobs continue.
        """
        results = self._submitter.submit(plans, options, listener)
        waiting = [plan for plan in plans if not results[plan.run].nothing_to_do]
        outcomes: dict[str, QuarterOutcome] = {}
        with stopped_by_signals():
            try:
                for plan in waiting:
                    outcomes[plan.run] = self._follow(plan, listener)
            except StopSignal as error:
                raise error.interruption(
                    "stopped this command, but the jobs keep running",
                    f"Watch them with `ftm monitor --target slurm {waiting[0].run}`, or stop them "
                    f"with `ftm cancel --target slurm {waiting[0].run}`.",
                ) from error
        return [outcomes.get(plan.run, QuarterOutcome(results[plan.run])) for plan in plans]

    def start(
        self, plans: Sequence[QuarterPlan], options: RunOptions, listener: Listener
    ) -> list[RunResult]:
        """Submit the runs together, so that one LLM server serves them all, and return."""
        results = self._submitter.submit(plans, options, listener)
        return [results[plan.run] for plan in plans]

    def observe(self, run: str | None) -> Monitor:
        """A monitor of the quarter's jobs and of its progress in the data location."""
        return SlurmMonitor(self._storage, self._cluster, run)

    def raise_if_failed(self, monitor: Monitor) -> None:
        """Raise the error that fits the exit code of the step that failed."""
        assert isinstance(monitor, SlurmMonitor)
        if monitor.last is not None and monitor.last.state != RunState.SUCCEEDED:
            quarter = Quarter.parse(monitor.last.quarter)
            raise failure_of_run(self._submissions, monitor.last.run, quarter)

    def history(self, limit: int) -> Sequence[RunRecord]:
        """The last run of each quarter; one with jobs in the queue is at work."""
        active = {job.run for job in self._cluster.jobs() if job.is_step}
        records = []
        for record in itertools.islice(recorded_runs(self._storage, self.name), limit):
            at_work = any(record.run.startswith(f"{run}-") for run in active)
            state = RunState.RUNNING if at_work else record.state
            records.append(replace(record, state=state))
        return records

    def diagnose(self, run: str | None) -> Iterator[Finding]:
        """The cluster, the jobs in the queue, the steps that failed, recorded failures."""
        quarter = quarter_of(run)
        for check in self.preflight(quarter, ignore):
            level = "ok" if check.passed else "problem"
            yield Finding(check.name, level, check.detail, (), check.next_step)  # type: ignore[arg-type]
        try:
            yield from queue_findings(self._cluster, run)
        except FtmError as error:
            yield Finding("jobs", "problem", error.sentence, (), error.hint)
        yield from failed_step_findings(self._submissions, run)
        if quarter is not None:
            yield from recorded_failures(self._storage, quarter)

    def logs(
        self, source: str, since: dt.timedelta, pattern: str | None, *, follow: bool
    ) -> Iterator[LogLine | None]:
        """Lines of the logs of a step (plan, map, reduce or vllm) of the latest submission.

        The logs do not record times, so ``since`` chooses files by when they were last written.
        """
        oldest = time.time() - since.total_seconds()
        read: dict[Path, int] = {}
        while True:
            for path in self._submissions.log_files(source):
                if path.stat().st_mtime < oldest:
                    continue
                with path.open(encoding="utf-8", errors="replace") as file:
                    file.seek(read.get(path, 0))
                    text = file.read()
                    read[path] = file.tell()
                for line in text.splitlines():
                    if pattern is None or pattern.strip('"') in line:
                        yield LogLine(None, path.stem, line)
            if not follow:
                return
            yield None
            time.sleep(_LOG_STEP_SECONDS)

    def cancel(self, run: str, listener: Listener) -> int:
        """Cancel a run's jobs, which save what is finished; returns how many there were."""
        jobs = self._cluster.jobs([run])
        if not jobs:
            raise InputError(
                f"The run {run}",
                "has no jobs in the queue",
                "Find its name with `ftm runs --target slurm`.",
            )
        self._cluster.cancel(jobs)
        noun = "job" if len(jobs) == 1 else "jobs"
        listener(Note(f"Cancelled {len(jobs)} {noun} of {run}; finished work is saved"))
        return len(jobs)

    def smoke_options(self, *, restart: bool) -> RunOptions:
        """How the smoke test runs."""
        return RunOptions(restart=restart)

    def smoke(self, plan: QuarterPlan, test: SmokeTest, listener: Listener) -> None:
        """Preflight, run, evaluate, failures."""
        with test.step("preflight", listener) as details:
            require_all(self.preflight(plan.quarter, listener), details)
        with test.step("run", listener) as details:
            (outcome,) = self.execute([plan], RunOptions(restart=plan.restart), listener)
            if outcome.error is not None:
                raise outcome.error
            test.tick(CRITERIA[0], True, outcome.result.run)
            details.append(outcome.result.run)
        test.evaluate(self._storage, native_plan(plan).settings, listener)

    def _follow(self, plan: QuarterPlan, listener: Listener) -> QuarterOutcome:
        began = time.monotonic()
        monitor = SlurmMonitor(self._storage, self._cluster, plan.run)
        last = follow_run(monitor, self._waits.poll, listener)
        seconds = time.monotonic() - began
        if last.state != RunState.SUCCEEDED:
            error = failure_of_run(self._submissions, plan.run, plan.quarter)
            return failed_outcome(plan, error, seconds)
        firms = None
        if last.firms is not None:
            counts = last.firms
            firms = FirmCounts(total=counts.firms, finished=counts.finished, failed=counts.failed)
        return QuarterOutcome(
            RunResult(
                quarter=str(plan.quarter),
                run=plan.run,
                state=RunState.SUCCEEDED,
                nothing_to_do=False,
                firms=firms,
                seconds=round(seconds, 1),
            )
        )
