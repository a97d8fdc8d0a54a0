"""Transcripts from tables of Stata, Excel and Arrow (Feather)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from ftm_core.contracts.errors import InputError
from ftm_core.transcripts.sources.base import Record, Row, file_checksum, readable, refuse_empty

_ROWS_AT_ONCE = 2000
# Excel stores no more characters than this in a cell, and cuts off the others in silence.
_LONGEST_EXCEL_CELL = 32_767


class FrameSource:
    """Rows are numbered from 1, in Excel as Excel numbers them; of a workbook the first sheet.

    Stata files come a few thousand rows at a time.
    """

    unit = "rows"

    def __init__(self, path: Path, kind: str, name: str | None = None) -> None:
        self._path = path
        self._name = name or path.name
        self._kind = kind
        self._done = 0
        self._cut = 0
        refuse_empty(path)
        header, _ = next(self._tables(), ((), ()))
        names = [str(name).strip() if name is not None else "" for name in header]
        if not any(names):
            raise InputError(f"The file {path}", "has no columns", "Put the column names first.")
        doubled = sorted({name for name in names if name and names.count(name) > 1})
        if doubled:
            raise InputError(
                f"The file {path}",
                f"has several columns of one name ({', '.join(doubled)})",
                "Give each column its own name.",
            )
        self._header = names
        self.columns = tuple(name for name in names if name)
        self.size = self._count()

    @property
    def form(self) -> str:
        """Which program's file it is."""
        return {"dta": "Stata", "xlsx": "Excel", "feather": "Feather"}[self._kind]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Texts that Excel cut off, once the rows are read."""
        if not self._cut:
            return ()
        return (
            f"{self._name}: {self._cut:,} cells have 32,767 characters, the most that Excel keeps. "
            "Their texts are most likely cut off; export the table as CSV instead.",
        )

    @property
    def read_so_far(self) -> int:
        """Rows read."""
        return min(self._done, self.size)

    def checksum(self) -> str:
        """SHA-256 of the file."""
        return file_checksum(self._path)

    def rows(self, wanted: tuple[str, ...]) -> Iterator[Record]:
        """Yield every row; blank rows of a sheet are left out."""
        places = [(name, self._header.index(name)) for name in wanted]
        first = 2 if self._kind == "xlsx" else 1
        number = first - 1
        self._cut = 0
        for _, rows in self._tables():
            for cells in rows:
                number += 1
                self._done += 1
                if all(cell is None for cell in cells):
                    continue
                values = {name: cells[at] if at < len(cells) else None for name, at in places}
                if self._kind == "xlsx":
                    self._cut += any(
                        isinstance(value, str) and len(value) >= _LONGEST_EXCEL_CELL
                        for value in values.values()
                    )
                yield Row(self._name, number, values)

    def _count(self) -> int:
        if self._kind == "feather":
            return sum(1 for _, rows in self._tables() for _ in rows)
        if self._kind == "dta":
            import pandas as pd

            with readable(self._path), pd.read_stata(self._path, iterator=True) as reader:
                return int(reader._nobs) if hasattr(reader, "_nobs") else 0
        return 0

    def _tables(self) -> Iterator[tuple[Sequence[Any], Iterator[Sequence[Any]]]]:
        """Column names and rows, piece by piece."""
        try:
            with readable(self._path):
                if self._kind == "xlsx":
                    yield from self._excel()
                elif self._kind == "feather":
                    yield from self._feather()
                else:
                    yield from self._stata()
        except InputError:
            raise
        except (ValueError, KeyError, EOFError, pa.ArrowException, UnicodeDecodeError) as error:
            cause = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"The file {self._path}",
                f"is not a readable {self.form} file ({cause})",
                "Export the file again.",
            ) from error

    def _stata(self) -> Iterator[tuple[Sequence[Any], Iterator[Sequence[Any]]]]:
        import pandas as pd

        with pd.read_stata(
            self._path, chunksize=_ROWS_AT_ONCE, convert_categoricals=False
        ) as frames:
            for frame in frames:
                columns = [
                    [None if missing else value for value, missing in zip(cells, gaps, strict=True)]
                    for cells, gaps in (
                        (frame[name].tolist(), frame[name].isna().tolist()) for name in frame
                    )
                ]
                yield list(frame.columns), zip(*columns, strict=True)

    def _excel(self) -> Iterator[tuple[Sequence[Any], Iterator[Sequence[Any]]]]:
        import zipfile

        import openpyxl

        try:
            book = openpyxl.load_workbook(self._path, read_only=True, data_only=True)
        except (zipfile.BadZipFile, openpyxl.utils.exceptions.InvalidFileException) as error:
            raise ValueError(str(error)) from error
        try:
            rows = book.worksheets[0].iter_rows(values_only=True)
            header = next(rows, ())
            yield header, rows
        finally:
            book.close()

    def _feather(self) -> Iterator[tuple[Sequence[Any], Iterator[Sequence[Any]]]]:
        from pyarrow import feather

        table = feather.read_table(self._path, memory_map=True)
        for batch in table.to_batches(_ROWS_AT_ONCE):
            columns = [column.to_pylist() for column in batch.columns]
            yield table.schema.names, zip(*columns, strict=True)
        if not table.num_rows:
            yield table.schema.names, iter(())
