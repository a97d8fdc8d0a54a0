"""Make turns of sources in which a row, an object or a file is a whole call."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ftm_core.transcripts.cleaning import TextCleaner
from ftm_core.transcripts.layouts import ColumnMap
from ftm_core.transcripts.sources.base import Row
from ftm_core.transcripts.sources.dates import DatesTable
from ftm_core.transcripts.turns import (
    Turn,
    parsed_list,
    turns_of_list,
    turns_of_text,
    types_of_participants,
)
from ftm_core.transcripts.values import UNKNOWN_SPEAKER, is_missing, parse_date, parse_text

_FROM_NAMES = ("firm_id", "firm_name", "ticker", "earnings_call_date", "transcript_id", "fiscal")


@dataclass(frozen=True)
class WholeCall:
    """A call's own values by our names, and its turns in order."""

    values: dict[str, Any]
    turns: list[Turn]


class CallReader:
    """Reads one row after another; ``dates`` gives the days where the rows do not."""

    def __init__(
        self,
        columns: ColumnMap,
        dates: DatesTable | None = None,
        date_format: str | None = None,
        fiscal_columns: Mapping[str, str] | None = None,
        cleaner: TextCleaner | None = None,
    ) -> None:
        self._columns = columns.columns
        self._dates = dates
        self._date_format = date_format
        self._fiscal = fiscal_columns or {}
        self._clean = (cleaner or TextCleaner()).clean
        self._seen: set[bytes] = set()

    def read(self, row: Row) -> WholeCall | str | None:
        """The call; a text that says why it cannot be read; None when it came before."""
        values = {ours: row.values.get(theirs) for ours, theirs in self._columns.items()}
        values |= {ours: row.values.get(theirs) for ours, theirs in self._fiscal.items()}
        # What the file's name contains is stored under our own names.
        values |= {
            name: value
            for name, value in row.values.items()
            if name in _FROM_NAMES and name not in values
        }
        self._add_date(row.file, values)
        if is_missing(values.get("earnings_call_date")):
            if self._dates is not None:
                return f"the table of dates, {self._dates.name}, has no day for this call"
            return "the day of the call is missing"
        if values.get("firm_id") is None:
            values["firm_id"] = values.get("ticker")
        if is_missing(values.get("firm_name")):
            values["firm_name"] = values["firm_id"]
        try:
            turns = self._turns(values)
        except ValueError as error:
            return str(error)
        if not turns:
            return (
                "no speakers are recognized in the text: turns begin with `Name: text`, "
                "`Name -- Role` or a name alone on its line, or are a list"
            )
        if not is_missing(values.get("event_id")):
            # Versions of a call are distinguished by their event, not by their text.
            self._name(values)
            return WholeCall(values, turns)
        text = "\x00".join(turn.text for turn in turns)
        mark = hashlib.sha256(f"{values['firm_id']}\x00{text}".encode("utf-8", "replace")).digest()
        if mark in self._seen:
            return None
        self._seen.add(mark)
        self._name(values)
        return WholeCall(values, turns)

    def _add_date(self, file: str, values: dict[str, Any]) -> None:
        if self._dates is None:
            return
        keyed = {**values, "ticker": values.get("ticker") or values.get("firm_id")}
        found = self._dates.find(file, keyed)
        # The table was given for what the calls do not contain; a day in it goes before theirs.
        for name, value in found.items():
            if name == "earnings_call_date" or is_missing(values.get(name)):
                values[name] = value

    def _turns(self, values: dict[str, Any]) -> list[Turn]:
        types = types_of_participants(parsed_list(values.get("participants")))
        listed = self._listed_turns(values, types)
        if listed is not None:
            return [turn._replace(text=self._clean(turn.text)) for turn in listed]
        text = parse_text(values.get("raw_text"))
        if text is None:
            raise ValueError("the text is empty")
        # Escaped line breaks hide names that stand on lines of their own.
        return turns_of_text(self._clean(text), types)

    def _listed_turns(self, values: dict[str, Any], types: Mapping[str, str]) -> list[Turn] | None:
        """Turns of nested lists; None when the call is one text."""
        nested = parsed_list(values.get("turns"))
        if nested is not None:
            typed = [part for part in nested if isinstance(part, Mapping) and "type" in part]
            if typed and len(typed) == len(nested):
                return [Turn(p["speaker"], p["type"] or UNKNOWN_SPEAKER, p["text"]) for p in typed]
            return turns_of_list(nested, types)
        both = [
            parsed_list(values.get(name)) for name in ("prepared_remarks", "questions_and_answers")
        ]
        if any(part is not None for part in both):
            return turns_of_list([turn for part in both if part for turn in part], types)
        nested = parsed_list(values.get("raw_text"))
        return None if nested is None else turns_of_list(nested, types)

    def _name(self, values: dict[str, Any]) -> None:
        """Give the call an id where its source has none: its day and firm."""
        if not is_missing(values.get("transcript_id")):
            return
        try:
            day = parse_date(values["earnings_call_date"], self._date_format)
        except ValueError:
            return
        if day is not None:
            values["transcript_id"] = f"{day:%Y%m%d}_{str(values['firm_id']).strip()}"
