"""Run identity: what a quarter's output is made from, who holds the quarter, how one takes over."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import os
import socket
from pathlib import Path
from typing import Any

import psutil

from ftm_core.contracts import keys
from ftm_core.contracts.errors import (
    InputError,
    ObjectMissingError,
    RunRefusedError,
    StorageRetryableError,
)
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import (
    Holder,
    Manifest,
    RunIdentity,
    from_json,
    to_json,
    utc_now,
)
from ftm_core.contracts.settings import Settings
from ftm_core.llm.prompts import PROMPT_VERSION
from ftm_core.row_code import row_code_version
from ftm_core.storage import Storage

# A holder elsewhere beats at least every HEARTBEAT_SECONDS; after LEASE_SECONDS it counts as dead.
HEARTBEAT_SECONDS = 60
LEASE_SECONDS = 600

_ATTEMPTS = 10
_SAME_START_SECONDS = 60.0


def ingredients(manifest: Manifest, settings: Settings) -> dict[str, Any]:
    """Everything the output rows depend on: inputs, settings, models, prompts, code."""
    return {
        "transcripts": [chunk.sha256 for chunk in manifest.chunks],
        "settings": settings.row_settings(),
        "prompt_version": PROMPT_VERSION,
        "code_version": row_code_version(),
    }


def fingerprint(parts: dict[str, Any]) -> str:
    """SHA-256 of the ingredients in canonical JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def new_run_name(quarter: Quarter) -> str:
    """``Q-YYYYmmdd-HHMMSS`` in UTC, as Step Functions executions are named."""
    return f"{quarter}-{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S}"


def this_process(run_name: str) -> Holder:
    """This process as a holder."""
    return Holder(
        run_name=run_name,
        host=socket.gethostname(),
        pid=os.getpid(),
        process_started=psutil.Process().create_time(),
        heartbeat=utc_now(),
        process_namespace=_process_namespace(),
    )


def read_identity(storage: Storage, quarter: Quarter) -> RunIdentity | None:
    """The quarter's identity, or None when no run has begun."""
    key = keys.run_identity(quarter)
    try:
        return from_json(RunIdentity, storage.read(key), where=storage.describe(key))
    except ObjectMissingError:
        return None


def begin(
    storage: Storage,
    quarter: Quarter,
    parts: dict[str, Any],
    holder: Holder,
    *,
    restart: bool = False,
) -> RunIdentity:
    """Take hold of a quarter: begin it, resume it, or (``restart``) begin it afresh.

    Raises RunRefusedError, naming the other run, when a live one holds the quarter, or, naming
    what changed, when the ingredients differ from those the quarter was begun with.
    """
    key = keys.run_identity(quarter)
    fresh = RunIdentity(
        run_id=f"{holder.run_name}-{fingerprint(parts)[:8]}",
        quarter=str(quarter),
        fingerprint=fingerprint(parts),
        ingredients=parts,
        started=utc_now(),
        finished=None,
        holder=holder,
    )
    for _ in range(_ATTEMPTS):
        if storage.create(key, to_json(fresh)):
            if restart:
                clear(storage, quarter)
            return fresh
        data, version = storage.read_versioned(key)
        present = _present(storage, key, data, fresh, restart=restart)
        _refuse_if_held(quarter, present.holder, holder)
        if not restart and present.fingerprint != fresh.fingerprint:
            raise RunRefusedError(
                f"quarter {quarter}",
                "was begun with other ingredients: " + changes(present.ingredients, parts),
                "Restore them to resume, or pass --restart to clear the quarter and begin afresh "
                "(LLM answers are kept).",
            )
        taken = dataclasses.replace(present, holder=holder, finished=None)
        if not storage.replace(key, to_json(taken), version=version):
            # Someone else took it just now: look again, to name them.
            continue
        if not restart:
            return taken
        # The old identity stands until all is cleared: a restart that was cut short can neither be
        # taken for a fresh run nor leave its old parts to one.
        clear(storage, quarter)
        _, version = storage.read_versioned(key)
        if storage.replace(key, to_json(fresh), version=version):
            return fresh
    raise RunRefusedError(
        f"quarter {quarter}", "is being taken by other runs", "Wait for them to end."
    )


def _present(
    storage: Storage, key: str, data: bytes, fresh: RunIdentity, *, restart: bool
) -> RunIdentity:
    """The identity in ``data``; a damaged one is nobody's when the run begins afresh anyway."""
    try:
        return from_json(RunIdentity, data, where=storage.describe(key))
    except InputError:
        if not restart:
            raise
        return dataclasses.replace(fresh, fingerprint="", ingredients={}, holder=None)


def _refuse_if_held(quarter: Quarter, present: Holder | None, mine: Holder) -> None:
    if present is None or not is_alive(present):
        return
    if present.run_name == mine.run_name and not _same_machine(present, mine):
        # The same run, planned again after its first container was lost.
        return
    raise RunRefusedError(
        f"quarter {quarter}",
        f"is held by run {present.run_name} (process {present.pid} on "
        f"{present.host}, last seen {present.heartbeat})",
        "Wait for it to end, or stop it first.",
    )


def heartbeat(storage: Storage, quarter: Quarter, run_name: str) -> None:
    """Renew the hold; raises RunRefusedError when another run has taken the quarter."""
    present = require_hold(storage, quarter, run_name)
    # The jobs of a run share one hold: where one has just renewed it, the others need not.
    if present.holder is not None and _age(present.holder) < HEARTBEAT_SECONDS / 2:
        return
    _update(storage, quarter, run_name, finished=None, release=False)


def release(storage: Storage, quarter: Quarter, run_name: str, *, finished: bool) -> None:
    """Let go of the quarter, marking it finished if it is."""
    _update(storage, quarter, run_name, finished=utc_now() if finished else None, release=True)


def require_hold(storage: Storage, quarter: Quarter, run_name: str) -> RunIdentity:
    """The identity of the run that ``run_name`` holds; raises RunRefusedError when it does not."""
    present = read_identity(storage, quarter)
    if present is None:
        raise InputError(
            f"quarter {quarter}", "has no run", "Run the plan step first: it begins the run."
        )
    _require_holder(quarter, present, run_name)
    return present


def _require_holder(quarter: Quarter, present: RunIdentity, run_name: str) -> Holder:
    if present.holder is None or present.holder.run_name != run_name:
        other = present.holder.run_name if present.holder else "nobody"
        raise RunRefusedError(
            f"quarter {quarter}",
            f"is held by {other}, not by {run_name}",
            "Start the pipeline again for this quarter once that run has ended.",
        )
    return present.holder


def is_alive(holder: Holder) -> bool:
    """Whether a holder still works: by its process on this machine, by its heartbeat elsewhere."""
    if not _same_machine(holder, this_process("")):
        return _age(holder) < LEASE_SECONDS
    try:
        process = psutil.Process(holder.pid)
        # A later process may have been given the same number. A clock that was set meanwhile
        # moves the times of start by as much, so they need not agree to the second.
        apart = abs(process.create_time() - holder.process_started)
        return apart < _SAME_START_SECONDS and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _same_machine(one: Holder, other: Holder) -> bool:
    """Whether process numbers mean the same to both."""
    return (one.host, one.process_namespace) == (other.host, other.process_namespace)


def _process_namespace() -> str:
    """Which processes this one can see (Linux); empty where there is but one such view."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _age(holder: Holder) -> float:
    """Seconds since the holder was last seen."""
    seen = dt.datetime.fromisoformat(holder.heartbeat)
    return (dt.datetime.now(dt.UTC) - seen).total_seconds()


def changes(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Name what differs between two sets of ingredients, setting by setting."""
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
    # Several jobs of one run renew the same hold; losing the race to one of them is no fault.
    for _ in range(_ATTEMPTS):
        data, version = storage.read_versioned(key)
        present = from_json(RunIdentity, data, where=storage.describe(key))
        held = _require_holder(quarter, present, run_name)
        updated = dataclasses.replace(
            present,
            holder=None if release else dataclasses.replace(held, heartbeat=utc_now()),
            finished=finished or present.finished,
        )
        if storage.replace(key, to_json(updated), version=version):
            return
    raise StorageRetryableError(
        storage.describe(key),
        f"was changed by others {_ATTEMPTS} times in a row",
        "Run the same command again.",
    )
