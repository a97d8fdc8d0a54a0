"""A table with the days of calls, for files that do not contain them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from ftm_core.contracts.errors import InputError
from ftm_core.transcripts.layouts import plain_name
from ftm_core.transcripts.sources.base import Row, Source
from ftm_core.transcripts.values import parse_identifier

# Our names, and what the table may call them.
DATE_TABLE_COLUMNS = {
    "file": ("file", "file_name", "filename", "path"),
    "ticker": ("ticker", "symbol", "tic"),
    "fiscal": ("fiscal", "quarter", "fiscal_quarter", "q", "period"),
    "year": ("year", "fiscal_year"),
    "transcript_id": ("transcript_id", "transcriptid", "id"),
    "earnings_call_date": (
        "earnings_call_date",
        "call_date",
        "mostimportantdateutc",
        "conference_date",
        "earnings_date",
        "date",
        "day",
    ),
    "firm_id": ("firm_id", "companyid", "company_id"),
    "firm_name": ("firm_name", "company_name", "companyname", "company"),
    "permno": ("permno", "lpermno"),
    "gvkey": ("gvkey",),
    "link_date": ("link_date", "linkdt"),
}
_GIVES = ("earnings_call_date", "firm_id", "firm_name", "ticker", "permno", "gvkey", "link_date")
_FISCAL = re.compile(r"(\d{4})\D*?([1-4])(?!\d)|[qQ]?([1-4])\D+(\d{4})")


class DatesTable:
    """Finds the day of a call, and further values, by its file, its transcript id or its quarter.

    A row with a file name is for that file; otherwise ticker and fiscal quarter name the call, or
    the ticker alone where the table has one row for it.
    """

    def __init__(self, source: Source, name: str) -> None:
        spelled = {plain_name(column): column for column in source.columns}
        columns = {
            ours: next((spelled[plain_name(a)] for a in aliases if plain_name(a) in spelled), None)
            for ours, aliases in DATE_TABLE_COLUMNS.items()
        }
        self.columns = {ours: theirs for ours, theirs in columns.items() if theirs is not None}
        self.name = name
        self.checksum = source.checksum()
        if "earnings_call_date" not in self.columns:
            raise InputError(
                f"The table {name}",
                "has no column with the day of the call, such as call_date; its columns are "
                f"{', '.join(source.columns[:20])}",
                "Name the file with the days of the calls.",
            )
        if not {"file", "ticker", "transcript_id"} & self.columns.keys():
            raise InputError(
                f"The table {name}",
                "has no column that names the call: file, ticker or transcript_id; its columns are "
                f"{', '.join(source.columns[:20])}",
                "Add a column `file` with the name of each file.",
            )
        self._found: dict[tuple[str, ...], dict[str, Any] | None] = {}
        self.n_rows = 0
        for row in source.rows(tuple(self.columns.values())):
            if isinstance(row, Row):
                self._add({ours: row.values.get(theirs) for ours, theirs in self.columns.items()})
        self.first_file = next((key[1] for key in self._found if key[0] == "file"), None)

    def find(self, file: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """What the table gives for a call; empty when it does not have it."""
        for key in _keys({**values, "file": file}):
            found = self._found.get(key)
            if found is not None:
                return found
        return {}

    def _add(self, row: dict[str, Any]) -> None:
        self.n_rows += 1
        given = {name: row.get(name) for name in _GIVES if row.get(name) not in (None, "")}
        for key in _keys(row):
            # A key of two rows with other content names no call.
            known = self._found.setdefault(key, given)
            if known != given:
                self._found[key] = None


def is_dates_table(columns: tuple[str, ...]) -> bool:
    """Whether a table may contain the days of calls: a day, a name of the call, and no text."""
    plain = {plain_name(column) for column in columns}
    dated = any(plain_name(alias) in plain for alias in DATE_TABLE_COLUMNS["earnings_call_date"])
    named = any(
        plain_name(alias) in plain
        for ours in ("file", "ticker", "transcript_id")
        for alias in DATE_TABLE_COLUMNS[ours]
    )
    texts = {"content", "transcript", "text", "rawtext", "componenttext", "structuredcontent"}
    return dated and named and not texts & plain


def fiscal_quarter(values: Mapping[str, Any]) -> str | None:
    """A fiscal quarter as ``2022Q4``, from one value or from a quarter and a year."""
    quarter, year = values.get("fiscal"), values.get("year")
    text = "" if quarter is None else str(quarter)
    match = _FISCAL.search(text)
    if match is not None:
        first, number, other, last = match.groups()
        return f"{first}Q{number}" if first else f"{last}Q{other}"
    digits = re.search(r"[1-4]", text)
    if digits is not None and year is not None:
        return f"{str(year).partition('.')[0]}Q{digits.group(0)}"
    return None


def _keys(row: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Under what a call can be found, the surest first."""
    keys: list[tuple[str, ...]] = []
    file = row.get("file")
    if file:
        place = PurePosixPath(str(file).replace("\\", "/"))
        keys += [("file", str(place).lower()), ("file", place.name.lower())]
        keys.append(("file", place.stem.lower()))
    transcript = _plain(row.get("transcript_id"))
    if transcript:
        keys.append(("transcript", transcript.lower()))
    ticker = _plain(row.get("ticker"))
    fiscal = fiscal_quarter(row)
    if ticker and fiscal:
        keys.append(("fiscal", ticker.upper(), fiscal))
    elif ticker:
        keys.append(("ticker", ticker.upper()))
    return keys


def _plain(value: Any) -> str | None:
    try:
        return parse_identifier(value)
    except (ValueError, OverflowError):
        return None
