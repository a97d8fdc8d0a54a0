"""Why a run on AWS failed or makes no progress: its execution, jobs, logs and failures."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from ftm_cli.operations.aws.errors import AwsError, AwsMissingError
from ftm_cli.operations.aws.executions import SUCCEEDED, Execution, Executions
from ftm_cli.operations.aws.jobs import FAILED, RUNNABLE, Job, Jobs
from ftm_cli.operations.aws.session import AwsSession
from ftm_cli.operations.costs import duration
from ftm_cli.operations.findings import recorded_failures
from ftm_cli.results.runs import Finding
from ftm_core.contracts.errors import ExitCode, InputError, StorageError
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.states import FailureCause, RunStage, RunState
from ftm_core.storage.s3 import S3Storage

_JOBS_SHOWN = 3
# A queued job waits this long for an instance without anything being wrong.
_QUEUED_MINUTES = 15
_OUT_OF_MEMORY = 137
_MEANINGS = {
    int(ExitCode.UNEXPECTED): "an unexpected error",
    int(ExitCode.USAGE): "wrong settings or input",
    int(ExitCode.CHECKS_FAILED): "failures over tolerance",
    int(ExitCode.RETRYABLE): "could succeed later: LLM out of reach, or interrupted",
    _OUT_OF_MEMORY: "out of memory, or killed",
    143: "stopped before it could save",
}
# What AWS says at the beginning of a job's status reason, or of its container's reason, and what it
# means. The first that fits decides; docs/reference/failure-table.md has one row for each.
_REASONS = (
    ("Host EC2", "its host was lost, for example to Spot"),
    ("Job attempt duration exceeded timeout", "it ran longer than job_timeout_seconds"),
    (
        "CAPACITY:",
        "AWS had no instance for it in time; try later, or allow more types with "
        "batch_instance_types",
    ),
    ("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE", "max_vcpus is reached: raise it"),
    (
        "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        "no instance type holds it: make job_sizes smaller, or name larger batch_instance_types",
    ),
    ("CannotPull", "its image could not be pulled: `ftm validate` looks for it"),
    ("Docker", "Docker did not answer on its host"),
)


class RunDiagnosis:
    """Inspects one execution of the pinned account; changes nothing."""

    def __init__(self, session: AwsSession, execution: Execution) -> None:
        self._session = session
        self._execution = execution
        self._jobs = Jobs(session)

    def findings(self) -> Iterator[Finding]:
        """How the execution stands, and why."""
        yield self._of_execution()
        if self._execution.status == SUCCEEDED or not self._execution.quarter:
            yield from self._of_failures()
            return
        try:
            jobs = self._jobs.since(self._execution.started, self._execution.quarter)
        except AwsMissingError as error:
            yield Finding(
                "jobs",
                "problem",
                "The jobs have no queue.",
                (error.sentence,),
                "Run `ftm deploy`.",
            )
            return
        yield from self._of_jobs(jobs)
        yield from self._of_failures()

    def _of_execution(self) -> Finding:
        run = self._execution
        seconds = duration(run.seconds(dt.datetime.now(dt.UTC)))
        began = f"started {run.started.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC, {seconds}"
        about = f"run {run.name}"
        if run.status == SUCCEEDED:
            next_step = f"Check it with `ftm evaluate --quarter {run.quarter}`."
            return Finding(about, "ok", "The run succeeded.", (began,), next_step)
        if run.is_running:
            next_step = f"Watch it with `ftm monitor {run.name}`."
            return Finding(about, "ok", "The run is running.", (began,), next_step)
        reason = (run.reason,) if run.reason else ()
        what = f"The run ended as {run.status}."
        stage, _ = run.failure or ("", FailureCause.RUN_FAILED)
        if stage and not RunStage.is_known(stage):
            unknown = (
                f"The stage {stage!r} is unknown to this ftm: another version was deployed then."
            )
            reason = (*reason, unknown)
        return Finding(about, "problem", what, (began, *reason), self._next_step())

    def _next_step(self) -> str:
        """What the stage that failed asks for; the state machine names it first in its cause."""
        run = self._execution
        stage, failure = run.failure or ("", FailureCause.RUN_FAILED)
        again = f"`ftm run --quarter {run.quarter}`"
        if failure is FailureCause.TRANSCRIPTS_MISSING:
            return f"Run `ftm ingest SOURCE --quarter {run.quarter}`, then {again}."
        if failure is FailureCause.WRONG_INPUT:
            return f"Start it with {again}, which gives the input as it must be."
        if failure is FailureCause.CHECKS_FAILED:
            return (
                f"Read `ftm failures --quarter {run.quarter}`, then run {again}, which tries those "
                "firms again."
            )
        if failure is FailureCause.NO_INSTANCE:
            return f"See the quotas and limits with `ftm validate`, then run {again}."
        if run.status in (RunState.ABORTED, RunState.TIMED_OUT):
            return f"Run {again}, which resumes from what is finished."
        if stage in (RunStage.PLAN, RunStage.MAP, RunStage.REDUCE):
            return f"Read `ftm logs {stage} --since 2h`, fix what it names, then run {again}."
        return f"Read the log with `ftm logs map --since 2h`, then run {again}."

    def _of_jobs(self, jobs: list[Job]) -> Iterator[Finding]:
        now = dt.datetime.now(dt.UTC)
        failed = [job for job in jobs if job.status == FAILED]
        for stage in ("plan", "map", "reduce"):
            of_stage = [job for job in failed if job.stage == stage]
            if of_stage:
                yield self._failed_stage(stage, of_stage, sum(job.stage == stage for job in jobs))
        waiting = [
            job
            for job in jobs
            if job.status == RUNNABLE and (now - job.created).total_seconds() > _QUEUED_MINUTES * 60
        ]
        if waiting and self._execution.is_running:
            oldest = min(job.created for job in waiting)
            reasons = {f"AWS says: {job.status_reason}" for job in waiting if job.status_reason}
            reasons |= {meaning for job in waiting if (meaning := _meaning_of_reason(job))}
            waited = duration((now - oldest).total_seconds())
            yield Finding(
                "jobs",
                "problem",
                f"{_jobs(len(waiting))} for an instance, the oldest for {waited}.",
                tuple(sorted(reasons))[:_JOBS_SHOWN],
                "See the quota for jobs with `ftm validate`. Another limit is max_vcpus in "
                "ftm.toml.",
            )

    def _failed_stage(self, stage: str, failed: list[Job], total: int) -> Finding:
        evidence: list[str] = []
        for job in failed[:_JOBS_SHOWN]:
            evidence.append(f"{job.name}: {_end_of(job)}")
            evidence += [f"  log: {line}" for line in self._log_of(job)]
        if len(failed) > _JOBS_SHOWN:
            evidence.append(f"and {len(failed) - _JOBS_SHOWN} more")
        what = f"{len(failed)} of {total} jobs failed."
        hint = f"Read `ftm logs {stage} --since 2h --filter ERROR`."
        if any(job.exit_code == _OUT_OF_MEMORY and not _meaning_of_reason(job) for job in failed):
            hint += (
                f" For more memory, raise {stage}_memory of job_sizes in ftm.toml and run "
                "`ftm deploy`."
            )
        return Finding(stage, "problem", what, tuple(evidence), hint)

    def _log_of(self, job: Job) -> tuple[str, ...]:
        try:
            return self._jobs.last_lines(job)
        except AwsError as error:
            return (f"The log cannot be read. {error.sentence}",)

    def _of_failures(self) -> Iterator[Finding]:
        run = self._execution
        if not run.quarter or not run.bucket:
            return
        storage = S3Storage(self._session.client("s3"), run.bucket)
        try:
            yield from recorded_failures(storage, Quarter.parse(run.quarter))
        except (StorageError, InputError) as error:
            yield Finding("failures", "problem", error.sentence, (), error.hint)


def diagnosed_run(executions: Executions, name: str | None) -> Execution | Finding:
    """The run to inspect: the named one, else the latest; a Finding when there is none."""
    try:
        executions.check_deployed()
    except AwsMissingError as error:
        return Finding(
            "runs",
            "problem",
            "The state machine is missing.",
            (error.sentence,),
            error.hint,
        )
    if name:
        return executions.describe(name)
    try:
        return executions.latest()
    except InputError as error:
        return Finding("runs", "note", "There has been no run yet.", (), error.hint)


def _jobs(count: int) -> str:
    return "1 job waits" if count == 1 else f"{count} jobs wait"


def _end_of(job: Job) -> str:
    """Exit code, what it means, and AWS's own words."""
    meaning = _meaning_of_reason(job)
    if job.exit_code is None:
        parts = [meaning or "it ended without an exit code: its host or agent was lost"]
    else:
        code = _MEANINGS.get(job.exit_code, "")
        parts = [f"exit code {job.exit_code}", meaning or code]
    words = "; ".join(word for word in (job.status_reason, job.reason) if word)
    text = ", ".join(part for part in parts if part)
    return f"{text} (AWS says: {words})" if words else text


def _meaning_of_reason(job: Job) -> str:
    for reason in (job.status_reason, job.reason):
        for beginning, meaning in _REASONS:
            if reason.startswith(beginning):
                return meaning
    return ""
