"""Put accepted rows in order on disk: by quarter, firm, transcript and place in the call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ftm_core.contracts.errors import InputError, StorageError
from ftm_core.transcripts.rows import Component

if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT = "256MB"
_ROWS_AT_ONCE = 2000
_SCHEMA = pa.schema(
    [
        ("quarter", pa.string()),
        ("file", pa.string()),
        ("number", pa.int64()),
        ("firm_id", pa.string()),
        ("firm_name", pa.string()),
        ("ticker", pa.string()),
        ("permno", pa.int64()),
        ("gvkey", pa.string()),
        ("link_date", pa.date32()),
        ("transcript_id", pa.string()),
        ("earnings_call_date", pa.date32()),
        ("position", pa.int32()),
        ("text", pa.string()),
        ("speaker_type", pa.string()),
    ]
)


class StagedRow(NamedTuple):
    """An accepted row together with where it was in the source."""

    quarter: str
    file: str
    number: int
    firm_id: str
    firm_name: str
    ticker: str | None
    permno: int | None
    gvkey: str | None
    link_date: dt.date | None
    transcript_id: str
    earnings_call_date: dt.date
    position: int
    text: str
    speaker_type: str


class Staging:
    """Accepted rows in a temporary folder: written as they come, then sorted outside memory.

    ``memory_limit`` is DuckDB's, such as ``256MB``: what the sort may hold before it writes to
    the folder.
    """

    def __init__(self, folder: Path, memory_limit: str = MEMORY_LIMIT) -> None:
        self._folder = folder
        self._memory_limit = memory_limit
        self._rows = folder / "rows.parquet"
        self._sorted = folder / "sorted.parquet"
        self._pending: list[tuple[Any, ...]] = []
        self._writer: pq.ParquetWriter | None = None
        self.count = 0

    def __enter__(self) -> Staging:
        with temporary_disk(self._folder):
            self._writer = pq.ParquetWriter(self._rows, _SCHEMA, compression="lz4")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None and self._writer.is_open:
            with temporary_disk(self._folder):
                self._writer.close()

    def add(self, quarter: str, file: str, number: int, component: Component) -> None:
        """Take one accepted row."""
        self._pending.append((quarter, file, number, *component))
        self.count += 1
        if len(self._pending) >= _ROWS_AT_ONCE:
            self._flush()

    def sort(self, without: Collection[tuple[str, str]] = ()) -> int:
        """Order the rows on disk, in bounded memory; returns the number of firms in all quarters.

        Rows of the transcripts in ``without``, each a firm id and a transcript id, are left out.
        Raises StorageError when the memory limit or the disk is too small.
        """
        import duckdb

        self._flush()
        assert self._writer is not None
        with temporary_disk(self._folder):
            self._writer.close()
        rows = f"read_parquet({_quoted(self._rows)})"
        try:
            with self._database() as connection:
                if without:
                    firms, transcripts = zip(*without, strict=True)
                    left_out = pa.table({"firm_id": firms, "transcript_id": transcripts})
                    connection.register("left_out", left_out)
                    rows += " ANTI JOIN left_out USING (firm_id, transcript_id)"
                connection.execute(
                    f"COPY (SELECT {', '.join(_SCHEMA.names)} FROM {rows} ORDER BY quarter, "
                    f"firm_id, transcript_id, position, file, number) TO {_quoted(self._sorted)} "
                    f"(FORMAT parquet, COMPRESSION lz4_raw, ROW_GROUP_SIZE {_ROWS_AT_ONCE})"
                )
                found = connection.execute(
                    "SELECT count(*) FROM (SELECT DISTINCT quarter, firm_id FROM "
                    f"read_parquet({_quoted(self._sorted)}))"
                ).fetchone()
        except duckdb.OutOfMemoryException as error:
            raise StorageError(
                f"Sorting {self.count:,} rows",
                f"did not fit into the memory limit of {self._memory_limit} ({error})",
                "Give it more with --memory-limit, for example 1GB.",
            ) from error
        except duckdb.Error as error:
            raise StorageError(
                f"The folder {self._folder}",
                f"could not hold the rows while they were sorted ({error})",
                "Free some space there, or set TMPDIR to a larger disk.",
            ) from error
        self._rows.unlink()
        return int(found[0]) if found else 0

    def firms(self) -> Iterator[tuple[str, str, list[StagedRow]]]:
        """Yield quarter, firm and the firm's rows by transcript and place; one firm at a time."""
        for (quarter, firm_id), rows in groupby(self._ordered(), key=lambda row: (row[0], row[3])):
            yield quarter, firm_id, list(rows)

    def _ordered(self) -> Iterator[StagedRow]:
        # Buffered ahead, all row groups of the file would stay in memory until its end.
        with (
            temporary_disk(self._folder),
            pq.ParquetFile(self._sorted, pre_buffer=False) as file,
        ):
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, use_threads=False):
                columns = [batch.column(name).to_pylist() for name in _SCHEMA.names]
                yield from map(StagedRow._make, zip(*columns, strict=True))

    def _flush(self) -> None:
        if not self._pending:
            return
        arrays = [
            pa.array(column, type=field.type)
            for column, field in zip(zip(*self._pending, strict=True), _SCHEMA, strict=True)
        ]
        assert self._writer is not None
        with temporary_disk(self._folder):
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=_SCHEMA))
        self._pending.clear()

    def _database(self) -> duckdb.DuckDBPyConnection:
        """DuckDB without files of its own, within the memory limit."""
        return open_database(self._folder, self._memory_limit)


def open_database(folder: Path, memory_limit: str) -> duckdb.DuckDBPyConnection:
    """DuckDB in memory, which spills to ``folder`` beyond the limit.

    It has one thread. Two threads that sort long texts hold too much at once: at 256 MB they run
    out of memory at 560,000 turns of 640 characters, where one sorts 2 million.
    """
    import duckdb

    limits: dict[str, Any] = {
        "memory_limit": memory_limit,
        "threads": 1,
        "temp_directory": str(folder),
        "preserve_insertion_order": False,
    }
    try:
        connection = duckdb.connect(config=limits)
    except duckdb.Error as error:
        raise InputError(
            f"The memory limit {memory_limit}",
            f"is not an amount of memory ({error})",
            "Write for example 512MB or 2GB.",
        ) from error
    # In `python -c` DuckDB draws a bar on stdout, which belongs to results alone.
    connection.execute("SET enable_progress_bar = false")
    return connection


def _quoted(path: Path) -> str:
    """A path as an SQL literal."""
    return "'" + str(path).replace("'", "''") + "'"


@contextmanager
def temporary_disk(folder: Path) -> Iterator[None]:
    """Turn a full or failing temporary disk into a StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"The folder {folder}",
            f"could not hold the rows while they were put in order ({error})",
            "Free some space there, or set TMPDIR to a larger disk.",
        ) from error
