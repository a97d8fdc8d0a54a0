"""Ingest a quarter's transcripts from a file or folder into chunks and a manifest."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ftm_core.contracts import events, keys, records
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.lease import refuse_if_running
from ftm_core.data.transcript_chunks import find_manifest
from ftm_core.storage.base import Storage
from ftm_core.storage.local import LocalStorage
from ftm_core.storage.probe import probe
from ftm_core.transcripts.assembling import Assembler
from ftm_core.transcripts.chunks import (
    FIRMS_PER_CHUNK,
    ChunkWriter,
    clear_quarter,
)
from ftm_core.transcripts.layouts import ColumnMap, column_map
from ftm_core.transcripts.rejects import Reject, RejectedRowsError, RejectLog, printable
from ftm_core.transcripts.rows import Problem, check_row
from ftm_core.transcripts.sources import Damage, Source, open_source
from ftm_core.transcripts.staging import Staging

_READ = "read"
_WRITE = "write"
_ROWS_PER_EVENT = 1000


@dataclass(frozen=True)
class IngestOptions:
    """How to read a source, and what may happen to a quarter that is there already.

    ``columns`` maps our names to the source's. ``strict`` refuses the source if one row is
    rejected. ``name`` is what the manifest calls the source, its path when None.
    """

    layout: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    replace: bool = False
    strict: bool = False
    name: str | None = None
    firms_per_chunk: int = FIRMS_PER_CHUNK


@dataclass(frozen=True)
class IngestReport:
    """What an ingest came to; ``rejects`` are the first rejected rows, the file holds all."""

    quarter: Quarter
    layout: str
    already_ingested: bool
    manifest: records.Manifest
    n_rows: int
    rejects: tuple[Reject, ...]
    rejects_by_reason: Mapping[str, int]
    rejects_place: str | None
    seconds: float


def ingest(
    source: Path,
    quarter: Quarter,
    storage: Storage,
    options: IngestOptions | None = None,
    listener: events.Listener = events.ignore,
) -> IngestReport:
    """Read, check and order the rows of ``source`` and write the quarter's transcripts.

    Nothing is written before the whole source is read and its chunks are made. Raises InputError
    when the source cannot be read as a whole, no row is accepted (or, with ``strict``, one is
    rejected), or the quarter was ingested from other content and ``replace`` is not set, and
    RunRefusedError while a run works on the quarter. Ingesting the same content again does nothing.
    """
    options = options or IngestOptions()
    started = time.monotonic()
    name = options.name or printable(str(source))
    opened = open_source(source)
    columns = column_map(
        opened.columns, where=str(source), layout=options.layout, overrides=options.columns
    )
    checksum = _content_checksum(opened, columns)
    if options.replace:
        refuse_if_running(storage, quarter)
    # A replaced quarter's manifest may be damaged: that is one reason to replace it.
    standing = None if options.replace else find_manifest(storage, quarter)
    if standing is not None:
        _refuse_other_content(standing, checksum, storage, quarter)
        return IngestReport(quarter, columns.describe(), True, standing, 0, (), {}, None, 0.0)
    probe(storage)
    with tempfile.TemporaryDirectory(prefix="ftm-ingest-") as folder:
        log = RejectLog(Path(folder) / "rejects.csv")
        job = _Job(opened, columns, quarter, name, checksum, options, listener, log)
        try:
            n_rows, manifest = job.prepare(Path(folder))
        finally:
            log.close()
        _publish(LocalStorage(Path(folder)), storage, quarter, manifest, log)
    return IngestReport(
        quarter=quarter,
        layout=columns.describe(),
        already_ingested=False,
        manifest=manifest,
        n_rows=n_rows,
        rejects=tuple(log.first),
        rejects_by_reason=dict(log.by_reason.most_common()),
        rejects_place=storage.describe(keys.transcripts_rejects(quarter)) if log.count else None,
        seconds=time.monotonic() - started,
    )


@dataclass(frozen=True)
class _Job:
    """One ingest between opening the source and publishing its chunks."""

    source: Source
    columns: ColumnMap
    quarter: Quarter
    name: str
    checksum: str
    options: IngestOptions
    listener: events.Listener
    log: RejectLog

    def prepare(self, folder: Path) -> tuple[int, records.Manifest]:
        """Make chunks and manifest in ``folder``; returns the rows read, too."""
        with Staging(folder) as staging:
            n_rows = self._read(staging)
            self._judge(n_rows, n_accepted=staging.count)
            manifest = self._write(staging, folder, n_rows)
        return n_rows, manifest

    def _read(self, staging: Staging) -> int:
        """Check every row: accepted ones are staged, the others logged."""
        started = time.monotonic()
        self.listener(events.StageStarted(_READ, self.source.size, self.source.unit))
        wanted = tuple(dict.fromkeys(self.columns.columns.values()))
        n_rows = told = 0
        for row in self.source.rows(wanted):
            n_rows += 1
            if isinstance(row, Damage):
                self.log.add(Reject(row.file, row.number, "", row.value, row.reason))
            else:
                checked = check_row(row.values, self.columns, self.quarter)
                if isinstance(checked, Problem):
                    self.log.add(Reject(row.file, row.number, *checked))
                else:
                    staging.add(row.file, row.number, checked)
            if n_rows % _ROWS_PER_EVENT == 0:
                self.listener(events.StageAdvanced(_READ, self.source.read_so_far - told))
                told = self.source.read_so_far
        self.listener(events.StageAdvanced(_READ, self.source.size - told))
        self.listener(events.StageFinished(_READ, time.monotonic() - started))
        return n_rows

    def _write(self, staging: Staging, folder: Path, n_rows: int) -> records.Manifest:
        """Order the rows, make firms of them, and write their chunks below ``folder``."""
        started = time.monotonic()
        n_firms = staging.sort()
        shared = (
            staging.transcripts_of_several_firms() if self.columns.layout.global_transcripts else {}
        )
        assembler = Assembler(self.columns, self.log.add, shared)
        writer = ChunkWriter(
            LocalStorage(folder),
            self.quarter,
            run_id=f"ingest-{self.checksum[:16]}",
            firms_per_chunk=self.options.firms_per_chunk,
        )
        self.listener(events.StageStarted(_WRITE, n_firms, "firms"))
        n_written = 0
        for _, rows in staging.firms():
            firm = assembler.firm(rows)
            if firm is not None:
                writer.add_firm(firm)
                n_written += 1
            self.listener(events.StageAdvanced(_WRITE))
        self._judge(n_rows, n_accepted=n_written)
        manifest = writer.finish(
            source=self.name, source_sha256=self.checksum, n_rejected_rows=self.log.count
        )
        self.listener(events.StageFinished(_WRITE, time.monotonic() - started))
        return manifest

    def _judge(self, n_rows: int, *, n_accepted: int) -> None:
        """Refuse a source of which nothing is left, or, when strict, anything was rejected."""
        if n_rows == 0:
            raise InputError(self.name, "holds no row of data", "Export it again.")
        if n_accepted and not (self.options.strict and self.log.count):
            return
        first = self.log.first[0]
        reason, times = self.log.by_reason.most_common(1)[0]
        example = f"the first is {first.file} row {first.row}: {first.field} {first.reason}".strip()
        if not n_accepted:
            cause = f"has no row to ingest into {self.quarter} among {n_rows:,}; {example}"
            hint = f"Most often ({times:,} rows): {reason}."
        else:
            cause = f"has {self.log.count:,} rejected rows among {n_rows:,}; {example}"
            hint = "Correct the source, or leave out --strict to ingest the other rows."
        raise RejectedRowsError(self.name, cause, hint, self.log)


def _content_checksum(source: Source, columns: ColumnMap) -> str:
    """SHA-256 of the source; options that change how it is read change it too."""
    content = source.checksum()
    if columns.as_recognised:
        return content
    reading = json.dumps([columns.layout.name, dict(columns.columns)], sort_keys=True)
    return hashlib.sha256(f"{content}\n{reading}".encode()).hexdigest()


def _refuse_other_content(
    standing: records.Manifest, checksum: str, storage: Storage, quarter: Quarter
) -> None:
    """Raise InputError unless the quarter is whole and came from this very content."""
    where = f"{storage.uri} {quarter}"
    if standing.source_sha256 != checksum:
        raise InputError(
            where,
            f"was ingested from {standing.source} on {standing.created}, with other content",
            "Add --replace to remove it and ingest this source instead.",
        )
    for chunk in standing.chunks:
        if not storage.exists(chunk.key):
            raise InputError(
                storage.describe(chunk.key),
                "is missing, though the manifest names it",
                "Add --replace to ingest the quarter again.",
            )


def _publish(
    made: LocalStorage,
    storage: Storage,
    quarter: Quarter,
    manifest: records.Manifest,
    log: RejectLog,
) -> None:
    """Put chunks, rejects and, last, the manifest where they belong; what was there goes first."""
    # Reading the source takes its time, and a run may have begun meanwhile.
    refuse_if_running(storage, quarter)
    clear_quarter(storage, quarter)
    for chunk in manifest.chunks:
        storage.write(chunk.key, made.read(chunk.key))
    if log.count:
        with (
            log.path.open("rb") as file,
            storage.open_output(keys.transcripts_rejects(quarter)) as target,
        ):
            while block := file.read(1024 * 1024):
                target.write(block)
    storage.write(keys.transcripts_manifest(quarter), records.to_json(manifest))
