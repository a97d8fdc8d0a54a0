"""Everything of one quarter in one data location: the one way to its records, tables and lease.

For researchers, ``ftm_core.open_quarter(location, quarter)`` returns a `QuarterStore`: its tables
are pandas DataFrames, ``sql`` queries them. For the pipeline it is the only code that knows storage
keys: it reads and writes typed records (``manifest``, ``plan``, ``run``, ``reduce_state``,
``timings``, failures), acquires and releases the lease, and streams tables out (``stream``) and in
(``write``), each checked for schema version and run once.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ftm_core.contracts import keys
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import (
    Batch,
    Checkpoint,
    Failure,
    FailuresManifest,
    LeaseOwner,
    Manifest,
    ReduceState,
    RunIdentity,
    Timings,
    utc_now,
)
from ftm_core.data import lease
from ftm_core.data.batch_plan import read_plan, write_plan
from ftm_core.data.catalog import PART_FOLDERS, PARTED_TABLES, TABLES
from ftm_core.data.checkpoints import read_checkpoint
from ftm_core.data.database import QuarterDatabase, Source
from ftm_core.data.failures import FailuresReport, collect_failures
from ftm_core.data.finished import FinishedQuarter, open_finished
from ftm_core.data.frames import to_frame
from ftm_core.data.json_records import read_record, write_record
from ftm_core.data.map_output import MapOutput, read_map_output
from ftm_core.data.progress import Progress, ProgressReader
from ftm_core.data.transcript_chunks import read_manifest
from ftm_core.storage import Storage
from ftm_core.storage.tables import read_table, stream_table, write_batches

if TYPE_CHECKING:
    import pandas as pd

Parameters = Mapping[str, Any] | Sequence[Any]


class QuarterStore:
    """One quarter in one data location.

    Reading checks each table's schema version, columns and run, and raises InputError naming the
    file that does not fit. Values are read when they are asked for; ``manifest`` and ``finished``
    are kept, so open the quarter again to see a later run.
    """

    def __init__(self, storage: Storage, quarter: Quarter) -> None:
        self.storage = storage
        self.quarter = quarter

    def __repr__(self) -> str:
        return f"QuarterStore({self.storage.uri!r}, {str(self.quarter)!r})"

    # Tables, for researchers

    def themes(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """One row per theme, largest first."""
        return to_frame(self.table("themes", columns))

    def topics(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """One row per topic of a firm, with the theme it belongs to."""
        return to_frame(self.table("topics", columns))

    def sentences(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """One row per sentence of the calls, with its topic."""
        return to_frame(self.table("sentences", columns))

    def contributions(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """One row per theme, firm and topic: the sentences that the topic has in the theme."""
        return to_frame(self.table("theme_contributions", columns))

    def exposures(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """One row per theme and call: how much of the call is about the theme."""
        return to_frame(self.table("theme_exposures", columns))

    def firms(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """One row per call, with the identifiers of its firm."""
        return to_frame(self.table("firms", columns))

    def sql(self, query: str, parameters: Parameters | None = None) -> pd.DataFrame:
        """The rows of a DuckDB query over the tables of the quarter.

        Tables: ``themes``, ``topics``, ``sentences``, ``theme_contributions``,
        ``theme_exposures``, ``firms``, ``themes_for_sentiment``, and before them ``transcripts``,
        ``firm_topics`` and ``map_sentences``. ``parameters`` fill ``?`` or ``$name``.
        """
        with self.database() as database:
            return to_frame(database.query(query, parameters))

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """One table (a name of ``sql``) as an Arrow table, or some of its columns.

        Raises InputError for an unknown name, and where the quarter is not finished or the file is
        damaged, of another schema version or of another run.
        """
        schema, found = self._source(name)
        run_id = None if name == "transcripts" else self.finished.identity.run_id
        parts = [
            read_table(self.storage, key, schema, columns=columns, run_id=run_id) for key in found
        ]
        if not parts:
            empty: pa.Table = schema.empty_table()
            return empty if columns is None else empty.select(list(columns))
        return pa.concat_tables(parts)

    def stream(self, name: str, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """As ``table``, row group by row group, for tables larger than memory."""
        schema, found = self._source(name)
        run_id = None if name == "transcripts" else self.finished.identity.run_id
        for key in found:
            yield from stream_table(self.storage, key, schema, columns=columns, run_id=run_id)

    def database(self, **options: Any) -> QuarterDatabase:
        """A DuckDB database over the tables of the quarter, to be closed by the caller."""
        return QuarterDatabase(self.storage, self._checked_source, **options)

    # Records

    @cached_property
    def manifest(self) -> Manifest:
        """Counts and chunks of the ingested transcripts; raises InputError without any."""
        return read_manifest(self.storage, self.quarter)

    @property
    def run(self) -> RunIdentity:
        """The run of the quarter: inputs, start, end and lease; raises InputError without one."""
        found = self.find_run()
        if found is None:
            raise InputError(
                f"The quarter {self.quarter} in {self.storage.uri}",
                "has no run",
                f"Run `ftm run --quarter {self.quarter}` first, or name the right --data.",
            )
        return found

    def find_run(self) -> RunIdentity | None:
        """The run of the quarter, or None when none has started."""
        return lease.read_identity(self.storage, self.quarter)

    @property
    def plan(self) -> list[Batch] | None:
        """The batches of the run, or None before they are planned."""
        return read_plan(self.storage, self.quarter)

    @property
    def plan_location(self) -> str:
        """Where the plan is, for messages."""
        return self.storage.describe(keys.batches(self.quarter))

    def checkpoint(self, batch_id: str) -> Checkpoint | None:
        """What a batch has finished, or None when it has not saved anything yet."""
        return read_checkpoint(self.storage, self.quarter, batch_id)

    def map_output(self, run_id: str) -> MapOutput:
        """The map output of a run; raises InputError naming a batch that is not finished."""
        return read_map_output(self.storage, self.quarter, self.plan or [], run_id)

    @property
    def timings(self) -> Timings | None:
        """Seconds by stage of the last run, or None when it left none."""
        return read_record(self.storage, keys.run_timings(self.quarter), Timings)

    @property
    def reduce_state(self) -> ReduceState | None:
        """What the tables of the quarter were made from, or None before they are complete."""
        return read_record(self.storage, keys.reduce_state(self.quarter), ReduceState)

    @cached_property
    def finished(self) -> FinishedQuarter:
        """The finished run with its settings and map output; raises InputError before its end."""
        return open_finished(self.storage, self.quarter)

    @property
    def is_finished(self) -> bool:
        """Whether every table of the quarter is made from its present topics."""
        try:
            open_finished(self.storage, self.quarter)
        except InputError:
            return False
        return True

    def progress(self) -> Progress:
        """Firms and batches of the run: all, finished and failed."""
        return ProgressReader(self.storage, self.quarter).read()

    def failures(self) -> FailuresReport:
        """Every recorded failure of a firm, a topic or a theme; raises InputError without a run."""
        return collect_failures(self.storage, self.quarter)

    # For the pipeline: the lease, and what a run writes

    def acquire(
        self, inputs: dict[str, Any], owner: LeaseOwner, *, restart: bool = False
    ) -> RunIdentity:
        """Acquire the lease: start, resume or (``restart``) start over; see `lease.acquire`."""
        return lease.acquire(self.storage, self.quarter, inputs, owner, restart=restart)

    def require_lease(self, run_name: str) -> RunIdentity:
        """The run, if ``run_name`` owns its lease; raises RunRefusedError when it does not."""
        return lease.require_lease(self.storage, self.quarter, run_name)

    def renew(self, run_name: str) -> None:
        """Renew the lease; raises RunRefusedError when another run owns it now."""
        lease.renew(self.storage, self.quarter, run_name)

    def release(self, run_name: str, *, finished: bool) -> None:
        """Release the lease, marking the run finished if it is."""
        lease.release(self.storage, self.quarter, run_name, finished=finished)

    def write_plan(self, batches: list[Batch]) -> None:
        """Write the batches of the run."""
        write_plan(self.storage, self.quarter, batches)

    def write(self, name: str, tables: Iterable[pa.Table], *, run_id: str) -> int:
        """Stream tables into one table of the quarter, whole or not at all; returns the rows."""
        spec = TABLES[name]
        return write_batches(
            self.storage, spec.key(self.quarter), spec.schema, tables, run_id=run_id
        )

    def location(self, name: str) -> str:
        """Where a table of the finished quarter is, for messages."""
        return self.storage.describe(TABLES[name].key(self.quarter))

    def write_timings(self, timings: Timings) -> None:
        """Keep the timings of the run for its report."""
        write_record(self.storage, keys.run_timings(self.quarter), timings)

    def write_reduce_state(self, state: ReduceState) -> None:
        """Record, last of all, that every table is complete and what it was made from."""
        write_record(self.storage, keys.reduce_state(self.quarter), state)

    def write_theme_failures(self, failures: Sequence[Failure]) -> None:
        """Record the themes that could not be described."""
        manifest = FailuresManifest(
            batch_id=f"{self.quarter}_themes",
            quarter=str(self.quarter),
            n_failures=len(failures),
            failures=tuple(failures),
            timestamp=utc_now(),
        )
        write_record(self.storage, keys.theme_failures(self.quarter), manifest)

    # For checks

    def objects(self, name: str) -> tuple[pa.Schema, list[str]]:
        """The schema of a table and the keys of its files, whether they are there or not."""
        return self._source(name)

    def inspect_folders(self, names: Sequence[str]) -> dict[str, str | None]:
        """Every Parquet file in or missing from the folders of some tables, and what is wrong."""
        named = {key for name in names for key in self._source(name)[1]}
        folders = {f"{key.rpartition('/')[0]}/" for key in named}
        folders |= {PART_FOLDERS[name](self.quarter) for name in names if name in PART_FOLDERS}
        present = {
            key
            for folder in folders
            for key in self.storage.list(folder)
            if key.endswith(".parquet")
        }
        return {
            key: "is missing"
            if key not in present
            else ("is no file of the run" if key not in named else None)
            for key in sorted(present | named)
        }

    def response_keys(self) -> list[str]:
        """The files of cached LLM responses, in the order in which they were begun."""
        found = self.storage.list(keys.answers_prefix(self.quarter))
        return [key for key in found if key.endswith(".jsonl")]

    def new_response_key(self, writer: str) -> str:
        """A key, without its ending, for the responses that one process adds.

        Sorted by time, so that of two responses to one question the older is read first.
        """
        safe = re.sub(r"[^\w-]", "-", writer)
        stamp = re.sub(r"[^\dT]", "", utc_now().partition("+")[0])
        return f"{keys.answers_prefix(self.quarter)}{stamp}_{safe}_{uuid.uuid4().hex[:8]}"

    def _source(self, name: str) -> tuple[pa.Schema, list[str]]:
        """Schema and keys of a table."""
        if name in TABLES:
            return TABLES[name].schema, [TABLES[name].key(self.quarter)]
        if name == "transcripts":
            return PARTED_TABLES[name], [chunk.key for chunk in self.manifest.chunks]
        if name == "firm_topics":
            return PARTED_TABLES[name], self.finished.output.topic_keys()
        if name == "map_sentences":
            return PARTED_TABLES[name], self.finished.output.sentence_keys()
        raise InputError(
            f"The table {name}",
            f"does not exist in the quarter {self.quarter}",
            f"Use one of {', '.join([*TABLES, *PARTED_TABLES])}.",
        )

    def _checked_source(self, name: str) -> Source | None:
        """The objects of a table for DuckDB, each checked for schema and run; None if unknown."""
        if name not in TABLES and name not in PARTED_TABLES:
            return None
        schema, found = self._source(name)
        run_id = None if name == "transcripts" else self.finished.identity.run_id
        for key in found:
            read_table(self.storage, key, schema, columns=[], run_id=run_id)
        return Source(schema, tuple(found))
