"""Choose one version of each call by the rule of docs/reference/wrds.md."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ftm_core.transcripts.layouts import ColumnMap
from ftm_core.transcripts.rows import RowChecker
from ftm_core.transcripts.values import parse_time

_FINAL = ("5", "final")
# Stages of review, the latest first: audited, proofed, edited, corrected, spellchecked.
_STAGES = (
    ("8", "audited"),
    ("1", "proofed"),
    ("2", "edited"),
    ("3", "corrected"),
    ("7", "spellchecked"),
)
# Versions of one call differ by hours on when it took place, never by a month.
_NEAR = dt.timedelta(days=31)

_CREATED = ("created_date", "created_time")

CallKey = tuple[str, str]


@dataclass(slots=True)
class _Version:
    """One transcript of a call."""

    event: str
    rank: tuple[Any, ...]
    day: dt.date


class CallVersions:
    """Collects the versions of each call, one small record a transcript, and names the others.

    A call is a firm and an event (Capital IQ's ``keydevid``). The version that stays is one with
    text; presentation "Final" before others; the latest creation; the later stage of review; the
    higher transcript id. Versions on days outside the wanted ones take part: a call around
    midnight of a quarter's last day must be in one quarter, never in two.
    """

    def __init__(self, columns: ColumnMap, checker: RowChecker) -> None:
        self._columns = columns
        self._checker = checker
        self.has_events = "event_id" in columns.columns
        self._versions: dict[CallKey, _Version] = {}

    def note(
        self, firm_id: str, transcript_id: str, day: dt.date, values: Mapping[str, Any]
    ) -> None:
        """Take note of a row of a transcript; only its first row is looked at."""
        key = (firm_id, transcript_id)
        if not self.has_events or key in self._versions:
            return
        event = self._checker.optional_text(values, "event_id")
        if event is not None:
            self._versions[key] = _Version(event, self._rank(transcript_id, values), day)

    def is_near(self, day: dt.date, first: dt.date | None, last: dt.date | None) -> bool:
        """Whether a version of that day may be one of a call between ``first`` and ``last``."""
        if not self.has_events or first is None or last is None:
            return False
        return first - _NEAR <= day <= last + _NEAR

    def superseded(self) -> dict[CallKey, CallKey]:
        """Each transcript that another version of its call replaces, with that version."""
        best: dict[CallKey, CallKey] = {}
        for key, version in self._versions.items():
            call = (key[0], version.event)
            chosen = best.get(call)
            if chosen is None or version.rank > self._versions[chosen].rank:
                best[call] = key
        return {
            key: best[key[0], version.event]
            for key, version in self._versions.items()
            if best[key[0], version.event] != key
        }

    def _rank(self, transcript_id: str, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """Greater is better; a transcript of which a row is noted has text."""
        presentation = (self._checker.optional_text(values, "presentation") or "").lower()
        stage = (self._checker.optional_text(values, "stage") or "").lower()
        stages = [number for number, names in enumerate(_STAGES) if stage.startswith(names)]
        number = int(transcript_id) if transcript_id.isdigit() else 0
        return (
            presentation in _FINAL,
            self._created(values),
            -(stages[0] if stages else len(_STAGES)),
            number,
            transcript_id,
        )

    def _created(self, values: Mapping[str, Any]) -> dt.datetime:
        """When the version was made: a time, or a day and a time of day."""
        given = [values.get(self._columns.columns.get(name, "")) for name in _CREATED]
        day, clock = given
        try:
            made = parse_time(day) or dt.datetime.min
        except ValueError:
            return dt.datetime.min
        if isinstance(clock, dt.time):
            return dt.datetime.combine(made.date(), clock)
        parts = str(clock or "").strip().split(".")[0].split(":")
        if len(parts) == 3 and all(part.isdigit() for part in parts):
            hours, minutes, seconds = (int(part) for part in parts)
            return made + dt.timedelta(hours=hours, minutes=minutes, seconds=seconds)
        return made
