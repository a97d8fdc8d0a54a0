"""The inputs of a quarter's fetch: stored beside the chunks, compared before it resumes."""

from __future__ import annotations

import hashlib
import json

from ftm_core import __version__
from ftm_core.contracts import records
from ftm_core.contracts.errors import InputError, RunRefusedError
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.lease import refuse_if_running
from ftm_core.data.transcript_store import TranscriptStore
from ftm_core.storage.base import Storage
from ftm_core.transcripts.wrds import queries
from ftm_core.transcripts.wrds.planning import Plan

SOURCE = "WRDS (Capital IQ, Compustat, CRSP)"


@records.record
class FetchState:
    """Parameters and content that the chunks of a quarter are made from."""

    quarter: str
    run_id: str
    parameters: dict[str, str]
    content_sha256: str
    n_firms: int
    n_calls: int
    n_components: int
    started: str


def state_for(plan: Plan, quarter: Quarter, *, firms_per_chunk: int) -> FetchState:
    """The state of a fetch that would begin now; its run id follows from the rest."""
    parameters = {
        "quarter": str(quarter),
        "firms_per_chunk": str(firms_per_chunk),
        "keydeveventtypeid": str(queries.EARNINGS_CALL),
        "ftm": __version__,
    }
    content = plan.content_sha256
    name = hashlib.sha256(json.dumps([parameters, content]).encode()).hexdigest()
    return FetchState(
        quarter=str(quarter),
        run_id=f"wrds-{quarter}-{name[:12]}",
        parameters=parameters,
        content_sha256=content,
        n_firms=len(plan.firms),
        n_calls=plan.n_calls,
        n_components=plan.n_components,
        started=records.utc_now(),
    )


def refuse_other_source(storage: Storage, quarter: Quarter) -> None:
    """Raise RunRefusedError when the quarter's transcripts did not come from WRDS."""
    manifest = TranscriptStore(storage, quarter).find_manifest()
    if manifest is not None and manifest.source != SOURCE:
        raise RunRefusedError(
            f"The quarter {quarter}",
            f"is already ingested from {manifest.source}",
            "Pass --replace to put the transcripts from WRDS in their place.",
        )


def start_or_resume(storage: Storage, quarter: Quarter, now: FetchState, *, replace: bool) -> bool:
    """Start the fetch, or resume the one that was started; True when it is already complete.

    Raises RunRefusedError, naming what changed, when the quarter was begun or finished with
    other parameters or before WRDS changed. ``replace`` clears it instead, unless it is this very
    fetch that stopped half-way: the same command, given again, resumes.
    """
    store = TranscriptStore(storage, quarter)
    if replace and not _stopped_half_way(store, now):
        refuse_if_running(storage, quarter)
        store.clear()
    before = _read(store)
    manifest = store.find_manifest()
    if before is not None:
        _refuse_change(before, now)
        if manifest is not None and manifest.source_sha256 == now.content_sha256:
            return True
    elif manifest is not None:
        raise RunRefusedError(
            f"The quarter {quarter}",
            "is ingested, but the settings that it was fetched with are not known",
            "Pass --replace to fetch it again.",
        )
    else:
        store.write_source_state(now)
    return False


def _stopped_half_way(store: TranscriptStore, now: FetchState) -> bool:
    if store.has_manifest():
        return False
    try:
        before = _read(store)
    except InputError:
        # A damaged state is one reason to replace it.
        return False
    return before is not None and before.run_id == now.run_id


def _refuse_change(before: FetchState, now: FetchState) -> None:
    changed = [
        f"{name} {before.parameters.get(name)} -> {value}"
        for name, value in now.parameters.items()
        if before.parameters.get(name) != value
    ]
    if before.content_sha256 != now.content_sha256:
        changed.append(
            f"WRDS's tables (firms {before.n_firms} -> {now.n_firms}, calls {before.n_calls} -> "
            f"{now.n_calls}, components {before.n_components} -> {now.n_components}, or their "
            "content)"
        )
    if changed:
        raise RunRefusedError(
            f"The quarter {now.quarter}",
            f"was started on {before.started} with other inputs: {', '.join(changed)}",
            "Pass --replace to clear the quarter and fetch it again, so that it is all of one "
            "state.",
        )


def _read(store: TranscriptStore) -> FetchState | None:
    try:
        return store.read_source_state(FetchState)
    except InputError as error:
        raise InputError(
            error.where, error.cause, "Pass --replace to fetch the quarter again."
        ) from error
