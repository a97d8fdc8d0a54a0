"""Why a run on this machine makes no progress, or would be refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from ftm_cli.operations.costs import duration
from ftm_cli.operations.findings import recorded_failures
from ftm_cli.operations.preflight import check_local
from ftm_cli.results.runs import Finding
from ftm_core.contracts.errors import FtmError, InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import LeaseOwner, RunIdentity
from ftm_core.contracts.settings import PROJECT_FILE, ResolvedSettings
from ftm_core.contracts.states import RunState
from ftm_core.data.failures import latest_run_quarter
from ftm_core.data.lease import (
    HEARTBEAT_SECONDS,
    SCHEDULED,
    changes,
    is_suspended,
    read_identity,
    seconds_since_renewal,
    state_of,
)
from ftm_core.data.progress import ProgressReader
from ftm_core.data.transcript_chunks import read_manifest
from ftm_core.run_inputs import run_inputs
from ftm_core.storage import Storage

# A process that works renews its lease every minute: five missed renewals are no accident.
_SILENT_SECONDS = 5 * HEARTBEAT_SECONDS
# No single response takes as long: a client gives up on a server that is away after
# LLM_HEALTH_WAIT, ten minutes unless it is set.
_IDLE_SECONDS = 1800


def diagnose_here(
    resolved: ResolvedSettings, storage: Storage, quarter: Quarter | None
) -> Iterator[Finding]:
    """Models, LLM, disk and data first, then how the quarter's run stands; changes nothing."""
    if quarter is None:
        try:
            quarter = latest_run_quarter(storage)
        except InputError:
            quarter = None
    for check in check_local(resolved.settings, storage, quarter):
        yield Finding(
            check.name, "ok" if check.passed else "problem", check.detail, (), check.next_step
        )
    if quarter is None:
        yield Finding(
            "runs",
            "note",
            f"The data location {storage.uri} has no run yet.",
            (),
            "Run `ftm ingest sample --quarter 2023Q1`, then `ftm run --quarter 2023Q1`.",
        )
        return
    try:
        identity = read_identity(storage, quarter)
        if identity is not None:
            yield _of_run(storage, quarter, identity)
            yield from _of_inputs(resolved, storage, quarter, identity)
        else:
            what = f"The quarter {quarter} has no run yet."
            yield Finding("run", "note", what, (), f"Run `ftm run --quarter {quarter}`.")
        yield from recorded_failures(storage, quarter)
    except FtmError as error:
        yield Finding("run", "problem", error.sentence, (), error.hint)


def _of_run(storage: Storage, quarter: Quarter, identity: RunIdentity) -> Finding:
    again = f"Run `ftm run --quarter {quarter}`, which resumes from what is finished."
    firms = ProgressReader(storage, quarter).read()
    about = f"run {identity.run_id}"
    evidence = [f"{firms.finished:,} of {firms.firms:,} firms finished, {firms.failed:,} failed"]
    state = state_of(identity)
    if state is RunState.SUCCEEDED:
        evidence.append(f"finished {identity.finished}")
        next_step = f"Check it with `ftm evaluate --quarter {quarter}`."
        return Finding(about, "ok", "The run is finished.", tuple(evidence), next_step)
    owner = identity.owner
    if owner is None:
        what = "The run stopped before its end, with everything finished saved."
        return Finding(about, "problem", what, tuple(evidence), again)
    evidence.append(f"leased to process {owner.pid} on {owner.host}, renewed {owner.heartbeat}")
    if state is RunState.RUNNING:
        hung = _no_progress(storage, quarter, owner, evidence)
        if hung is not None:
            return Finding(about, "problem", *hung)
        next_step = f"Watch it with `ftm monitor {quarter} --target local`."
        return Finding(about, "ok", "The run is running.", tuple(evidence), next_step)
    what = (
        "The run has a lease whose process no longer exists: it was killed, or its machine was "
        "lost."
    )
    return Finding(about, "problem", what, tuple(evidence), f"{again} It takes over by itself.")


def _no_progress(
    storage: Storage, quarter: Quarter, owner: LeaseOwner, evidence: list[str]
) -> tuple[str, tuple[str, ...], str] | None:
    """What, evidence and next step of a run whose process exists but does not move; else None.

    A run saves each LLM response as it comes, so one that saves nothing for long hangs, unless its
    reduce job computes for as long. The jobs of a scheduler have no process to inspect here.
    """
    if owner.process_namespace.startswith(SCHEDULED):
        return None
    began = dt.datetime.fromtimestamp(owner.process_started, dt.UTC)
    moved = max(filter(None, (ProgressReader(storage, quarter).last_written(), began)))
    since = f"The run has made no progress since {moved:%Y-%m-%d %H:%M:%S} UTC."
    again = f"`ftm run --quarter {quarter}` resumes it"
    end_it = f"end it with `kill {owner.pid}`, or `kill -9 {owner.pid}` if it stays; {again}"
    if is_suspended(owner):
        cause = "cause: its process is suspended (Ctrl-Z, SIGSTOP or a debugger)"
        # A suspended process takes no SIGTERM before it continues.
        step = (
            f"Let it continue with `kill -CONT {owner.pid}` on {owner.host}. To end it instead, "
            f"run `kill {owner.pid}` before that; {again}."
        )
        return since, (*evidence, cause), step
    silent = seconds_since_renewal(owner)
    if silent > _SILENT_SECONDS:
        cause = (
            f"cause: its process exists, but has not renewed the lease for {duration(silent)}; it "
            f"renews every {HEARTBEAT_SECONDS} s unless it hangs or the machine slept"
        )
        return since, (*evidence, cause), f"Check again in a minute, then {end_it}."
    idle = (dt.datetime.now(dt.UTC) - moved).total_seconds()
    if idle > _IDLE_SECONDS:
        cause = (
            f"cause: its process renews the lease, but has saved nothing for {duration(idle)}: "
            "the LLM does not answer, or the reduce of a large quarter still computes"
        )
        step = f"Check the LLM above and the log of the run; if it uses no CPU, {end_it}."
        return since, (*evidence, cause), step
    return None


def _of_inputs(
    resolved: ResolvedSettings, storage: Storage, quarter: Quarter, identity: RunIdentity
) -> Iterator[Finding]:
    """What has changed since the run began: the next one would be refused.

    A setting that neither the environment nor ftm.toml gives now was given by a flag: giving it
    again resumes the run, and nothing has changed.
    """
    now = run_inputs(read_manifest(storage, quarter), resolved.settings)
    # How many firms were taken is a choice of each run.
    before = {name: identity.inputs.get(name) for name in now}
    given = {item.name for item in resolved.origins if _is_given(item.origin)}
    by_flag = {}
    for group, values in (before["settings"] or {}).items():
        present = now["settings"].get(group, {})
        for name, value in values.items():
            full = f"{group}.{name}"
            if name in present and present[name] != value and full not in given:
                by_flag[full] = present[name] = value
    changed = changes(before, now)
    if changed:
        yield Finding(
            "settings",
            "problem",
            "The settings have changed since the run began, so the next run of the quarter is "
            "refused.",
            (changed,),
            f"Restore them (`ftm config` shows where each comes from), or start over: "
            f"`ftm run --quarter {quarter} --restart`.",
        )
    if by_flag:
        yield Finding(
            "settings",
            "note",
            "The run was given other settings than `ftm config` shows now.",
            tuple(f"{name} = {value!r}" for name, value in by_flag.items()),
            "Give the same flags to resume it.",
        )


def _is_given(origin: str) -> bool:
    """Whether the environment or the project file gives a setting of this origin."""
    return origin.startswith("environment") or origin.endswith(PROJECT_FILE)
