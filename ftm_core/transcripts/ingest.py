"""Ingest transcripts from files or folders into the chunks and manifests of their quarters."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from ftm_core.contracts import events, records
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.lease import refuse_if_running
from ftm_core.data.transcript_store import TranscriptStore
from ftm_core.storage.base import Storage
from ftm_core.storage.local import LocalStorage
from ftm_core.storage.probe import probe
from ftm_core.text.sentences import LONGEST_SENTENCE
from ftm_core.transcripts.assembling import Assembler, FirmRows
from ftm_core.transcripts.chunks import FIRMS_PER_CHUNK, ChunkWriter
from ftm_core.transcripts.ingest_report import IngestReport, QuarterResult
from ftm_core.transcripts.publishing import existing_manifests, publish
from ftm_core.transcripts.rejection_limits import check_rejects
from ftm_core.transcripts.rejects import RejectLog, printable
from ftm_core.transcripts.results import Reject
from ftm_core.transcripts.row_reader import (
    Accepted,
    OtherQuarter,
    ReadOptions,
    Rejected,
    Repeated,
    RowReader,
)
from ftm_core.transcripts.sources import OpenOptions, open_source
from ftm_core.transcripts.splitting import Splitter
from ftm_core.transcripts.staging import MEMORY_LIMIT, Staging

_READ = "read"
_WRITE = "write"
_ROWS_PER_EVENT = 1000


@dataclass(frozen=True)
class IngestOptions(ReadOptions):
    """How to read a source, and what may happen to a quarter that is there already.

    ``with_tables`` are joined to the source, ``dates`` is a table with the days of calls. Without
    ``accept_rejects`` a source with more than 2 % of rejected rows is refused; ``strict`` refuses
    it for one. ``memory_limit`` is what the sort may hold. ``name`` is what the manifest calls the
    source, its path when None.
    """

    with_tables: Sequence[str | Path] = ()
    dates: str | Path | None = None
    replace: bool = False
    accept_rejects: bool = False
    strict: bool = False
    memory_limit: str = MEMORY_LIMIT
    n_workers: int | None = None
    name: str | None = None
    firms_per_chunk: int = FIRMS_PER_CHUNK


def ingest(
    source: str | Path | Sequence[str | Path],
    quarters: Quarter | Collection[Quarter] | None,
    storage: Storage,
    options: IngestOptions | None = None,
    listener: events.Listener = events.ignore,
) -> IngestReport:
    """Read, check and order the rows of ``source`` and write the transcripts of ``quarters``.

    ``source`` is a file, a folder, a glob or several of them; ``quarters`` None means every quarter
    that the source holds. Nothing is written before the whole source is read and its chunks are
    made. Raises InputError when the source cannot be read as a whole, no row of a wanted quarter
    is accepted, too many are rejected, or a quarter was ingested from other content and ``replace``
    is not set, and RunRefusedError while a run works on a quarter. Ingesting the same content again
    does nothing.
    """
    options = options or IngestOptions()
    started = time.monotonic()
    given = [source] if isinstance(source, str | Path) else list(source)
    wanted = [quarters] if isinstance(quarters, Quarter) else quarters
    name = options.name or printable(", ".join(str(path) for path in given))
    with tempfile.TemporaryDirectory(prefix="ftm-ingest-") as workplace:
        folder = Path(workplace)
        opened = open_source(given, folder, open_options(options))
        reader = RowReader(opened, options, wanted)
        checksum = reader.checksum()
        if options.replace:
            for quarter in wanted or ():
                refuse_if_running(storage, quarter)
        existing = existing_manifests(storage, wanted or (), checksum, replace=options.replace)
        if wanted is not None and len(existing) == len(wanted):
            return _nothing_to_do(reader, existing, started)
        probe(storage)
        job = _Job(reader, wanted, name, checksum, options, listener, folder)
        results = job.run(storage, existing)
        return job.report(results, started, opened.warnings)


class _Job:
    """One ingest between opening the source and publishing its chunks."""

    def __init__(
        self,
        reader: RowReader,
        wanted: Collection[Quarter] | None,
        name: str,
        checksum: str,
        options: IngestOptions,
        listener: events.Listener,
        folder: Path,
    ) -> None:
        self._reader = reader
        self._wanted = wanted
        self._name = name
        self._checksum = checksum
        self._options = options
        self._listener = listener
        self._folder = folder
        self._log = RejectLog(folder / "rejects.csv")
        # Rejects of unknown day belong to every quarter of the run.
        self._one_quarter = wanted is not None and len(wanted) == 1
        self._rejects: dict[str | None, RejectLog] = {}
        self.other_quarters: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self._n_older = 0
        self._warnings: list[str] = []
        self._results: dict[str, tuple[int, Counter[str]]] = {}

    def run(
        self, storage: Storage, existing: dict[str, records.Manifest]
    ) -> tuple[QuarterResult, ...]:
        """Read, sort, write below the work folder, then publish quarter by quarter."""
        try:
            with Staging(self._folder, self._options.memory_limit) as staging:
                self._read(staging)
                self._check_rejects(n_accepted=staging.count)
                manifests = self._write(staging)
        finally:
            for log in (self._log, *self._rejects.values()):
                log.close()
        if self._wanted is None:
            # Only now is it known which quarters there are. One that must not be written over
            # ends the ingest before any other is written.
            existing = existing_manifests(
                storage,
                [Quarter.parse(quarter) for quarter in manifests],
                self._checksum,
                replace=self._options.replace,
            )
        return tuple(
            QuarterResult(Quarter.parse(quarter), existing[quarter], already_ingested=True)
            if quarter in existing
            else self._publish(storage, Quarter.parse(quarter), manifest)
            for quarter, manifest in manifests.items()
        )

    def report(
        self, results: tuple[QuarterResult, ...], started: float, warnings: Sequence[str]
    ) -> IngestReport:
        """All that the run came to."""
        reader = self._reader
        emptied = {
            f"{reader.columns.columns.get(name, name)} {reason}": count
            for (name, reason), count in reader.checker.emptied.most_common()
        }
        return IngestReport(
            layout=reader.columns.describe(),
            form=reader.form,
            quarters=results,
            n_rows=reader.n_rows,
            n_rejects=self._log.count,
            rejects=tuple(self._log.first),
            rejects_by_reason=dict(self._log.by_reason.most_common()),
            other_quarters=dict(sorted(self.other_quarters.items())),
            emptied=emptied,
            skipped=dict(self.skipped.most_common()),
            n_older_versions=self._n_older,
            warnings=(
                *warnings,
                *reader.source.warnings,
                *reader.cleaner.warnings(),
                *self._warnings,
            ),
            seconds=time.monotonic() - started,
        )

    def _read(self, staging: Staging) -> None:
        """Check every row: accepted ones are staged, the others logged and counted."""
        started = time.monotonic()
        reader, source = self._reader, self._reader.source
        self._listener(events.StageStarted(_READ, source.size, source.unit))
        reported = 0
        add = staging.add
        for count, item in enumerate(reader.items(), start=1):
            if isinstance(item, Accepted):
                add(*item)
            elif isinstance(item, OtherQuarter):
                self.other_quarters[item.quarter] += 1
            elif isinstance(item, Rejected):
                self._reject(item.quarter, item.reject)
            elif isinstance(item, Repeated):
                self.skipped["a call that came before, word for word"] += 1
            else:
                self.skipped[item.reason] += 1
            if count % _ROWS_PER_EVENT == 0:
                now = min(source.read_so_far, source.size)
                self._listener(events.StageAdvanced(_READ, now - reported))
                reported = now
        self._listener(events.StageAdvanced(_READ, max(0, source.size - reported)))
        self._listener(events.StageFinished(_READ, time.monotonic() - started))

    def _reject(self, quarter: str | None, reject: Reject) -> None:
        self._log.add(reject)
        if self._one_quarter:
            return
        log = self._rejects.get(quarter)
        if log is None:
            path = self._folder / f"rejects-{quarter or 'undated'}.csv"
            log = self._rejects[quarter] = RejectLog(path)
        log.add(reject)

    def _write(self, staging: Staging) -> dict[str, records.Manifest]:
        """Order the rows, make firms of them, and write their chunks below the work folder."""
        started = time.monotonic()
        superseded = self._reader.versions.superseded()
        self._n_older = len(superseded)
        n_firms = staging.sort(without=list(superseded))
        self._listener(events.StageStarted(_WRITE, n_firms, "firms"))
        splits = self._reader.columns.layout.splits
        manifests: dict[str, records.Manifest] = {}
        n_overlong = n_nearly_equal = 0
        first_pair: tuple[object, ...] = ()
        with Splitter(staging.count if splits else 0, self._options.n_workers) as splitter:
            for quarter, group in groupby(staging.firms(), key=lambda firm: firm[0]):
                assembler = Assembler(self._reader.columns, partial(self._reject, quarter))
                writer = ChunkWriter(
                    LocalStorage(self._folder),
                    Quarter.parse(quarter),
                    run_id=f"ingest-{self._checksum[:16]}",
                    firms_per_chunk=self._options.firms_per_chunk,
                )
                firms = (self._assembled(assembler, rows) for _, _, rows in group)
                kept = (firm for firm in firms if firm is not None)
                n_written = 0
                for firm, sentences in splitter.split_all(kept, FirmRows.texts):
                    writer.add_firm(firm.transcripts(sentences))
                    n_overlong += firm.n_overlong()
                    n_written += 1
                n_nearly_equal += len(assembler.nearly_equal)
                first_pair = first_pair or next(iter(assembler.nearly_equal), ())
                if not n_written:
                    continue
                self._results[quarter] = (
                    assembler.turns_by_speaker.total(),
                    assembler.turns_by_speaker,
                )
                manifests[quarter] = writer.finish(
                    source=self._name,
                    source_sha256=self._checksum,
                    n_rejected_rows=self._n_rejects(quarter),
                )
        self._warn(n_overlong, n_nearly_equal, first_pair)
        self._check_rejects(n_accepted=len(manifests))
        self._listener(events.StageFinished(_WRITE, time.monotonic() - started))
        return manifests

    def _assembled(self, assembler: Assembler, rows: Sequence[object]) -> FirmRows | None:
        firm = assembler.firm(rows)  # type: ignore[arg-type]
        self._listener(events.StageAdvanced(_WRITE))
        return firm

    def _warn(self, n_overlong: int, n_nearly_equal: int, first_pair: tuple[object, ...]) -> None:
        """Note what is stored, but is most likely not what the user wants."""
        if n_overlong:
            self._warnings.append(
                f"{n_overlong:,} rows that should be sentences have more than "
                f"{LONGEST_SENTENCE:,} characters and were split. If rows are turns, add --layout "
                "turns; if they are whole calls, --layout calls."
            )
        if n_nearly_equal:
            firm, one, other, day = first_pair
            self._warnings.append(
                f"{n_nearly_equal:,} pairs of calls of one firm and day say nearly the same (the "
                f"first: firm {firm}, transcripts {one} and {other}, {day}). They are most likely "
                "versions of one call; add the columns that distinguish versions, such as "
                "keydevid and transcriptpresentationtypename."
            )

    def _n_rejects(self, quarter: str) -> int:
        if self._one_quarter:
            return self._log.count
        return sum(log.count for its, log in self._rejects.items() if its in (quarter, None))

    def _check_rejects(self, *, n_accepted: int) -> None:
        """Refuse a source of which nothing is left or too much is rejected."""
        check_rejects(
            self._name,
            self._log,
            n_accepted=n_accepted,
            n_rows=self._reader.n_rows,
            other_quarters=self.other_quarters,
            wanted=self._wanted,
            strict=self._options.strict,
            accept_rejects=self._options.accept_rejects,
        )

    def _publish(
        self, storage: Storage, quarter: Quarter, manifest: records.Manifest
    ) -> QuarterResult:
        rejects = [log.path for its, log in self._rejects.items() if its in (str(quarter), None)]
        publish(
            storage,
            LocalStorage(self._folder),
            quarter,
            manifest,
            [self._log.path] if self._one_quarter else rejects,
        )
        n_turns, speakers = self._results[str(quarter)]
        place = TranscriptStore(storage, quarter).rejects_location
        return QuarterResult(
            quarter,
            manifest,
            n_turns=n_turns,
            turns_by_speaker=dict(speakers.most_common()),
            rejects_place=place if manifest.n_rejected_rows else None,
        )


def open_options(options: IngestOptions) -> OpenOptions:
    """What of the options says how files are opened."""
    return OpenOptions(
        options.encoding,
        options.name_pattern,
        options.with_tables,
        options.dates,
        options.memory_limit,
    )


def _nothing_to_do(
    reader: RowReader, existing: dict[str, records.Manifest], started: float
) -> IngestReport:
    return IngestReport(
        layout=reader.columns.describe(),
        form=reader.form,
        quarters=tuple(
            QuarterResult(Quarter.parse(quarter), manifest, already_ingested=True)
            for quarter, manifest in existing.items()
        ),
        n_rows=0,
        n_rejects=0,
        rejects=(),
        rejects_by_reason={},
        other_quarters={},
        emptied={},
        skipped={},
        n_older_versions=0,
        warnings=(),
        seconds=time.monotonic() - started,
    )
