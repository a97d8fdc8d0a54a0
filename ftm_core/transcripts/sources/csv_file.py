"""Transcripts from a delimited text file whose first row holds the column names."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ftm_core.contracts.errors import InputError
from ftm_core.transcripts.rows import excerpt
from ftm_core.transcripts.sources.base import (
    LONGEST_RECORD,
    Damage,
    Record,
    Row,
    readable,
)
from ftm_core.transcripts.sources.text_file import TextFile

_SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "pipe"}
# What MySQL, Spark and R write for a quote, a backslash or a line break inside a quoted field.
_ESCAPED = re.compile(r"\\([\\\"]|(?=\r?\n))")
_BLOCK = 1024 * 1024


class CsvSource(TextFile):
    """Rows are numbered as a spreadsheet numbers them: the header is row 1.

    The separator is the one that the header has most of. A quote inside a quoted field is written
    twice or after a backslash, whichever leaves fewer rows broken. Blank lines are counted, but are
    no rows.
    """

    def __init__(self, path: Path, name: str | None = None, encoding: str | None = None) -> None:
        super().__init__(path, name, encoding)
        self._separator = ","
        self._escaped = False
        self._separator = self._find_separator()
        with self._open() as (_, reader):
            header = self._next(reader, 1)
        if not isinstance(header, list) or not any(name.strip() for name in header):
            raise InputError(f"The file {path}", "has no header row", "Put the column names first.")
        header = [name.strip() for name in header]
        doubled = sorted({name for name in header if name and header.count(name) > 1})
        if doubled:
            raise InputError(
                f"The file {path}",
                f"has several columns of one name ({', '.join(doubled)})",
                "Give each column its own name.",
            )
        self._header = header
        self._escaped = self._has_escaped_quotes()
        self.columns = tuple(name for name in header if name)

    @property
    def form(self) -> str:
        """Separator, encoding, and quotes that are escaped in another way."""
        escaped = r", quotes escaped as \"" if self._escaped else ""
        return f"{_SEPARATORS[self._separator]}-separated text, {self._encoding.name}{escaped}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """A detected encoding, and quotes that are escaped by a backslash."""
        messages = []
        if self._encoding.detected:
            messages.append(
                f"{self._name} is not UTF-8 text. It is read as {self._encoding.name}, "
                "which fits all of it; --encoding names another."
            )
        if self._escaped:
            messages.append(
                f"{self._name} escapes quotes with a backslash, as MySQL, Spark and R do. It is "
                "read that way."
            )
        return tuple(messages)

    def rows(self, wanted: tuple[str, ...]) -> Iterator[Record]:
        """Yield every row; one whose fields do not match the header is a Damage."""
        places = [(name, self._header.index(name)) for name in wanted]
        name, n_fields = self._name, len(self._header)
        with self._open() as (file, reader):
            self._next(reader, 1)
            number = 1
            while True:
                fields = self._next(reader, number + 1)
                if fields is None:
                    self._position = file.tell()
                    return
                number += 1
                if number % 100 == 0:
                    self._position = file.tell()
                if fields == []:
                    continue
                if isinstance(fields, str):
                    yield Damage(name, number, "", f"is not valid CSV ({fields})")
                elif len(fields) != n_fields:
                    yield Damage(
                        name,
                        number,
                        excerpt(self._separator.join(fields)),
                        f"has {len(fields)} fields, the header has {n_fields}",
                    )
                else:
                    yield Row(name, number, {name: fields[place] for name, place in places})

    def _find_separator(self) -> str:
        """The separator that takes the header apart into most names."""
        with readable(self._path), self._path.open("rb") as file:
            line = self._wrapped(file).readline(LONGEST_RECORD)
        best, most = ",", 1
        for separator in _SEPARATORS:
            try:
                fields = next(csv.reader([line], delimiter=separator), [])
            except csv.Error:
                continue
            if len(fields) > most:
                best, most = separator, len(fields)
        return best

    def _has_escaped_quotes(self) -> bool:
        """Whether fewer rows are broken when a backslash escapes a quote."""
        if self._encoding.codec.startswith("utf-8") and not _holds(self._path, b'\\"'):
            return False
        standard = self._n_broken(escaped=False)
        return standard > 0 and self._n_broken(escaped=True) < standard

    def _n_broken(self, *, escaped: bool) -> float:
        """Rows whose fields do not match the header; infinite when a quote is never closed."""
        self._escaped = escaped
        n_broken = 0
        with self._open() as (_, reader):
            try:
                while (fields := self._next(reader, 0)) is not None:
                    n_broken += bool(fields) and (
                        isinstance(fields, str) or len(fields) != len(self._header)
                    )
            except InputError:
                return float("inf")
            finally:
                self._escaped = False
        return n_broken

    def _wrapped(self, file: BinaryIO) -> io.TextIOWrapper:
        return io.TextIOWrapper(
            file, encoding=self._encoding.codec, errors=self._encoding.errors, newline=""
        )

    @contextmanager
    def _open(self) -> Iterator[tuple[BinaryIO, Iterator[list[str]]]]:
        """The open file and a reader of its records."""
        limit = csv.field_size_limit(LONGEST_RECORD)
        try:
            with readable(self._path), self._path.open("rb") as file:
                # The name keeps the wrapper, and with it the file, open until the end.
                text = self._wrapped(file)
                lines: Iterable[str] = text
                if self._escaped:
                    lines = (_ESCAPED.sub(_doubled, line) for line in text)
                yield file, csv.reader(lines, delimiter=self._separator, strict=True)
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
        # A quote that is never closed swallows the rest of the file, with all rows in it.
        if "unexpected end of data" in fault or "field larger than field limit" in fault:
            raise InputError(
                f"Row {number} of {self._path}",
                "begins a quoted field that is not closed",
                "Close the quote; a quote inside a quoted field is written twice.",
            )
        return fault


def _doubled(match: re.Match[str]) -> str:
    """An escaped character as a standard CSV file has it."""
    return '""' if match.group(1) == '"' else match.group(1)


def _holds(path: Path, mark: bytes) -> bool:
    """Whether a file has some bytes anywhere."""
    last = b""
    with readable(path), path.open("rb") as file:
        while block := file.read(_BLOCK):
            if mark in last + block:
                return True
            last = block[-len(mark) :]
    return False
