"""Check the rows of a source: every value is read as it stands, or the row is rejected."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from ftm_core.transcripts import values as read
from ftm_core.transcripts.cleaning import TextCleaner, unescaped
from ftm_core.transcripts.layouts import ColumnMap
from ftm_core.transcripts.values import UNKNOWN_SPEAKER

_EXCERPT = 60
_LONGEST_MARK = 4
# Values repeat from row to row: a firm's name, a call's date. Each text is read once.
_CACHE_SIZE = 50_000
_Value = TypeVar("_Value")


class Component(NamedTuple):
    """One accepted row: a speaking turn, or a sentence where the source has it split."""

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


class Problem(NamedTuple):
    """Why a row is rejected: the source's column, an excerpt of its value, the reason."""

    field: str
    value: str
    reason: str


class UnreadableValue(NamedTuple):
    """Stands for a cell that the source could not give as a value."""

    reason: str


class _RejectedError(Exception):
    def __init__(self, name: str, value: object, reason: str) -> None:
        super().__init__(reason)
        self.name, self.value, self.reason = name, value, reason


class RowChecker:
    """Turns rows, keyed by the source's columns, into Components.

    ``emptied`` counts, by our name and the reason, the optional values that could not be read:
    the row is accepted without them. ``date_format`` is that of the source's dates; ``cleaner``
    cleans the texts.
    """

    def __init__(
        self,
        columns: ColumnMap,
        date_format: str | None = None,
        cleaner: TextCleaner | None = None,
    ) -> None:
        self._columns = columns
        self._clean = (cleaner or TextCleaner()).clean
        self._date_format = date_format
        self.emptied: Counter[tuple[str, str]] = Counter()
        self._firm_id = _cached(read.parse_identifier)
        self._name = _cached(_parse_name)
        self._identifier = _cached(read.parse_identifier)
        self._date = _cached(lambda value: read.parse_date(value, date_format))
        self._link_date = _cached(read.parse_date)
        self._position = _cached(read.parse_position)
        self._permno = _cached(read.parse_permno)
        self._gvkey = _cached(read.parse_gvkey)
        self._speaker_type = _cached(read.parse_speaker_type)

    def day(self, values: Mapping[str, Any]) -> dt.date | Problem:
        """The day of the row's call."""
        try:
            return self._required(values, "earnings_call_date", self._date)
        except _RejectedError as rejected:
            return self._problem(rejected)

    def check(self, values: Mapping[str, Any], day: dt.date) -> Component | Problem:
        """The row as a Component, or the first thing that is wrong with it."""
        try:
            component = Component(
                firm_id=self._required(values, "firm_id", self._firm_id),
                firm_name=self._required(values, "firm_name", self._name),
                ticker=self._optional(values, "ticker", self._identifier),
                permno=self._optional(values, "permno", self._permno),
                gvkey=self._optional(values, "gvkey", self._gvkey),
                link_date=self._optional(values, "link_date", self._link_date),
                transcript_id=self._required(values, "transcript_id", self._identifier),
                earnings_call_date=day,
                position=self._required(values, "position", self._position),
                text=self._text(values),
                speaker_type=self._optional(values, "speaker_type", self._speaker_type)
                or UNKNOWN_SPEAKER,
            )
            if self._columns.layout.dated_transcripts:
                _check_dated_transcript(component)
        except _RejectedError as rejected:
            return self._problem(rejected)
        return component

    def optional_text(self, values: Mapping[str, Any], name: str) -> str | None:
        """An optional value as text; None where there is none or it cannot be read."""
        return self._optional(values, name, self._identifier)

    def _problem(self, rejected: _RejectedError) -> Problem:
        theirs = self._columns.columns.get(rejected.name, rejected.name)
        return Problem(theirs, excerpt(rejected.value), rejected.reason)

    def _given(self, values: Mapping[str, Any], name: str) -> Any:
        theirs = self._columns.columns.get(name)
        return values.get(theirs) if theirs is not None else None

    def _required(
        self, values: Mapping[str, Any], name: str, parse: Callable[[Any], _Value | None]
    ) -> _Value:
        given = self._given(values, name)
        if isinstance(given, UnreadableValue):
            raise _RejectedError(name, None, given.reason)
        try:
            found = parse(given)
        except (ValueError, OverflowError) as error:
            raise _RejectedError(name, given, str(error)) from error
        if found is None:
            empty = given is None or (isinstance(given, str) and not given.strip())
            raise _RejectedError(name, given, "is missing" if empty else "marks a missing value")
        return found

    def _optional(
        self, values: Mapping[str, Any], name: str, parse: Callable[[Any], _Value | None]
    ) -> _Value | None:
        given = self._given(values, name)
        if given is None:
            return None
        try:
            if isinstance(given, UnreadableValue):
                raise ValueError(given.reason)
            return parse(given)
        except (ValueError, OverflowError) as error:
            self.emptied[name, str(error)] += 1
            return None

    def _text(self, values: Mapping[str, Any]) -> str:
        given = self._given(values, "raw_text")
        if isinstance(given, UnreadableValue):
            raise _RejectedError("raw_text", None, given.reason)
        try:
            text = read.parse_text(given)
        except ValueError as error:
            raise _RejectedError("raw_text", given, str(error)) from error
        text = self._clean(text).strip() if text is not None else ""
        if not text:
            raise _RejectedError("raw_text", given, "the text is empty")
        if len(text) <= _LONGEST_MARK and read.is_missing_text(text):
            raise _RejectedError("raw_text", given, "marks a missing value")
        return text


def excerpt(value: object) -> str:
    """The beginning of a value, on one line, safe to print."""
    if value is None:
        return ""
    if isinstance(value, UnreadableValue):
        return ""
    text = str(value) if isinstance(value, str | dt.date) else repr(value)
    shown = " ".join(text[: 4 * _EXCERPT].split())
    shown = shown.encode("utf-8", "backslashreplace").decode()
    shown = "".join(letter if letter.isprintable() else "?" for letter in shown)
    return shown if len(shown) <= _EXCERPT else shown[: _EXCERPT - 1] + "…"


def _cached(parse: Callable[[Any], _Value | None]) -> Callable[[Any], _Value | None]:
    """``parse`` that remembers what texts came to; other types are read each time."""
    known: dict[str, _Value | None] = {}

    def parsed(value: Any) -> _Value | None:
        if value.__class__ is not str:
            return parse(value)
        try:
            return known[value]
        except KeyError:
            pass
        if len(known) >= _CACHE_SIZE:
            known.clear()
        found = known[value] = parse(value)
        return found

    return parsed


def _parse_name(value: object) -> str | None:
    """A firm's name; web sites and feeds write AT&amp;T."""
    name = read.parse_identifier(value)
    return unescaped(name) if name is not None else None


def _check_dated_transcript(component: Component) -> None:
    """A transcript id YYYYMMDD_TICKER must name the row's own day and ticker."""
    day, underscore, ticker = component.transcript_id.partition("_")
    if not (underscore and ticker and len(day) == 8 and day.isdigit()):
        raise _RejectedError("transcript_id", component.transcript_id, "is not YYYYMMDD_TICKER")
    if day != component.earnings_call_date.strftime("%Y%m%d"):
        raise _RejectedError(
            "transcript_id",
            component.transcript_id,
            f"names another day than the call date {component.earnings_call_date}",
        )
    if ticker != component.ticker:
        raise _RejectedError(
            "transcript_id",
            component.transcript_id,
            f"names another ticker than {component.ticker}",
        )
