"""Transcripts from a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ftm_core.contracts.errors import InputError
from ftm_core.transcripts.rows import UnreadableValue
from ftm_core.transcripts.sources.base import Record, Row, file_checksum, readable, refuse_empty

_ROWS_AT_ONCE = 2000


class ParquetSource:
    """Rows are numbered from 1; only the wanted columns are read, a few thousand rows at a time."""

    unit = "rows"
    form = "Parquet"
    warnings: tuple[str, ...] = ()

    def __init__(self, path: Path, name: str | None = None) -> None:
        self._path = path
        self._name = name or path.name
        self._done = 0
        refuse_empty(path)
        try:
            with pq.ParquetFile(path) as file:
                names = file.schema_arrow.names
                self.size = int(file.metadata.num_rows)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from error
        if len(set(names)) != len(names):
            raise InputError(
                f"The file {path}",
                "has several columns of one name",
                "Give each column its own name.",
            )
        self.columns = tuple(names)

    @property
    def read_so_far(self) -> int:
        """Rows read."""
        return self._done

    def checksum(self) -> str:
        """SHA-256 of the file."""
        return file_checksum(self._path)

    def rows(self, wanted: tuple[str, ...]) -> Iterator[Record]:
        """Yield every row; a cell that cannot be read comes as an UnreadableValue."""
        with readable(self._path), pq.ParquetFile(self._path, pre_buffer=False) as file:
            batches = file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=list(wanted))
            while True:
                try:
                    batch = next(batches, None)
                except (pa.ArrowException, OSError) as error:
                    raise self._unreadable(error, after=self._done) from error
                if batch is None:
                    return
                columns = {name: _values(batch.column(name)) for name in wanted}
                for place in range(batch.num_rows):
                    self._done += 1
                    values = {name: column[place] for name, column in columns.items()}
                    yield Row(self._name, self._done, values)

    def _unreadable(self, error: Exception, *, after: int = 0) -> InputError:
        place = f"The file {self._path}" + (f" after row {after}" if after else "")
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        return InputError(
            place, f"is not a readable Parquet file ({cause})", "Export the file again."
        )


def _values(column: pa.Array) -> list[Any]:
    """Cells as Python values; one by one where a cell stops the whole column."""
    if pa.types.is_timestamp(column.type):
        # Only the day counts; nanoseconds would need pandas to be shown at all.
        column = column.cast(pa.timestamp("us", tz=column.type.tz), safe=False)
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError):
        return [_value(cell) for cell in column]


def _value(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        return UnreadableValue("is not UTF-8 text")
    except (ValueError, OverflowError) as error:
        return UnreadableValue(f"cannot be read ({error})")
