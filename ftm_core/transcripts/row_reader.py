"""Read a source in the terms of its layout: each row accepted, rejected or of another quarter."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ftm_core.contracts.quarters import Quarter
from ftm_core.transcripts.cleaning import TextCleaner
from ftm_core.transcripts.layouts import (
    OPTIONAL,
    REQUIRED,
    VERSION,
    ColumnMap,
    column_map,
    plain_name,
)
from ftm_core.transcripts.results import Reject
from ftm_core.transcripts.rows import Component, Problem, RowChecker
from ftm_core.transcripts.sources import Damage, OpenedSource, Row, Skipped
from ftm_core.transcripts.sources.dates import DATE_TABLE_COLUMNS
from ftm_core.transcripts.sources.names import NamePattern
from ftm_core.transcripts.values import GREATEST_POSITION, parse_text
from ftm_core.transcripts.versions import CallVersions
from ftm_core.transcripts.whole_calls import CallReader

_OWN = (*REQUIRED, *OPTIONAL, *VERSION)


@dataclass(frozen=True)
class ReadOptions:
    """How a user wants a source to be read; ``columns`` maps our names to the source's."""

    layout: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    date_format: str | None = None
    name_pattern: str | None = None
    encoding: str | None = None


class Accepted(NamedTuple):
    """A turn or sentence, and the quarter that its call is in."""

    quarter: str
    file: str
    number: int
    component: Component


class Rejected(NamedTuple):
    """A row that cannot be taken; ``quarter`` is None when its day is not known."""

    quarter: str | None
    reject: Reject


class OtherQuarter(NamedTuple):
    """A row of a call in a quarter that is not wanted."""

    quarter: str


class Repeated(NamedTuple):
    """A whole call that came before, word for word."""

    file: str


Item = Accepted | Rejected | OtherQuarter | Repeated | Skipped


class RowReader:
    """Reads the rows of an opened source once.

    ``quarters`` are the wanted ones, None for all. ``n_rows`` counts the rows of the source: of
    whole calls it counts calls. ``checker.emptied``, ``cleaner`` and ``versions`` are whole after
    the last row.
    Raises InputError when the source's columns fit no layout.
    """

    def __init__(
        self, opened: OpenedSource, options: ReadOptions, quarters: Collection[Quarter] | None
    ) -> None:
        self._opened = opened
        self._options = options
        self._pattern = NamePattern(options.name_pattern)
        self.source = opened.source
        self.columns = self._column_map()
        self.cleaner = TextCleaner()
        self.checker = RowChecker(self.columns, options.date_format, self.cleaner)
        self.versions = CallVersions(self.columns, self.checker)
        self._wanted = None if quarters is None else {str(quarter) for quarter in quarters}
        self._first = min((q.first_day for q in quarters), default=None) if quarters else None
        self._last = max((q.last_day for q in quarters), default=None) if quarters else None
        self._quarters: dict[dt.date, tuple[str, bool]] = {}
        self._ids: Counter[tuple[str, str]] = Counter()
        self.n_rows = 0

    @property
    def form(self) -> str:
        """The form of the source, and which table has the days of its calls."""
        form, dates = self.source.form, self._opened.dates
        return form if dates is None else f"{form}; days from {Path(dates.name).name}"

    def checksum(self) -> str:
        """SHA-256 of the source; options that change how it is read change it too."""
        content = self.source.checksum()
        options, dates = self._options, self._opened.dates
        reading: list[Any] = []
        if not self.columns.as_recognised:
            reading += [self.columns.layout.name, dict(self.columns.columns)]
        for name in ("date_format", "name_pattern", "encoding"):
            if getattr(options, name) is not None:
                reading.append([name, getattr(options, name)])
        if dates is not None:
            reading.append(["dates", dates.checksum])
        if not reading:
            return content
        settings = json.dumps(reading, sort_keys=True)
        return hashlib.sha256(f"{content}\n{settings}".encode()).hexdigest()

    def items(self) -> Iterator[Item]:
        """What each row comes to, in the order of the source."""
        if self.columns.layout.whole_calls:
            yield from self._calls()
        else:
            yield from self._turns()

    def _turns(self) -> Iterator[Item]:
        wanted = tuple(dict.fromkeys(self.columns.columns.values()))
        check, day_of, versions = self.checker.check, self.checker.day, self.versions
        has_events = versions.has_events
        for row in self.source.rows(wanted):
            if isinstance(row, Skipped):
                yield row
                continue
            self.n_rows += 1
            if isinstance(row, Damage):
                yield Rejected(None, Reject(row.file, row.number, "", row.value, row.reason))
                continue
            file, number, values = row
            day = day_of(values)
            if isinstance(day, Problem):
                yield Rejected(None, Reject(file, number, *day))
                continue
            quarter, is_wanted = self._quarter(day)
            if not is_wanted:
                if versions.is_near(day, self._first, self._last):
                    other = check(values, day)
                    if isinstance(other, Component):
                        versions.note(other.firm_id, other.transcript_id, day, values)
                yield OtherQuarter(quarter)
                continue
            component = check(values, day)
            if isinstance(component, Problem):
                yield Rejected(quarter, Reject(file, number, *component))
                continue
            if has_events:
                versions.note(component.firm_id, component.transcript_id, day, values)
            yield Accepted(quarter, file, number, component)

    def _calls(self) -> Iterator[Item]:
        """Every turn of every call; a call is rejected as a whole."""
        fiscal = self._fiscal_columns()
        reader = CallReader(
            self.columns, self._opened.dates, self._options.date_format, fiscal, self.cleaner
        )
        # Calls carry their values by our names; messages name the source's columns.
        own = ColumnMap(
            self.columns.layout,
            {name: name for name in _OWN},
            self.columns.as_recognised,
        )
        checker = self.checker = RowChecker(own, self._options.date_format, self.cleaner)
        self.versions = CallVersions(own, checker)
        self.versions.has_events = "event_id" in self.columns.columns
        wanted = tuple(dict.fromkeys([*self.columns.columns.values(), *fiscal.values()]))
        for row in self.source.rows(wanted):
            if isinstance(row, Skipped):
                yield row
                continue
            self.n_rows += 1
            if isinstance(row, Damage):
                yield Rejected(None, Reject(row.file, row.number, "", row.value, row.reason))
                continue
            yield from self._call(row, reader, checker)

    def _call(self, row: Row, reader: CallReader, checker: RowChecker) -> Iterator[Item]:
        call = reader.read(self._named(row))
        if call is None:
            yield Repeated(row.file)
            return
        if isinstance(call, str):
            yield Rejected(None, Reject(row.file, row.number, "", "", call))
            return
        values = {**call.values, "position": 0, "raw_text": "-"}
        day = checker.day(values)
        if isinstance(day, Problem):
            yield Rejected(None, Reject(row.file, row.number, *self._theirs(day)))
            return
        quarter, is_wanted = self._quarter(day)
        if not is_wanted and not self.versions.is_near(day, self._first, self._last):
            yield OtherQuarter(quarter)
            return
        first = checker.check(values, day)
        if isinstance(first, Problem):
            yield Rejected(quarter, Reject(row.file, row.number, *self._theirs(first)))
            return
        first = self._unique(first)
        self.versions.note(first.firm_id, first.transcript_id, day, values)
        if not is_wanted:
            yield OtherQuarter(quarter)
            return
        position = 0
        for turn in call.turns[:GREATEST_POSITION]:
            try:
                text = parse_text(turn.text)
            except ValueError as error:
                yield Rejected(quarter, Reject(row.file, row.number, "text", "", str(error)))
                return
            if text is not None:
                component = first._replace(
                    position=position, text=text, speaker_type=turn.speaker_type
                )
                yield Accepted(quarter, row.file, row.number, component)
                position += 1

    def _unique(self, first: Component) -> Component:
        """The call under an id of its own, where versions of a call share one id."""
        if not self.versions.has_events:
            return first
        self._ids[first.firm_id, first.transcript_id] += 1
        times = self._ids[first.firm_id, first.transcript_id]
        return (
            first if times == 1 else first._replace(transcript_id=f"{first.transcript_id}.v{times}")
        )

    def _named(self, row: Row) -> Row:
        """The row with what its file's name contains, where its columns do not."""
        if (
            "turns" in self.columns.columns
            and self.columns.columns["turns"] == "turns"
            and ("file" in row.values)
        ):
            return row
        try:
            named = self._pattern.read(row.file)
        except ValueError:
            named = {}
        named.setdefault("firm_id", named.get("ticker", named.get("firm_name", "")))
        added = {
            name: value
            for name, value in named.items()
            if value and name not in self.columns.columns
        }
        return row._replace(values={**row.values, **added}) if added else row

    def _theirs(self, problem: Problem) -> Problem:
        return problem._replace(field=self.columns.columns.get(problem.field, problem.field))

    def _quarter(self, day: dt.date) -> tuple[str, bool]:
        found = self._quarters.get(day)
        if found is None:
            quarter = str(Quarter(day.year, (day.month + 2) // 3))
            found = (quarter, self._wanted is None or quarter in self._wanted)
            self._quarters[day] = found
        return found

    def _column_map(self) -> ColumnMap:
        opened, options = self._opened, self._options
        if opened.layout is not None:
            known = {**opened.layout.columns, **opened.layout.optional}
            return ColumnMap(
                opened.layout,
                {ours: aliases[0] for ours, aliases in known.items()},
                as_recognised=not options.columns,
            )
        try:
            named = self._pattern.read(opened.first_file)
        except ValueError:
            named = {}
        may_lack = set()
        if opened.dates is not None:
            may_lack |= {"earnings_call_date", "firm_id"}
        if "earnings_call_date" in named:
            may_lack.add("earnings_call_date")
        if named.keys() & {"ticker", "firm_id", "firm_name"}:
            may_lack.add("firm_id")
        return column_map(
            self.source.columns,
            where=opened.where,
            layout=options.layout,
            overrides=options.columns,
            may_lack=may_lack,
        )

    def _fiscal_columns(self) -> dict[str, str]:
        """Columns with the fiscal quarter: they find a call in the table of dates, no more."""
        if self._opened.dates is None:
            return {}
        spelled = {plain_name(column): column for column in self.source.columns}
        return {
            ours: next(
                spelled[plain_name(a)] for a in DATE_TABLE_COLUMNS[ours] if plain_name(a) in spelled
            )
            for ours in ("fiscal", "year")
            if any(plain_name(alias) in spelled for alias in DATE_TABLE_COLUMNS[ours])
        }
