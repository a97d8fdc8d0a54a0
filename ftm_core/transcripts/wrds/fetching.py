"""Fetch a quarter from WRDS into chunks, resuming where an earlier attempt stopped."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import psycopg

from ftm_core.contracts.errors import RetryableError
from ftm_core.contracts.events import Listener, Note, StageAdvanced, StageFinished, StageStarted
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import Manifest
from ftm_core.data.lease import refuse_if_running
from ftm_core.data.transcript_chunks import read_manifest
from ftm_core.storage.base import Storage
from ftm_core.transcripts.call_sentences import split_turns
from ftm_core.transcripts.chunks import FIRMS_PER_CHUNK, Call, ChunkWriter, FirmTranscripts
from ftm_core.transcripts.values import parse_speaker_type
from ftm_core.transcripts.wrds import queries
from ftm_core.transcripts.wrds.connecting import ConnectionLostError, translated
from ftm_core.transcripts.wrds.planning import Plan, PlannedCall, PlannedFirm, read_plan
from ftm_core.transcripts.wrds.rejects import write_rejects
from ftm_core.transcripts.wrds.state import SOURCE, refuse_other_source, start_or_resume, state_for

STAGE = "fetch from WRDS"
_PAUSES = (2.0, 5.0, 15.0, 30.0, 60.0)


@dataclass(frozen=True)
class FetchRequest:
    """What to fetch and how; ``rows_at_once`` bounds what one answer of the server holds."""

    quarter: Quarter
    replace: bool = False
    firms_per_chunk: int = FIRMS_PER_CHUNK
    rows_at_once: int = 1000
    reconnects: int = len(_PAUSES)


@dataclass(frozen=True)
class FetchReport:
    """What became of a quarter's fetch; ``already_complete`` means that nothing was done."""

    manifest: Manifest
    n_components: int
    n_blank_components: int
    n_calls_without_text: int
    n_older_versions: int
    n_firms_without_gvkey: int
    n_firms_with_rival_links: int
    n_firms_resumed: int
    already_complete: bool


def fetch_quarter(
    storage: Storage,
    request: FetchRequest,
    connect: Callable[[], psycopg.Connection],
    listener: Listener,
    *,
    today: dt.date,
    pause: Callable[[float], None] = time.sleep,
) -> FetchReport:
    """Fetch all earnings calls of a quarter and write its chunks and manifest.

    A lost connection is made again, at most ``reconnects`` times between two chunks; each time
    the quarter is planned again, and the fetch is refused if WRDS changed meanwhile. Raises
    RetryableError when the server stays away (all whole chunks are kept), RunRefusedError when
    the quarter is of another source or state or a run works on it, InputError when login or tables
    are refused or the quarter has no call.
    """
    # Before the login, which may ask for an approval on the phone.
    if request.replace:
        refuse_if_running(storage, request.quarter)
    else:
        refuse_other_source(storage, request.quarter)
    attempt = _Attempt(storage, request, listener, today)
    lost = 0
    while True:
        firms_before = attempt.firms_saved
        try:
            connection = connect()
        except ConnectionLostError:
            # A server that was never there is reported at once; one that went away is waited for.
            if not attempt.began:
                raise
            lost = _next(lost, request, listener, pause)
            continue
        try:
            with contextlib.closing(connection):
                return attempt.run(connection)
        except ConnectionLostError:
            lost = 0 if attempt.firms_saved > firms_before else lost
            lost = _next(lost, request, listener, pause)


def _next(
    lost: int, request: FetchRequest, listener: Listener, pause: Callable[[float], None]
) -> int:
    """Wait before another connection, or give up once they have been lost too often."""
    if lost >= request.reconnects:
        raise RetryableError(
            f"The quarter {request.quarter}",
            f"lost its connection to WRDS {lost + 1} times in a row",
            "All whole chunks are kept. Run the same command again later: it resumes after them.",
        )
    seconds = _PAUSES[min(lost, len(_PAUSES) - 1)]
    listener(
        Note(
            f"The connection to WRDS was lost. Connecting again in {seconds:.0f} s "
            f"({lost + 1} of {request.reconnects}); approve the Duo prompt if one appears.",
            "warning",
        )
    )
    pause(seconds)
    return lost + 1


class _Attempt:
    """One command's work on a quarter, over as many connections as it takes."""

    def __init__(
        self, storage: Storage, request: FetchRequest, listener: Listener, today: dt.date
    ) -> None:
        self._storage = storage
        self._request = request
        self._listener = listener
        self._today = today
        self._replace = request.replace
        self._resumed: int | None = None
        self._writer: ChunkWriter | None = None
        self.began = False

    @property
    def firms_saved(self) -> int:
        """Firms in whole chunks, which nothing can take back."""
        return len(self._writer.committed_firm_ids) if self._writer is not None else 0

    def run(self, connection: psycopg.Connection) -> FetchReport:
        """Plan, resume after the committed chunks, and finish the quarter."""
        self._listener(Note("Connected to WRDS. Listing the quarter's calls and links."))
        quarter = self._request.quarter
        plan = read_plan(connection, quarter, today=self._today)
        state = state_for(plan, quarter, firms_per_chunk=self._request.firms_per_chunk)
        complete = start_or_resume(self._storage, quarter, state, replace=self._replace)
        # Only the first connection clears; after that there are chunks to keep.
        self._replace, self.began = False, True
        if complete:
            return self._report(plan, read_manifest(self._storage, quarter), complete=True)
        writer = self._writer = ChunkWriter.resume(
            self._storage,
            quarter,
            run_id=state.run_id,
            firms_per_chunk=self._request.firms_per_chunk,
        )
        if self._resumed is None:
            self._resumed = self.firms_saved
        self._write(connection, plan, writer)
        n_rejected = write_rejects(self._storage, quarter, plan)
        manifest = writer.finish(
            source=SOURCE, source_sha256=state.content_sha256, n_rejected_rows=n_rejected
        )
        return self._report(plan, manifest, complete=False)

    def _write(self, connection: psycopg.Connection, plan: Plan, writer: ChunkWriter) -> None:
        saved = writer.committed_firm_ids
        waiting = [firm for firm in plan.firms if firm.firm_id not in saved]
        left = sum(call.n_components for firm in waiting for call in firm.calls)
        self._listener(
            StageStarted(STAGE, plan.n_components, "components", plan.n_components - left)
        )
        began = time.monotonic()
        for planned, firm in _stream(connection, waiting, self._request.rows_at_once):
            writer.add_firm(firm)
            self._listener(StageAdvanced(STAGE, sum(call.n_components for call in planned.calls)))
        self._listener(StageFinished(STAGE, time.monotonic() - began))

    def _report(self, plan: Plan, manifest: Manifest, *, complete: bool) -> FetchReport:
        return FetchReport(
            manifest=manifest,
            n_components=plan.n_components,
            n_blank_components=plan.n_blank,
            n_calls_without_text=len(plan.silent),
            n_older_versions=plan.n_older_versions,
            n_firms_without_gvkey=sum(firm.identifiers.gvkey is None for firm in plan.firms),
            n_firms_with_rival_links=sum(firm.ambiguous for firm in plan.firms),
            n_firms_resumed=self._resumed or 0,
            already_complete=complete,
        )


def _stream(
    connection: psycopg.Connection, firms: Sequence[PlannedFirm], rows_at_once: int
) -> Iterator[tuple[PlannedFirm, FirmTranscripts]]:
    """Yield each firm with its text, in order; memory holds one answer and one firm."""
    owners = [(firm, call) for firm in firms for call in firm.calls]
    with translated(), connection.cursor(name="ftm_components") as cursor:
        cursor.itersize = rows_at_once
        cursor.execute(
            queries.COMPONENTS,
            {
                "transcripts": [call.transcript for _, call in owners],
                "places": list(range(len(owners))),
            },
        )
        by_call = groupby(cursor, key=lambda row: owners[row[0]])
        for firm, group in groupby(by_call, key=lambda pair: pair[0][0]):
            calls = tuple(_call(call, rows) for (_, call), rows in group)
            yield firm, _firm_transcripts(firm, calls)


def _call(call: PlannedCall, rows: Iterator[tuple[int, int, str | None, str | None]]) -> Call:
    turns = []
    last = None
    for _, component, text, speaker in rows:
        # WRDS may list a component once for each of two speakers; it was said once.
        if component != last:
            turns.append((parse_speaker_type(speaker), text or ""))
        last = component
    return Call(str(call.transcript), call.day, split_turns(turns))


def _firm_transcripts(firm: PlannedFirm, calls: tuple[Call, ...]) -> FirmTranscripts:
    return FirmTranscripts(
        firm_id=firm.firm_id,
        firm_name=firm.name,
        calls=calls,
        permno=firm.identifiers.permno,
        gvkey=firm.identifiers.gvkey,
        link_date=firm.identifiers.link_date,
    )
