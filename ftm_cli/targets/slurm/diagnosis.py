"""Why a run on Slurm failed or waits: its jobs in the queue and the exit codes of its steps."""

from __future__ import annotations

from collections.abc import Iterator

from ftm_cli.results.runs import Finding
from ftm_cli.targets.local import quarter_of
from ftm_cli.targets.slurm.cluster import Cluster
from ftm_cli.targets.slurm.submissions import Submissions, last_lines, step_of
from ftm_core.contracts.errors import (
    ChecksFailedError,
    ExitCode,
    FtmError,
    InputError,
    RetryableError,
)
from ftm_core.contracts.quarters import Quarter

_LOG_LINES = 5


def queue_findings(cluster: Cluster, run: str | None) -> Iterator[Finding]:
    """One finding per job in the queue of a run, of a quarter, or of all runs."""
    jobs = cluster.jobs([run] if run and "-" in run else None)
    prefix = str(quarter_of(run) or "")
    for job in (job for job in jobs if job.run.startswith(prefix)):
        about = f"job {job.job_id}, {job.step} of {job.run}"
        where = f" on {job.node}" if job.node else ""
        reason = "" if job.reason == "None" else f" ({job.reason})"
        if job.reason == "DependencyNeverSatisfied":
            hint = f"Run `ftm cancel --target slurm {job.run}`, then start the quarter again."
            yield Finding(about, "problem", "The job waits for a step that failed.", (), hint)
        else:
            yield Finding(about, "ok", f"The job is {job.state.lower()}{where}{reason}.", (), "")


def failed_step_findings(submissions: Submissions, run: str | None) -> Iterator[Finding]:
    """One finding per step of the latest submission that ended with another exit code than 0."""
    folder = submissions.latest(quarter_of(run))
    if folder is None:
        yield Finding(
            "runs", "note", "No run was submitted from this folder.", (),
            "Submit one with `ftm run --target slurm --quarter Q`.",
        )  # fmt: skip
        return
    for path in sorted(folder.glob("*.exit")):
        code = path.read_text(encoding="utf-8").strip()
        if code in ("", "0"):
            continue
        yield Finding(
            f"step {path.stem}",
            "problem",
            f"The step ended with exit code {code}.",
            tuple(last_lines(path.with_suffix(".log"), _LOG_LINES)),
            f"Read `ftm logs --target slurm {step_of(path)}`, then start the quarter again: it "
            "resumes.",
        )


def failure_of_run(submissions: Submissions, run: str, quarter: Quarter) -> FtmError:
    """The error that fits how the steps of an unfinished run ended."""
    where = f"The run {run}"
    again = f"Run `ftm run --target slurm --quarter {quarter}` again: it resumes."
    for path, code in submissions.exit_codes(quarter):
        if code == ExitCode.DONE:
            continue
        last = " / ".join(last_lines(path.with_suffix(".log"), 2))
        cause = f"ended, because {path.stem} ended with exit code {code} ({last or 'no log'})"
        hint = f"Read the log with `ftm logs --target slurm {step_of(path)}`. "
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
