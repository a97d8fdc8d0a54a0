"""The lease on a quarter: one run at a time, which can be resumed, taken over or started over."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import os
import secrets
import socket
from typing import Any

import psutil

from ftm_core.contracts import keys
from ftm_core.contracts.errors import (
    InputError,
    RunRefusedError,
    StorageRetryableError,
)
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import (
    LeaseOwner,
    RunIdentity,
    from_json,
    to_json,
    utc_now,
)
from ftm_core.contracts.states import RunState
from ftm_core.data.json_records import read_record
from ftm_core.storage import Storage
from ftm_core.storage.processes import process_view

# An owner on another machine renews at least every HEARTBEAT_SECONDS. A lease that was not renewed
# for LEASE_SECONDS has expired.
HEARTBEAT_SECONDS = 60
LEASE_SECONDS = 600

# Beginning of the process namespace of a run that a scheduler starts.
SCHEDULED = "scheduled:"

_ATTEMPTS = 10
_SAME_START_SECONDS = 60.0


def fingerprint(inputs: dict[str, Any]) -> str:
    """SHA-256 of the run inputs in canonical JSON."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def new_run_name(quarter: Quarter) -> str:
    """``Q-YYYYmmdd-HHMMSS`` in UTC, as Step Functions executions are named."""
    return f"{quarter}-{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S}"


def this_process(run_name: str) -> LeaseOwner:
    """This process as the owner of a lease."""
    return LeaseOwner(
        run_name=run_name,
        host=socket.gethostname(),
        pid=os.getpid(),
        process_started=psutil.Process().create_time(),
        heartbeat=utc_now(),
        process_namespace=_process_namespace(),
    )


def scheduled_run(run_name: str) -> LeaseOwner:
    """A run whose steps a scheduler starts, as the owner of a lease.

    It lives as long as its steps renew the lease, whichever process acquired it.
    """
    nobody_else = f"{SCHEDULED}{secrets.token_hex(8)}"
    return dataclasses.replace(this_process(run_name), process_namespace=nobody_else)


def read_identity(storage: Storage, quarter: Quarter) -> RunIdentity | None:
    """The identity of the quarter's run, or None when no run has started."""
    return read_record(storage, keys.run_identity(quarter), RunIdentity)


def acquire(
    storage: Storage,
    quarter: Quarter,
    inputs: dict[str, Any],
    owner: LeaseOwner,
    *,
    restart: bool = False,
) -> RunIdentity:
    """Acquire the lease and start the quarter's run, resume it, or (``restart``) start it over.

    Raises RunRefusedError, naming the other run, when a live one owns the lease, or, naming what
    changed, when the run inputs differ from those that the quarter's run started with.
    """
    key = keys.run_identity(quarter)
    fresh = RunIdentity(
        run_id=f"{owner.run_name}-{fingerprint(inputs)[:8]}",
        quarter=str(quarter),
        fingerprint=fingerprint(inputs),
        inputs=inputs,
        started=utc_now(),
        finished=None,
        owner=owner,
    )
    for _ in range(_ATTEMPTS):
        if storage.create(key, to_json(fresh)):
            if restart:
                clear(storage, quarter)
            return fresh
        data, version = storage.read_versioned(key)
        present = _present(storage, key, data, fresh, restart=restart)
        _refuse_if_owned(quarter, present.owner, owner)
        if not restart and present.fingerprint != fresh.fingerprint:
            raise RunRefusedError(
                f"The quarter {quarter}",
                "cannot be resumed, because inputs changed since its run started: "
                + changes(present.inputs, inputs),
                "Restore them to resume, or pass --restart to clear the quarter and start over "
                "(cached LLM responses are kept).",
            )
        taken = dataclasses.replace(present, owner=owner, finished=None)
        if not storage.replace(key, to_json(taken), version=version):
            # Someone else acquired it just now: read again, to name them.
            continue
        if not restart:
            return taken
        # The old identity stays until all is cleared: a restart that was cut short can neither be
        # taken for a new run nor leave its old parts to one.
        clear(storage, quarter)
        _, version = storage.read_versioned(key)
        if storage.replace(key, to_json(fresh), version=version):
            return fresh
    raise RunRefusedError(
        f"The quarter {quarter}",
        "is being acquired by other runs",
        "Wait for them to end, then run the same command again.",
    )


def _present(
    storage: Storage, key: str, data: bytes, fresh: RunIdentity, *, restart: bool
) -> RunIdentity:
    """The identity in ``data``; on a restart a damaged one has no owner."""
    try:
        return from_json(RunIdentity, data, where=storage.describe(key))
    except InputError:
        if not restart:
            raise
        return dataclasses.replace(fresh, fingerprint="", inputs={}, owner=None)


def refuse_if_running(storage: Storage, quarter: Quarter) -> None:
    """Raise RunRefusedError, naming the run, while one works on the quarter."""
    identity = read_identity(storage, quarter)
    if identity is not None:
        _refuse_if_owned(quarter, identity.owner, this_process(""))


def _refuse_if_owned(quarter: Quarter, present: LeaseOwner | None, mine: LeaseOwner) -> None:
    if present is None or not is_alive(present):
        return
    if present.run_name == mine.run_name and not _same_machine(present, mine):
        # The same run, planned again after its first container was lost.
        return
    raise RunRefusedError(
        f"The quarter {quarter}",
        f"is leased to the run {present.run_name} (process {present.pid} on "
        f"{present.host}, last renewed {present.heartbeat})",
        "Wait for that run to end, or stop it first.",
    )


def renew(storage: Storage, quarter: Quarter, run_name: str) -> None:
    """Renew the lease; raises RunRefusedError when another run owns it now."""
    present = require_lease(storage, quarter, run_name)
    # The jobs of a run share one lease: where one has just renewed it, the others need not.
    if present.owner is not None and seconds_since_renewal(present.owner) < HEARTBEAT_SECONDS / 2:
        return
    _update(storage, quarter, run_name, finished=None, release=False)


def release(storage: Storage, quarter: Quarter, run_name: str, *, finished: bool) -> None:
    """Release the lease, marking the run finished if it is."""
    _update(storage, quarter, run_name, finished=utc_now() if finished else None, release=True)


def require_lease(storage: Storage, quarter: Quarter, run_name: str) -> RunIdentity:
    """The identity of the quarter's run.

    Raises RunRefusedError unless ``run_name`` owns the lease, InputError when there is no run.
    """
    present = read_identity(storage, quarter)
    if present is None:
        raise InputError(
            f"The quarter {quarter}", "has no run", "Run the plan step first: it starts the run."
        )
    _require_owner(quarter, present, run_name)
    return present


def _require_owner(quarter: Quarter, present: RunIdentity, run_name: str) -> LeaseOwner:
    if present.owner is None or present.owner.run_name != run_name:
        other = f"the run {present.owner.run_name}" if present.owner else "nobody"
        raise RunRefusedError(
            f"The quarter {quarter}",
            f"is leased to {other}, not to the run {run_name}",
            "Start the pipeline again for this quarter once that run has ended.",
        )
    return present.owner


def is_alive(owner: LeaseOwner) -> bool:
    """Whether an owner still works: by its process if it is here, else by its last renewal."""
    if not _same_machine(owner, this_process("")):
        return seconds_since_renewal(owner) < LEASE_SECONDS
    try:
        process = psutil.Process(owner.pid)
        # A later process may have been given the same number. A clock that was set meanwhile
        # moves the times of start by as much, so they need not agree to the second.
        apart = abs(process.create_time() - owner.process_started)
        return apart < _SAME_START_SECONDS and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def is_suspended(owner: LeaseOwner) -> bool:
    """Whether the owner is a process of this machine that was stopped and not yet continued."""
    if not _same_machine(owner, this_process("")):
        return False
    try:
        stopped = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
        return psutil.Process(owner.pid).status() in stopped
    except psutil.Error:
        return False


def seconds_since_renewal(owner: LeaseOwner) -> float:
    """Seconds since the owner last renewed the lease."""
    seen = dt.datetime.fromisoformat(owner.heartbeat)
    return (dt.datetime.now(dt.UTC) - seen).total_seconds()


def state_of(identity: RunIdentity) -> RunState:
    """State of a quarter's last run, from its identity and whether its owner is alive."""
    if identity.owner is not None and is_alive(identity.owner):
        return RunState.RUNNING
    return RunState.SUCCEEDED if identity.finished else RunState.UNFINISHED


def _same_machine(one: LeaseOwner, other: LeaseOwner) -> bool:
    """Whether process numbers mean the same to both."""
    return (one.host, one.process_namespace) == (other.host, other.process_namespace)


def _process_namespace() -> str:
    """Which processes this one can see.

    Two attempts of an AWS Batch job on one host may get the same number of a namespace, one after
    the other. The job's id and attempt distinguish them.
    """
    attempt = [os.environ.get(name, "") for name in ("AWS_BATCH_JOB_ID", "AWS_BATCH_JOB_ATTEMPT")]
    return " ".join(part for part in (process_view(), *attempt) if part)


def changes(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Name what differs between two sets of run inputs, setting by setting."""
    found = []
    for name in sorted(set(before) | set(after)):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            found.append(changes(old, new))
        elif isinstance(old, dict | list) or isinstance(new, dict | list):
            found.append(f"{name} (content)")
        else:
            found.append(f"{name} {old!r} -> {new!r}")
    return ", ".join(found)


def clear(storage: Storage, quarter: Quarter) -> None:
    """Remove a quarter's progress, intermediate and processed keys; answers and identity stay.

    Progress goes first, and in it the checkpoints: what is cut short here is merely work undone.
    """
    kept = keys.run_identity(quarter)
    prefixes = [
        keys.progress_prefix(quarter),
        keys.firm_topics_prefix(quarter),
        keys.sentences_prefix(quarter),
        keys.themes_prefix(quarter),
        *(keys.processed_table(table, quarter) for table in keys.PROCESSED_TABLES),
        keys.sentiment_ready(quarter),
    ]
    for prefix in prefixes:
        for key in list(storage.list(prefix)):
            if key != kept and not key.startswith(keys.answers_prefix(quarter)):
                storage.delete(key)


def _update(
    storage: Storage, quarter: Quarter, run_name: str, *, finished: str | None, release: bool
) -> None:
    key = keys.run_identity(quarter)
    # Several jobs of one run renew the same lease; losing the race to one of them is no error.
    for _ in range(_ATTEMPTS):
        data, version = storage.read_versioned(key)
        present = from_json(RunIdentity, data, where=storage.describe(key))
        current = _require_owner(quarter, present, run_name)
        updated = dataclasses.replace(
            present,
            owner=None if release else dataclasses.replace(current, heartbeat=utc_now()),
            finished=finished or present.finished,
        )
        if storage.replace(key, to_json(updated), version=version):
            return
    raise StorageRetryableError(
        f"The file {storage.describe(key)}",
        f"was changed by other processes {_ATTEMPTS} times in a row",
        "Run the same command again.",
    )
