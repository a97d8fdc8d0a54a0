"""Put accepted rows in order on disk: by firm, transcript and place in the call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ftm_core.contracts.errors import StorageError
from ftm_core.transcripts.rows import Component

if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT = "256MB"
_ROWS_AT_ONCE = 2000
_SCHEMA = pa.schema(
    [
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
    """Accepted rows in a temporary folder: written as they come, then sorted outside memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
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

    def add(self, file: str, number: int, component: Component) -> None:
        """Take one accepted row."""
        self._pending.append(
            (
                file,
                number,
                component.firm_id,
                component.firm_name,
                component.ticker,
                component.permno,
                component.gvkey,
                component.link_date,
                component.transcript_id,
                component.earnings_call_date,
                component.position,
                component.text,
                component.speaker_type,
            )
        )
        self.count += 1
        if len(self._pending) >= _ROWS_AT_ONCE:
            self._flush()

    def sort(self) -> int:
        """Order the rows on disk, in bounded memory; returns the number of firms."""
        import duckdb

        self._flush()
        assert self._writer is not None
        with temporary_disk(self._folder):
            self._writer.close()
        try:
            with self._database() as connection:
                connection.execute(
                    f"COPY (SELECT * FROM read_parquet({_quoted(self._rows)}) ORDER BY firm_id, "
                    f"transcript_id, position, file, number) TO {_quoted(self._sorted)} "
                    f"(FORMAT parquet, COMPRESSION lz4_raw, ROW_GROUP_SIZE {_ROWS_AT_ONCE})"
                )
                found = connection.execute(
                    f"SELECT count(DISTINCT firm_id) FROM read_parquet({_quoted(self._rows)})"
                ).fetchone()
        except duckdb.Error as error:
            raise StorageError(
                str(self._folder),
                f"could not hold the rows while they were sorted ({error})",
                "Free some space there, or set TMPDIR to a larger disk.",
            ) from error
        return int(found[0]) if found else 0

    def transcripts_of_several_firms(self) -> dict[str, list[str]]:
        """Transcript ids that rows of more than one firm carry, with those firms."""
        with self._database() as connection:
            rows = connection.execute(
                "SELECT transcript_id, list_sort(list(DISTINCT firm_id)) FROM "
                f"read_parquet({_quoted(self._rows)}) GROUP BY 1 HAVING count(DISTINCT firm_id) > 1"
            ).fetchall()
        return {str(transcript): list(firms) for transcript, firms in rows}

    def firms(self) -> Iterator[tuple[str, list[StagedRow]]]:
        """Yield each firm with its rows, ordered by transcript and place; one firm at a time."""
        for firm_id, rows in groupby(self._ordered(), key=lambda row: row.firm_id):
            yield firm_id, list(rows)

    def _ordered(self) -> Iterator[StagedRow]:
        with temporary_disk(self._folder), pq.ParquetFile(self._sorted) as file:
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
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
        import duckdb

        limits: dict[str, Any] = {
            "memory_limit": MEMORY_LIMIT,
            "threads": 2,
            "temp_directory": str(self._folder),
            "preserve_insertion_order": False,
        }
        connection = duckdb.connect(config=limits)
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
            str(folder),
            f"could not hold the rows while they were put in order ({error})",
            "Free some space there, or set TMPDIR to a larger disk.",
        ) from error
