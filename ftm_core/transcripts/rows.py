"""Check one row of a source: every value read exactly as it stands, or the row is rejected."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.transcripts.identifiers import normal_gvkey
from ftm_core.transcripts.layouts import ColumnMap

LONGEST_IDENTIFIER = 200
_GREATEST_POSITION = 2**31 - 1
_EXCERPT = 60

_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]{1,9})?)?(?:Z| ?UTC|\+00:?00)?)?"
)
_WHOLE_NUMBER = re.compile(r"([0-9]{1,18})(?:\.0+)?")
_GVKEY = re.compile(r"[A-Za-z0-9]{1,20}")
# What other tools write where there is nothing: to take it for an id would be a guess.
_MISSING_MARKS = frozenset(
    {"nan", "NaN", "NAN", "None", "null", "NULL", "<NA>", "#N/A", "N/A", "NaT"}
)
_DATED_TRANSCRIPT = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})_(.+)")

# Capital IQ writes its speaker types in the plural; ours are in the singular.
_SPEAKER_TYPES = {
    "Executives": "Executive",
    "Analysts": "Analyst",
    "Attendees": "Attendee",
    "Shareholders": "Shareholder",
    "Operators": "Operator",
}
UNKNOWN_SPEAKER = "Unknown"


@dataclass(frozen=True, slots=True)
class Component:
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


def check_row(
    values: Mapping[str, Any], columns: ColumnMap, quarter: Quarter
) -> Component | Problem:
    """Turn a row, keyed by the source's columns, into a Component, or say what is wrong first."""
    given = {ours: values.get(theirs) for ours, theirs in columns.columns.items()}
    try:
        component = _component(given, quarter)
        if columns.layout.dated_transcripts:
            _check_dated_transcript(component)
    except _RejectedError as rejected:
        theirs = columns.columns.get(rejected.name, rejected.name)
        return Problem(theirs, excerpt(rejected.value), rejected.reason)
    return component


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


def _component(given: Mapping[str, Any], quarter: Quarter) -> Component:
    return Component(
        firm_id=_required_identifier("firm_id", given),
        firm_name=_required_identifier("firm_name", given),
        transcript_id=_required_identifier("transcript_id", given),
        earnings_call_date=_call_date(given, quarter),
        position=_position(given),
        text=_required_text(given),
        ticker=_identifier("ticker", given.get("ticker")),
        permno=_permno(given.get("permno")),
        gvkey=_gvkey(given.get("gvkey")),
        link_date=_date("link_date", given.get("link_date")),
        speaker_type=_speaker_type(given.get("speaker_type")),
    )


def _text(name: str, value: object) -> str | None:
    """A text value without the spaces around it; None where there is nothing."""
    if value is None:
        return None
    if isinstance(value, UnreadableValue):
        raise _RejectedError(name, None, value.reason)
    if not isinstance(value, str):
        raise _RejectedError(name, value, f"is not text but {_kind(value)}")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise _RejectedError(name, value, "is not UTF-8 text")
    if "\x00" in value:
        raise _RejectedError(name, value, "holds a NUL character")
    return value.strip() or None


def _required_text(given: Mapping[str, Any]) -> str:
    text = _text("raw_text", given.get("raw_text"))
    if text is None:
        raise _RejectedError("raw_text", given.get("raw_text"), "the text is empty")
    return text


def _identifier(name: str, value: object) -> str | None:
    """An id or name; a whole number counts as its digits, as it would in a CSV file."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    text = _text(name, value)
    if text is None:
        return None
    if text in _MISSING_MARKS:
        raise _RejectedError(name, text, "marks a missing value; leave it empty instead")
    if len(text) > LONGEST_IDENTIFIER:
        raise _RejectedError(name, text, f"is longer than {LONGEST_IDENTIFIER} characters")
    if any(unicodedata.category(letter) == "Cc" for letter in text):
        raise _RejectedError(name, text, "holds a control character")
    return text


def _required_identifier(name: str, given: Mapping[str, Any]) -> str:
    text = _identifier(name, given.get(name))
    if text is None:
        raise _RejectedError(name, given.get(name), "is missing")
    return text


def _call_date(given: Mapping[str, Any], quarter: Quarter) -> dt.date:
    name = "earnings_call_date"
    day = _date(name, given.get(name))
    if day is None:
        raise _RejectedError(name, given.get(name), "is missing")
    if not quarter.contains(day):
        raise _RejectedError(name, given.get(name), f"is not in {quarter}")
    return day


def _date(name: str, value: object) -> dt.date | None:
    """A day, or the UTC day of a time; only forms that can be read in one way."""
    if isinstance(value, dt.datetime):
        aware = value.tzinfo is not None
        return (value.astimezone(dt.UTC) if aware else value).date()
    if isinstance(value, dt.date):
        return value
    text = _text(name, value)
    if text is None:
        return None
    match = _DATE.fullmatch(text)
    reason = "is not a date such as 2023-01-31 or 2023-01-31 21:00:00 (UTC)"
    if match is None:
        raise _RejectedError(name, text, reason)
    try:
        return dt.datetime(*(int(part) for part in match.groups(default="0"))).date()  # type: ignore[arg-type]
    except ValueError as error:
        raise _RejectedError(name, text, reason) from error


def _whole_number(name: str, value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, float | bool):
        raise _RejectedError(name, value, "is not a whole number")
    text = _text(name, value)
    if text is None:
        return None
    match = _WHOLE_NUMBER.fullmatch(text)
    if match is None:
        raise _RejectedError(name, text, "is not a whole number")
    return int(match.group(1))


def _position(given: Mapping[str, Any]) -> int:
    number = _whole_number("position", given.get("position"))
    if number is None:
        raise _RejectedError("position", None, "is missing")
    if not 0 <= number <= _GREATEST_POSITION:
        raise _RejectedError("position", number, "is not a position in a call")
    return number


def _permno(value: object) -> int | None:
    number = _whole_number("permno", value)
    if number is not None and not 0 < number < 2**31:
        raise _RejectedError("permno", number, "is not a permno")
    return number


def _gvkey(value: object) -> str | None:
    text = _identifier("gvkey", value)
    if text is None:
        return None
    try:
        return normal_gvkey(text, where="gvkey")
    except InputError:
        if not _GVKEY.fullmatch(text) or text.isdigit():
            raise _RejectedError("gvkey", text, "is not a gvkey of up to six digits") from None
        return text


def _speaker_type(value: object) -> str:
    if isinstance(value, str) and value.strip() in _MISSING_MARKS:
        return UNKNOWN_SPEAKER
    text = _identifier("speaker_type", value)
    return _SPEAKER_TYPES.get(text, text) if text is not None else UNKNOWN_SPEAKER


def _check_dated_transcript(component: Component) -> None:
    """A transcript id YYYYMMDD_TICKER must name the row's own day and ticker."""
    match = _DATED_TRANSCRIPT.fullmatch(component.transcript_id)
    if match is None:
        raise _RejectedError("transcript_id", component.transcript_id, "is not YYYYMMDD_TICKER")
    if "-".join(match.groups()[:3]) != component.earnings_call_date.isoformat():
        raise _RejectedError(
            "transcript_id",
            component.transcript_id,
            f"names another day than the call date {component.earnings_call_date}",
        )
    if match.group(4) != component.ticker:
        raise _RejectedError(
            "transcript_id",
            component.transcript_id,
            f"names another ticker than {component.ticker}",
        )


def _kind(value: object) -> str:
    names = {bool: "true or false", bytes: "bytes", dict: "an object", list: "a list"}
    numbers = {int: "a number", float: "a number"}
    return {**names, **numbers}.get(type(value), type(value).__name__)
