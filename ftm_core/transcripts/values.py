"""Read one value as it comes from a tool or a vendor: dates, ids, permno, gvkey, speaker types.

The same rules serve transcripts, links files and WRDS. A value is read when it can be read in one
way only; otherwise ``ValueError`` says why, worded to follow the name of the column.
"""

from __future__ import annotations

import ast
import datetime as dt
import math
import re
import unicodedata
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from ftm_core.contracts.errors import InputError
from ftm_core.transcripts.identifiers import normal_gvkey

LONGEST_IDENTIFIER = 200
GREATEST_POSITION = 2**31 - 1
# CRSP's permnos have five digits; seven leave room for other numbering.
_GREATEST_PERMNO = 10**7 - 1

# What pandas, R, SAS, Stata, Excel and databases write where there is nothing.
_MISSING = frozenset({"na", "n/a", "#n/a", "nan", "nat", "none", "null", "<na>", "\\n", "."}) | {
    f".{letter}" for letter in "abcdefghijklmnopqrstuvwxyz_"
}
# Those that nobody speaks as a whole turn, so that they are missing texts.
_MISSING_TEXTS = frozenset({"nan", "nat", "null", "<na>", "na", "#n/a", "\\n"})
_WHOLE = re.compile(r"([0-9]{1,18})(?:\.0+)?")
_WHOLE_FLOAT = re.compile(r"[0-9]{1,18}\.0+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_GVKEY = re.compile(r"[A-Za-z0-9]{1,20}")

UNKNOWN_SPEAKER = "Unknown"
_SPEAKER_TYPES = {
    "operator": "Operator",
    "operators": "Operator",
    "executive": "Executive",
    "executives": "Executive",
    "analyst": "Analyst",
    "analysts": "Analyst",
    "attendee": "Attendee",
    "attendees": "Attendee",
    "shareholder": "Shareholder",
    "shareholders": "Shareholder",
    # Capital IQ's speakertypeid. No source confirms an id above 3, so these stay without a type.
    "1": "Operator",
    "2": "Executive",
    "3": "Analyst",
}

_MONTHS = {
    name: number
    for number, names in enumerate(
        "jan january|feb february|mar march|apr april|may|jun june|jul july|aug august|"
        "sep sept september|oct october|nov november|dec december".split("|"),
        start=1,
    )
    for name in names.split()
}
_CLOCK = (
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,][0-9]{1,9})?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?"
)
_ZONE = r"\s*(?P<zone>Z|UTC|GMT|E[SD]?T|C[SD]T|M[SD]T|P[SD]?T|[+-][0-9]{2}(?::?[0-9]{2})?)?"
_DAY_FIRST = r"(?P<day>[0-9]{1,2})[- ]?(?P<month>[A-Za-z]{3,9})\.?[-, ]*(?P<year>[0-9]{4}|[0-9]{2})"
_MONTH_FIRST = (
    r"(?P<month>[A-Za-z]{3,9})\.?\s+(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?,?\s+(?P<year>[0-9]{4})"
)
_DATE_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"(?P<year>[0-9]{{4}})-(?P<month>[0-9]{{2}})-(?P<day>[0-9]{{2}})(?:[T ]{_CLOCK}{_ZONE})?",
        r"(?P<year>(?:19|20)[0-9]{2})(?P<month>[0-9]{2})(?P<day>[0-9]{2})",
        rf"(?:[a-z]+,?\s+)?{_MONTH_FIRST}(?:\s*(?:,|/|at)?\s*{_CLOCK}{_ZONE})?",
        rf"(?:[a-z]+,?\s+)?{_DAY_FIRST}(?:[:,\s]\s*{_CLOCK}{_ZONE})?",
    )
)
_NOT_A_DATE = (
    "is not a date that can be read in one way, such as 2023-01-31, 20230131, 31JAN2023 or "
    "Jan 31, 2023; name its form with --date-format, for example %m/%d/%Y"
)
# Zones with daylight saving, looked up when needed, and zones with one offset.
_NAMED_ZONES = {"ET": "America/New_York", "PT": "America/Los_Angeles"}
_ZONES: dict[str, dt.tzinfo] = {
    **dict.fromkeys(("Z", "UTC", "GMT"), dt.UTC),
    **{
        f"{letter}{season}T": dt.timezone(dt.timedelta(hours=hours + (season == "D")))
        for letter, hours in (("E", -5), ("C", -6), ("M", -7), ("P", -8))
        for season in "SD"
    },
}
# Seconds, milliseconds, microseconds and nanoseconds since 1970 between 1990 and 2100.
_EPOCH_FROM, _EPOCH_TO = 631_152_000, 4_102_444_800
_EPOCH_UNITS = (1, 10**3, 10**6, 10**9)


def is_missing(value: object) -> bool:
    """Whether a value stands for nothing: None, NaN, an empty text or a tool's missing mark."""
    if value is None:
        return True
    if isinstance(value, float):
        return math.isnan(value)
    if isinstance(value, Decimal):
        return value.is_nan()
    if isinstance(value, str):
        text = value.strip()
        return not text or text.lower() in _MISSING
    return False


def is_missing_text(text: str) -> bool:
    """Whether a spoken text is only the mark of a missing value."""
    return text.lower() in _MISSING_TEXTS


def parse_text(value: object) -> str | None:
    """A text without the spaces around it; None where there is nothing."""
    if isinstance(value, bytes):
        # Impala and old versions of Spark write texts as bytes.
        value = _decoded(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if not isinstance(value, str):
        raise ValueError(f"is not text but {_kind(value)}")
    if not value.isascii() and _SURROGATE.search(value):
        raise ValueError("is not text in the file's encoding")
    if "\x00" in value:
        raise ValueError("holds a NUL character")
    return value.strip() or None


def parse_identifier(value: object) -> str | None:
    """An id or name; a whole number of any type counts as its digits."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        if is_missing(value):
            return None
        if value != int(value):
            raise ValueError("is a number with a fraction")
        value = str(int(value))
    text = parse_text(value)
    if text is None or text.lower() in _MISSING:
        return None
    if _WHOLE_FLOAT.fullmatch(text):
        text = text.partition(".")[0]
    if len(text) > LONGEST_IDENTIFIER:
        raise ValueError(f"is longer than {LONGEST_IDENTIFIER} characters")
    if not text.isprintable() and any(unicodedata.category(letter) == "Cc" for letter in text):
        raise ValueError("holds a control character")
    return text


def parse_whole(value: object) -> int | None:
    """A whole number."""
    if isinstance(value, bool):
        raise ValueError("is not a whole number")
    if isinstance(value, int):
        return value
    if isinstance(value, float | Decimal):
        if is_missing(value):
            return None
        if not math.isfinite(value) or value != int(value):
            raise ValueError("is not a whole number")
        return int(value)
    text = parse_text(value)
    if text is None or text.lower() in _MISSING:
        return None
    match = _WHOLE.fullmatch(text)
    if match is None:
        raise ValueError("is not a whole number")
    return int(match.group(1))


def parse_position(value: object) -> int | None:
    """A place in a call, counted from 0 or from 1."""
    number = parse_whole(value)
    if number is not None and not 0 <= number <= GREATEST_POSITION:
        raise ValueError("is not a position in a call")
    return number


def parse_permno(value: object) -> int | None:
    """A permno."""
    number = parse_whole(value)
    if number is not None and not 0 < number <= _GREATEST_PERMNO:
        raise ValueError("is not a permno")
    return number


def parse_gvkey(value: object) -> str | None:
    """A gvkey of six digits, filled up with zeros; a fictional one may hold letters."""
    text = parse_identifier(value)
    if text is None:
        return None
    try:
        return normal_gvkey(text, where="gvkey")
    except InputError:
        if not _GVKEY.fullmatch(text) or text.isdigit():
            raise ValueError("is not a gvkey of up to six digits") from None
        return text


def parse_speaker_type(value: object) -> str:
    """Our speaker type for a vendor's name or Capital IQ's id of it; Unknown when it has none."""
    text = parse_identifier(value)
    if text is None:
        return UNKNOWN_SPEAKER
    plain = " ".join(text.split())
    return _SPEAKER_TYPES.get(plain.lower(), UNKNOWN_SPEAKER if plain.isdigit() else plain)


def parse_date(value: object, date_format: str | None = None) -> dt.date | None:
    """A day; of a time the day in UTC."""
    time = parse_time(value, date_format)
    return time.date() if time is not None else None


def parse_time(value: object, date_format: str | None = None) -> dt.datetime | None:
    """A time in UTC, without zone; a day is its midnight. A time without a zone counts as UTC.

    ``date_format`` is a form of ``strptime``; then texts of every other form raise ValueError.
    """
    if isinstance(value, dt.datetime):
        return _utc(value)
    if isinstance(value, dt.date):
        return dt.datetime.combine(value, dt.time())
    if isinstance(value, float | Decimal) and not is_missing(value) and value == int(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, list) and value:
        # One public set gives some dates as the lines of a page's head; the date comes last.
        value = value[-1]
    text = parse_text(value)
    if text is None or text.lower() in _MISSING:
        return None
    if date_format is not None:
        try:
            return _utc(dt.datetime.strptime(text, date_format))
        except ValueError:
            raise ValueError(f"does not have the date format {date_format}") from None
    return _time(text)


def _time(text: str) -> dt.datetime:
    if text.startswith("["):
        try:
            parts = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            parts = None
        if isinstance(parts, list) and parts and isinstance(parts[-1], str):
            return _time(parts[-1].strip())
    if not text.isascii():
        text = text.replace("\u202f", " ").replace("\xa0", " ")
    for form in _DATE_FORMS if text.isascii() else ():
        match = form.fullmatch(text)
        if match is not None:
            try:
                return _time_of(match.groupdict())
            except ValueError:
                break
    epoch = _epoch(text)
    if epoch is not None:
        return epoch
    raise ValueError(_NOT_A_DATE)


def _time_of(parts: dict[str, Any]) -> dt.datetime:
    month = parts["month"]
    number = int(month) if month.isdigit() else _MONTHS.get(month.lower(), 0)
    year = int(parts["year"])
    if len(parts["year"]) == 2:
        year += 2000 if year < 70 else 1900
    hour = int(parts.get("hour") or 0)
    half = (parts.get("half") or "").replace(".", "").lower()
    if half:
        if not 1 <= hour <= 12:
            raise ValueError("no such hour")
        hour = hour % 12 + (12 if half == "pm" else 0)
    time = dt.datetime(
        year,
        number,
        int(parts["day"]),
        hour,
        int(parts.get("minute") or 0),
        int(parts.get("second") or 0),
    )
    zone = (parts.get("zone") or "").upper()
    if not zone:
        return time
    if zone in _NAMED_ZONES:
        return _utc(time.replace(tzinfo=ZoneInfo(_NAMED_ZONES[zone])))
    if zone in _ZONES:
        return _utc(time.replace(tzinfo=_ZONES[zone]))
    digits = zone[1:].replace(":", "").ljust(4, "0")
    offset = dt.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return _utc(time.replace(tzinfo=dt.timezone(-offset if zone[0] == "-" else offset)))


def _epoch(text: str) -> dt.datetime | None:
    """A count of seconds or their fractions since 1970; no two units give a year in range."""
    match = _WHOLE.fullmatch(text) if len(text) < 24 else None
    if match is None and not (text.isdigit() and len(text) == 19):
        return None
    number = int(match.group(1) if match is not None else text)
    for unit in _EPOCH_UNITS:
        if _EPOCH_FROM * unit <= number < _EPOCH_TO * unit:
            return dt.datetime.fromtimestamp(number // unit, dt.UTC).replace(tzinfo=None)
    return None


def _utc(time: dt.datetime) -> dt.datetime:
    return time.astimezone(dt.UTC).replace(tzinfo=None) if time.tzinfo is not None else time


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("is bytes that are not UTF-8 text") from None


def _kind(value: object) -> str:
    names = {bool: "true or false", dict: "an object", list: "a list"}
    numbers = {int: "a number", float: "a number", Decimal: "a number"}
    return {**names, **numbers}.get(type(value), type(value).__name__)
