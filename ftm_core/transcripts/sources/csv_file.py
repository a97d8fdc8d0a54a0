"""Transcripts from a CSV file, UTF-8, comma-separated, first row the column names."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ftm_core.contracts.errors import InputError
from ftm_core.transcripts.rows import excerpt
from ftm_core.transcripts.sources.base import (
    LONGEST_RECORD,
    Damage,
    Row,
    file_checksum,
    readable,
    refuse_unless_text,
)


class CsvSource:
    """Rows are numbered as a spreadsheet numbers them: the header is row 1.

    Bytes that are not UTF-8 come through as surrogates, so that the check of each value names
    the row and column they are in. Blank lines are counted, but are no rows.
    """

    unit = "kB"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        refuse_unless_text(path)
        with self._open() as (_, reader):
            header = self._next(reader, 1)
        if not isinstance(header, list) or not any(name.strip() for name in header):
            raise InputError(str(path), "has no header row", "Put the column names first.")
        doubled = sorted({name for name in header if header.count(name) > 1})
        if doubled:
            raise InputError(
                str(path), f"has columns of one name ({', '.join(doubled)})", "Rename them."
            )
        self.columns = tuple(header)

    @property
    def size(self) -> int:
        """File size in kB."""
        with readable(self._path):
            return self._path.stat().st_size // 1000

    @property
    def read_so_far(self) -> int:
        """Kilobytes read."""
        return self._position // 1000

    def checksum(self) -> str:
        """SHA-256 of the file."""
        return file_checksum(self._path)

    def rows(self, wanted: tuple[str, ...]) -> Iterator[Row | Damage]:
        """Yield every row; one whose fields do not match the header is a Damage."""
        places = [(name, self.columns.index(name)) for name in wanted]
        with self._open() as (file, reader):
            self._next(reader, 1)
            number = 1
            while True:
                fields = self._next(reader, number + 1)
                self._position = file.tell()
                if fields is None:
                    return
                number += 1
                if fields == []:
                    continue
                if isinstance(fields, str):
                    yield Damage(self._path.name, number, "", f"is not valid CSV ({fields})")
                elif len(fields) != len(self.columns):
                    yield Damage(
                        self._path.name,
                        number,
                        excerpt(",".join(fields)),
                        f"has {len(fields)} fields, the header has {len(self.columns)}",
                    )
                else:
                    values = {name: fields[place] for name, place in places}
                    yield Row(self._path.name, number, values)

    @contextmanager
    def _open(self) -> Iterator[tuple[BinaryIO, Iterator[list[str]]]]:
        """The open file and a reader of its records."""
        limit = csv.field_size_limit(LONGEST_RECORD)
        try:
            with readable(self._path), self._path.open("rb") as file:
                text = io.TextIOWrapper(
                    file, encoding="utf-8-sig", errors="surrogateescape", newline=""
                )
                yield file, csv.reader(text, strict=True)
        finally:
            csv.field_size_limit(limit)

    def _next(self, reader: Iterator[list[str]], number: int) -> list[str] | str | None:
        """The next record, the fault of a broken one, or None at the end of the file."""
        try:
            return next(reader)
        except StopIteration:
            return None
        except csv.Error as error:
            fault = str(error)
        # A quote that is never closed swallows the rest of the file: no row after it can be told.
        if "unexpected end of data" in fault or "field larger than field limit" in fault:
            raise InputError(
                f"{self._path} row {number}",
                "begins a quoted field that is not closed",
                "Close the quote; a quote inside a quoted field is written twice.",
            )
        return fault
