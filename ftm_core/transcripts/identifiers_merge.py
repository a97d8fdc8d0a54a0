"""Give gvkey and permno to transcripts that came without them, by the link rules."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ftm_core.contracts import records, schemas
from ftm_core.contracts.events import Listener, StageAdvanced, StageFinished, StageStarted, ignore
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.transcript_chunks import iterate_firms, read_manifest
from ftm_core.data.transcript_store import TranscriptStore
from ftm_core.storage.base import Storage
from ftm_core.storage.tables import COMPRESSION, read_run_id
from ftm_core.transcripts.identifiers import Identifiers, Link, Resolution, resolve_firm
from ftm_core.transcripts.identifiers_file import LinkTable

STAGE = "merge identifiers"
_COLUMNS = ("firm_id", "firm_name", "ticker", "gvkey", "earnings_call_dates", "reason")


@dataclass(frozen=True)
class Unmatched:
    """A firm that still has no permno, and why."""

    firm_id: str
    firm_name: str
    ticker: str | None
    gvkey: str | None
    call_days: tuple[dt.date, ...]
    reason: str


@dataclass(frozen=True)
class MergeReport:
    """What a merge came to; ``n_filled`` firms got an identifier that they had not."""

    manifest: records.Manifest
    n_firms: int
    n_filled: int
    n_complete_before: int
    n_rival_links: int
    unmatched: tuple[Unmatched, ...]
    unmatched_place: str


def merge_identifiers(
    storage: Storage,
    quarter: Quarter,
    links: LinkTable,
    *,
    today: dt.date,
    listener: Listener = ignore,
) -> MergeReport:
    """Fill what is missing of permno, gvkey and link_date; what is there is never changed.

    The new chunks stand beside the old ones until the manifest, replaced in one step, names
    them: a reader sees all of the merge or nothing. Raises InputError when the quarter is not
    ingested or a chunk is damaged.
    """
    manifest = read_manifest(storage, quarter)
    store = TranscriptStore(storage, quarter)
    _remove_strays(store, manifest)
    merge = _Merge(links, today)
    first = _free_numbers(store, manifest)
    listener(StageStarted(STAGE, len(manifest.chunks), "chunks"))
    started = dt.datetime.now(dt.UTC)
    chunks = []
    for number, chunk in enumerate(manifest.chunks):
        key = store.chunk_key(first + number)
        chunks.append(merge.rewrite(storage, manifest, chunk, number, key))
        listener(StageAdvanced(STAGE))
    if merge.n_filled:
        manifest = _published(store, manifest, chunks, len(merge.unmatched))
    _remove_strays(store, manifest)
    _write_unmatched(store, merge.unmatched)
    listener(StageFinished(STAGE, (dt.datetime.now(dt.UTC) - started).total_seconds()))
    return MergeReport(
        manifest=manifest,
        n_firms=manifest.n_firms,
        n_filled=merge.n_filled,
        n_complete_before=merge.n_complete,
        n_rival_links=merge.n_rivals,
        unmatched=tuple(merge.unmatched),
        unmatched_place=store.unmatched_location,
    )


class _Merge:
    """Fills one firm after another and keeps count."""

    def __init__(self, links: LinkTable, today: dt.date) -> None:
        self._links = links
        self._today = today
        self.n_filled = 0
        self.n_complete = 0
        self.n_rivals = 0
        self.unmatched: list[Unmatched] = []

    def rewrite(
        self,
        storage: Storage,
        manifest: records.Manifest,
        chunk: records.ChunkRecord,
        number: int,
        key: str,
    ) -> records.ChunkRecord:
        """Write ``chunk`` under ``key`` with identifiers filled in; a row group stays a firm."""
        firm_ids = [firm for firm, place in manifest.firm_to_chunk.items() if place == number]
        stamped = schemas.TRANSCRIPTS.with_metadata(
            {
                schemas.VERSION_KEY: schemas.SCHEMA_VERSION.encode(),
                schemas.RUN_KEY: read_run_id(storage, chunk.key).encode(),
            }
        )
        buffer = io.BytesIO()
        with pq.ParquetWriter(
            buffer, stamped, compression=COMPRESSION, write_statistics=["firm_id"]
        ) as writer:
            for firm_id, rows in iterate_firms(storage, manifest, firm_ids):
                writer.write_table(self._filled(firm_id, rows).cast(stamped))
        data = buffer.getvalue()
        storage.write(key, data)
        return dataclasses.replace(chunk, key=key, sha256=hashlib.sha256(data).hexdigest())

    def _filled(self, firm_id: str, rows: pa.Table) -> pa.Table:
        ticker, name = (_latest(rows, column) for column in ("ticker", "firm_name"))
        present = Identifiers(
            *(_latest(rows, column) for column in ("gvkey", "permno", "link_date"))
        )
        if None not in dataclasses.astuple(present):
            self.n_complete += 1
            return rows
        days = sorted(set(rows.column("earnings_call_date").to_pylist()))
        known = self._links.find(firm_id, ticker, present.gvkey)
        agreeing = [link for link in known if _agrees(link, present)]
        found = resolve_firm(agreeing, days, today=self._today)
        self.n_rivals += found.ambiguous
        filled = _united(present, found.identifiers)
        if filled.permno is None:
            has_key = self._links.could_find(ticker, present.gvkey)
            reason = self._reason(has_key, known, found, days)
            self.unmatched.append(
                Unmatched(firm_id, name, ticker, filled.gvkey, tuple(days), reason)
            )
        if filled == present:
            return rows
        self.n_filled += 1
        return _with_identifiers(rows, filled)

    def _reason(
        self, has_key: bool, known: list[Link], found: Resolution, days: Sequence[dt.date]
    ) -> str:
        """Why no permno was found, the most specific cause first."""
        if not known:
            return "is not in the links file" if has_key else "has no ticker"
        if found.identifiers.gvkey is not None:
            return "no link to a permno is valid on the day of a call"
        if resolve_firm(known, days, today=self._today).identifiers != Identifiers():
            return "the valid links have another gvkey or permno than the transcripts"
        return "no link is valid on the day of a call"


def _agrees(link: Link, present: Identifiers) -> bool:
    """Whether a link contradicts nothing that the transcripts already say."""
    return (present.gvkey is None or link.gvkey in (None, present.gvkey)) and (
        present.permno is None or link.permno in (None, present.permno)
    )


def _united(present: Identifiers, found: Identifiers) -> Identifiers:
    return Identifiers(
        gvkey=present.gvkey or found.gvkey,
        permno=present.permno or found.permno,
        link_date=present.link_date or found.link_date,
    )


def _latest(rows: pa.Table, column: str) -> Any:
    """The firm's value of a column that its latest call gives; None if that has none."""
    return rows.column(column)[-1].as_py()


def _with_identifiers(rows: pa.Table, filled: Identifiers) -> pa.Table:
    for column, value in dataclasses.asdict(filled).items():
        place = rows.schema.get_field_index(column)
        present = rows.schema.field(place)
        if value is not None:
            values = pc.fill_null(rows.column(place), pa.scalar(value, present.type))
            rows = rows.set_column(place, present, values)
    return rows


def _free_numbers(store: TranscriptStore, manifest: records.Manifest) -> int:
    """The first of as many chunk numbers in a row as the quarter needs, none of them in use."""
    used = {chunk.key for chunk in manifest.chunks}
    count = len(manifest.chunks)
    below = {store.chunk_key(number) for number in range(count)}
    return count if used & below else 0


def _published(
    store: TranscriptStore,
    manifest: records.Manifest,
    chunks: Iterable[records.ChunkRecord],
    n_without_permno: int,
) -> records.Manifest:
    """Replace the manifest: from here on the new chunks are the quarter."""
    new = dataclasses.replace(
        manifest,
        chunks=tuple(chunks),
        n_firms_without_permno=n_without_permno,
        created=records.utc_now(),
    )
    store.write_manifest(new)
    return new


def _remove_strays(store: TranscriptStore, manifest: records.Manifest) -> None:
    """Delete chunks that the manifest does not name: an earlier merge's, or one that stopped."""
    store.delete_chunks(except_keys=frozenset(chunk.key for chunk in manifest.chunks))


def _write_unmatched(store: TranscriptStore, unmatched: Sequence[Unmatched]) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for firm in unmatched:
        days = " ".join(day.isoformat() for day in firm.call_days)
        writer.writerow((firm.firm_id, firm.firm_name, firm.ticker, firm.gvkey, days, firm.reason))
    store.write_unmatched(text.getvalue().encode())
