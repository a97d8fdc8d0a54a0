"""Runs on a Slurm cluster: submit, follow, diagnose, read logs, cancel; no daemon."""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ftm_cli.operations.aws.waiting import StopSignal, Waits, stopped_by_signals
from ftm_cli.operations.findings import Finding, recorded_failures
from ftm_cli.operations.following import Monitor
from ftm_cli.operations.local_monitoring import LocalMonitor
from ftm_cli.operations.local_run import local_settings
from ftm_cli.operations.preflight import Check, Probe, check_local, run_probes
from ftm_cli.operations.smoke import SmokeTest, require_all
from ftm_cli.operations.snapshots import Snapshot
from ftm_cli.results.runs import FirmCounts, RunResult
from ftm_cli.targets.base import (
    LogLine,
    QuarterOutcome,
    QuarterPlan,
    RunOptions,
    RunRecord,
)
from ftm_cli.targets.data import open_data
from ftm_cli.targets.history import recorded_runs
from ftm_cli.targets.local import failed_outcome, plan_on_this_data, quarter_of
from ftm_cli.targets.names import TargetName
from ftm_cli.targets.slurm.cluster import Cluster, Job
from ftm_cli.targets.slurm.config import read_config
from ftm_cli.targets.slurm.scripts import SUBMIT, RunScripts, render
from ftm_core import pipeline
from ftm_core.contracts.errors import (
    ChecksFailedError,
    ExitCode,
    FtmError,
    InputError,
    RetryableError,
    RunRefusedError,
)
from ftm_core.contracts.events import (
    Listener,
    Note,
    StageAdvanced,
    StageFinished,
    StageStarted,
    ignore,
)
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import Settings, setting_fields
from ftm_core.contracts.states import RunState
from ftm_core.data import lease
from ftm_core.storage import Storage

CRITERIA = ("The run ends finished",)
STEPS = ("preflight", "run", "evaluate", "failures")
_STEP_ORDER = ("vllm", "plan", "map", "reduce", "stop")
_LOG_LINES = 5
_LOG_STEP_SECONDS = 1.0


@dataclass(frozen=True)
class SlurmPlan:
    """What one quarter's jobs are made from, besides the common plan."""

    scripts: RunScripts
    settings: Settings


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
        if self._serves({}):
            probes.append(("gpu partition", lambda: self._cluster.partition(config.gpu_partition)))
        checks = check_local(self._settings({}), self._storage, quarter, listener)
        # The server of the GPU job is not up yet.
        kept = [item for item in checks if item.name != "LLM" or not self._serves({})]
        return (*run_probes(probes, listener), *kept)

    def plan(self, quarter: Quarter, options: RunOptions) -> QuarterPlan:
        """Batches, and the time that an earlier run in this data location lets expect."""
        settings = self._settings(options.settings)
        plan = plan_on_this_data(self.name, self._storage, quarter, options, settings)
        open_tasks = tuple(
            number for number, batch in enumerate(plan.batches) if batch.finished < batch.firms
        )
        scripts = RunScripts(
            quarter=str(quarter),
            run=plan.run,
            data=self.data,
            tasks=open_tasks,
            restart=options.restart,
            max_firms=options.max_firms,
        )
        return replace(plan, native=SlurmPlan(scripts, settings))

    def scripts(self, plans: Sequence[QuarterPlan], options: RunOptions) -> dict[str, str]:
        """Name and text of every script that ``start`` would submit."""
        folder = options.save_scripts or self._folder(plans)
        return render(
            [native_plan(plan).scripts for plan in plans],
            self._config,
            folder.resolve(),
            environment=_environment(options.settings),
            serves=self._serves(options.settings),
        )

    def save_scripts(self, plans: Sequence[QuarterPlan], options: RunOptions) -> Path:
        """Write the scripts into their folder, to be read, edited and submitted."""
        folder = (options.save_scripts or self._folder(plans)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.scripts(plans, options).items():
            path = folder / name
            path.write_text(text, encoding="utf-8")
            path.chmod(0o755)
        return folder

    def execute(
        self, plans: Sequence[QuarterPlan], options: RunOptions, listener: Listener
    ) -> list[QuarterOutcome]:
        """Submit all quarters and follow them to their end.

        A stop signal ends only this command. The jobs continue.
        """
        results = self._submit(plans, options, listener)
        waiting = [plan for plan in plans if not results[plan.run].nothing_to_do]
        outcomes: dict[str, QuarterOutcome] = {}
        with stopped_by_signals():
            try:
                for plan in waiting:
                    outcomes[plan.run] = self._follow(plan, listener)
            except StopSignal as error:
                raise error.interruption(
                    "stopped this command; the jobs keep running",
                    f"`ftm monitor --target slurm {waiting[0].run}` watches them, "
                    f"`ftm cancel --target slurm {waiting[0].run}` stops them.",
                ) from error
        return [outcomes.get(plan.run, QuarterOutcome(results[plan.run])) for plan in plans]

    def start(self, plan: QuarterPlan, options: RunOptions, listener: Listener) -> RunResult:
        """Submit the run and return."""
        return self._submit([plan], options, listener)[plan.run]

    def observe(self, run: str | None) -> Monitor:
        """A monitor of the quarter's jobs and of its progress in the data location."""
        return SlurmMonitor(self._storage, self._cluster, run)

    def raise_if_failed(self, monitor: Monitor) -> None:
        """Raise the error that fits the exit code of the step that failed."""
        assert isinstance(monitor, SlurmMonitor)
        if monitor.last is not None and monitor.last.state != RunState.SUCCEEDED:
            raise self._failure(monitor.last.run, Quarter.parse(monitor.last.quarter))

    def history(self, limit: int) -> Sequence[RunRecord]:
        """The last run of each quarter; one with jobs in the queue is at work."""
        active = {job.run for job in self._cluster.jobs()}
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
            yield from self._of_jobs(run)
        except FtmError as error:
            yield Finding("jobs", "problem", error.cause, (error.where,), error.hint)
        yield from self._of_failed_steps(run)
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
            for path in self._log_files(source):
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
                f"run {run}", "has no jobs in the queue", "`ftm runs --target slurm` lists runs."
            )
        self._cluster.cancel(jobs)
        listener(Note(f"Cancelled {len(jobs)} jobs of {run}; finished work is saved"))
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

    def _serves(self, flags: Mapping[str, object]) -> str | None:
        """The model that a job on the GPU partition serves; None where the LLM is elsewhere."""
        settings = local_settings(flags)
        named = settings.llm.base_url or settings.llm.local_model
        if not self._config.gpu_partition or named:
            return None
        pending = local_settings({**flags, "llm.base_url": "http://pending.invalid/v1"})
        return pending.llm.model_name

    def _settings(self, flags: Mapping[str, object]) -> Settings:
        """Settings of the jobs: with a GPU partition the LLM is a server, not the bundled model."""
        if self._serves(flags) is None:
            return local_settings(flags)
        return local_settings({**flags, "llm.base_url": "http://pending.invalid/v1"})

    def _folder(self, plans: Sequence[QuarterPlan]) -> Path:
        name = plans[0].run if not plans[1:] else f"{plans[0].run}-to-{plans[-1].quarter}"
        return self._config.folder.resolve() / name

    def _submit(
        self, plans: Sequence[QuarterPlan], options: RunOptions, listener: Listener
    ) -> dict[str, RunResult]:
        """Submit the quarters that are not finished; raises before anything is submitted."""
        results = {}
        open_plans = []
        for plan in plans:
            finished = self._finished(plan, options)
            if finished is None:
                self._require_free(plan)
                open_plans.append(plan)
            results[plan.run] = RunResult(
                quarter=str(plan.quarter),
                run=finished or plan.run,
                state=RunState.SUCCEEDED if finished else RunState.PENDING,
                nothing_to_do=finished is not None,
            )
        if open_plans:
            folder = self.save_scripts(open_plans, options)
            self._cluster.submit(str(folder / SUBMIT))
            for plan in open_plans:
                listener(Note(f"Submitted {plan.run}; scripts and logs are in {folder}"))
        return results

    def _finished(self, plan: QuarterPlan, options: RunOptions) -> str | None:
        request = pipeline.RunRequest(
            storage=self._storage,
            quarter=plan.quarter,
            settings=native_plan(plan).settings,
            run_name=plan.run,
            listener=ignore,
            restart=plan.restart,
            max_firms=options.max_firms,
        )
        identity = pipeline.standing(request)
        return identity.run_id if identity else None

    def _require_free(self, plan: QuarterPlan) -> None:
        """Refuse a quarter whose run has jobs in the queue; release the lease of one that has not.

        Its jobs may all have ended without a reduce that would have released it.
        """
        identity = lease.read_identity(self._storage, plan.quarter)
        owner = identity.owner if identity else None
        others = {job.run for job in self._cluster.jobs() if job.run.startswith(f"{plan.quarter}-")}
        if owner is not None and owner.process_namespace.startswith(lease.SCHEDULED):
            if owner.run_name not in others:
                lease.release(self._storage, plan.quarter, owner.run_name, finished=False)
            else:
                raise RunRefusedError(
                    f"quarter {plan.quarter}",
                    f"is leased to run {owner.run_name}, whose jobs are in the queue",
                    f"Wait for it (`ftm monitor --target slurm {owner.run_name}`), or stop it: "
                    f"`ftm cancel --target slurm {owner.run_name}`.",
                )

    def _follow(self, plan: QuarterPlan, listener: Listener) -> QuarterOutcome:
        monitor = SlurmMonitor(self._storage, self._cluster, plan.run)
        began, shown = time.monotonic(), -1
        states: tuple[str, ...] = ()
        while True:
            try:
                snapshot = monitor.poll()
            except RetryableError as error:
                listener(Note(str(error), "warning"))
                time.sleep(self._waits.poll)
                continue
            if snapshot.states != states:
                states = snapshot.states
                listener(Note(f"{plan.quarter}: {', '.join(states) or 'no job in the queue'}"))
            if snapshot.firms is not None and snapshot.firms.firms:
                if shown < 0:
                    stage = StageStarted(
                        "firms", snapshot.firms.firms, "firms", snapshot.firms.finished
                    )
                    listener(stage)
                elif snapshot.firms.finished > shown:
                    listener(StageAdvanced("firms", snapshot.firms.finished - shown))
                shown = max(shown, snapshot.firms.finished)
            if not RunState(snapshot.state).is_active:
                break
            time.sleep(self._waits.poll)
        seconds = time.monotonic() - began
        if shown >= 0:
            listener(StageFinished("firms", seconds))
        if snapshot.state != RunState.SUCCEEDED:
            return failed_outcome(plan, self._failure(plan.run, plan.quarter), seconds)
        firms = snapshot.firms
        return QuarterOutcome(
            RunResult(
                quarter=str(plan.quarter),
                run=plan.run,
                state=RunState.SUCCEEDED,
                nothing_to_do=False,
                firms=FirmCounts(total=firms.firms, finished=firms.finished, failed=firms.failed)
                if firms
                else None,
                seconds=round(seconds, 1),
            )
        )

    def _failure(self, run: str, quarter: Quarter) -> FtmError:
        """The error that fits how the steps of a run ended."""
        where = f"run {run}"
        again = f"Run `ftm run --target slurm --quarter {quarter}` again: it resumes."
        for path, code in self._exit_codes(quarter):
            if code == ExitCode.DONE:
                continue
            last = " / ".join(_last_lines(path.with_suffix(".log"), 2))
            cause = f"ended: {path.stem} ended with exit code {code}: {last or 'no log'}"
            hint = f"`ftm logs --target slurm {path.stem.split('-')[1]}` shows the log. "
            if code == ExitCode.CHECKS_FAILED:
                return ChecksFailedError(where, cause, hint + again)
            if code == ExitCode.USAGE:
                return InputError(where, cause, hint + "Fix what it names, then run again.")
            if code == ExitCode.RETRYABLE:
                return RetryableError(where, cause, again)
            return FtmError(where, cause, hint + again)
        return RetryableError(
            where, "ended before it was finished: its jobs were cancelled or lost", again
        )

    def _exit_codes(self, quarter: Quarter) -> Iterator[tuple[Path, int]]:
        """Exit code of each step and task of the quarter's latest submission."""
        folder = self._latest_folder(quarter)
        if folder is None:
            return
        order = {step: number for number, step in enumerate(_STEP_ORDER)}
        found = folder.glob(f"{quarter}-*.exit")
        for path in sorted(found, key=lambda item: (order.get(item.stem.split("-")[1], 9), item)):
            text = path.read_text(encoding="utf-8").strip()
            if text.isdecimal():
                yield path, int(text)

    def _latest_folder(self, quarter: Quarter | None) -> Path | None:
        prefix = f"{quarter}-" if quarter else ""
        found = sorted(
            (path.stat().st_mtime, path.parent)
            for path in self._config.folder.glob(f"*/{prefix}*plan.sh")
        )
        return found[-1][1] if found else None

    def _log_files(self, source: str) -> list[Path]:
        if source not in ("vllm", "plan", "map", "reduce"):
            raise InputError(f"log {source}", "is not known", "Use vllm, plan, map or reduce.")
        folder = self._latest_folder(None)
        if folder is None:
            raise InputError(
                f"logs in {self._config.folder}",
                "are not there: no run was submitted from this folder",
                "Submit one with `ftm run --target slurm --quarter Q`.",
            )
        pattern = "vllm.log" if source == "vllm" else f"*-{source}*.log"
        return sorted(folder.glob(pattern))

    def _of_jobs(self, run: str | None) -> Iterator[Finding]:
        jobs = self._cluster.jobs([run] if run and "-" in run else None)
        prefix = str(quarter_of(run) or "")
        for job in (job for job in jobs if job.run.startswith(prefix)):
            about = f"job {job.job_id}, {job.step} of {job.run}"
            where = f" on {job.node}" if job.node else ""
            reason = "" if job.reason == "None" else f": {job.reason}"
            if job.reason == "DependencyNeverSatisfied":
                hint = f"`ftm cancel --target slurm {job.run}`, then start the quarter again."
                yield Finding(about, "problem", "waits for a step that failed", (), hint)
            else:
                yield Finding(about, "ok", f"{job.state.lower()}{where}{reason}", (), "")

    def _of_failed_steps(self, run: str | None) -> Iterator[Finding]:
        folder = self._latest_folder(quarter_of(run))
        if folder is None:
            yield Finding(
                "runs", "note", "none was submitted from this folder", (),
                "`ftm run --target slurm --quarter Q`",
            )  # fmt: skip
            return
        for path in sorted(folder.glob("*.exit")):
            code = path.read_text(encoding="utf-8").strip()
            if code in ("", "0"):
                continue
            evidence = _last_lines(path.with_suffix(".log"), _LOG_LINES)
            step = path.stem.split("-")[1]
            yield Finding(
                f"step {path.stem}",
                "problem",
                f"ended with exit code {code}",
                tuple(evidence),
                f"`ftm logs --target slurm {step}`; then start the quarter again: it resumes.",
            )


class SlurmMonitor:
    """A run's jobs in the queue, and its progress in the data location."""

    def __init__(self, storage: Storage, cluster: Cluster, run: str | None) -> None:
        self._storage = storage
        self._cluster = cluster
        self._run = run if run and "-" in run else None
        self._quarter = quarter_of(run)
        self._local: LocalMonitor | None = None
        self.last: Snapshot | None = None

    def poll(self) -> Snapshot:
        """State of the run now; raises InputError when there is none."""
        jobs = self._cluster.jobs([self._run] if self._run else None)
        if self._quarter is not None:
            jobs = [job for job in jobs if job.run.startswith(f"{self._quarter}-")]
        if self._quarter is None and jobs:
            self._quarter = Quarter.parse(jobs[-1].run.split("-")[0])
        name = self._run or (jobs[-1].run if jobs else None)
        self.last = self._snapshot(jobs, name)
        return self.last

    def _snapshot(self, jobs: Sequence[Job], name: str | None) -> Snapshot:
        active = _state_of(jobs)
        states = tuple(dict.fromkeys(f"{job.step} {job.state.lower()}" for job in _in_order(jobs)))
        identity = lease.read_identity(self._storage, self._quarter) if self._quarter else None
        owner = identity.owner.run_name if identity and identity.owner else None
        if name is not None and jobs and owner != name:
            # Its plan has not acquired the quarter yet: what the data location shows is older.
            return Snapshot(
                target=TargetName.SLURM, run=name, quarter=str(self._quarter),
                data=self._storage.uri, state=active or RunState.PENDING, started="", seconds=0.0,
                states=states,
            )  # fmt: skip
        if self._local is None:
            self._local = LocalMonitor(self._storage, self._quarter)
        snapshot = self._local.poll()
        ended = RunState.SUCCEEDED
        if identity is None or not identity.finished:
            ended = RunState.UNFINISHED
        return replace(
            snapshot,
            target=TargetName.SLURM,
            run=name or snapshot.run,
            state=active or ended,
            states=states,
        )


def native_plan(plan: QuarterPlan) -> SlurmPlan:
    """The plan of the jobs."""
    assert isinstance(plan.native, SlurmPlan)
    return plan.native


def _state_of(jobs: Sequence[Job]) -> RunState | None:
    """The state of a run with jobs in the queue; None when it has none."""
    steps = [job for job in jobs if job.step in ("plan", "map", "reduce")]
    if any(job.is_running for job in steps):
        return RunState.RUNNING
    return RunState.PENDING if steps else None


def _in_order(jobs: Sequence[Job]) -> list[Job]:
    return sorted(jobs, key=lambda job: (_STEP_ORDER.index(job.step), job.state))


def _environment(flags: Mapping[str, object]) -> dict[str, str]:
    """Settings that were given as flags, as the variables that the steps read."""
    variables = {}
    for group, name, info in setting_fields():
        value = flags.get(f"{group}.{name}")
        extra = info.json_schema_extra
        if value is not None and isinstance(extra, dict):
            variables[str(extra["env"])] = str(value)
    return variables


def _last_lines(path: Path, count: int) -> list[str]:
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line for line in lines if line.strip()][-count:]
