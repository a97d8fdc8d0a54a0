"""Make a firm's calls of its rows: duplicates and contradictions are rejected, never resolved."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from typing import Any

from ftm_core.text.sentences import LONGEST_SENTENCE
from ftm_core.transcripts.call_sentences import Sentence, number_turns
from ftm_core.transcripts.chunks import Call, FirmTranscripts
from ftm_core.transcripts.layouts import ColumnMap
from ftm_core.transcripts.results import Reject
from ftm_core.transcripts.rows import excerpt
from ftm_core.transcripts.staging import StagedRow

Refuse = Callable[[Reject], None]
_ONE_PER_CALL = (
    "earnings_call_date",
    "firm_name",
    "ticker",
    "permno",
    "gvkey",
    "link_date",
)
_ONE_PER_FIRM = ("permno", "gvkey")
# Two calls of one day whose words agree to this share are most likely two versions of one call.
_NEARLY_EQUAL = 0.8


@dataclass(frozen=True)
class FirmRows:
    """The rows of one firm that are left after all checks, call by call in order of date."""

    calls: tuple[list[StagedRow], ...]
    splits: bool

    def texts(self) -> list[str]:
        """What has to be split: every turn, or sentences that are too long to be one."""
        return [row.text for call in self.calls for row in call if self._is_split(row)]

    def transcripts(self, split: Sequence[list[str]]) -> FirmTranscripts:
        """The firm with its calls; ``split`` are the sentences of each of ``texts``."""
        pieces = iter(split)
        latest = self.calls[-1]
        calls = tuple(self._call(rows, pieces) for rows in self.calls)
        everything = [row for call in self.calls for row in call]
        return FirmTranscripts(
            firm_id=latest[0].firm_id,
            firm_name=latest[0].firm_name,
            calls=calls,
            ticker=_only(latest, "ticker"),
            permno=_only(everything, "permno"),
            gvkey=_only(everything, "gvkey"),
            link_date=_only(latest, "link_date"),
        )

    def n_overlong(self) -> int:
        """Rows that are to be sentences and are too long for one."""
        return 0 if self.splits else len(self.texts())

    def _is_split(self, row: StagedRow) -> bool:
        return self.splits or len(row.text) > LONGEST_SENTENCE

    def _call(self, rows: list[StagedRow], pieces: Iterator[list[str]]) -> Call:
        if self.splits or any(self._is_split(row) for row in rows):
            # One row that is split moves all that follow, so the call is numbered through.
            sentences = number_turns(
                (
                    row.speaker_type,
                    next(pieces) if self._is_split(row) else [" ".join(row.text.split())],
                )
                for row in rows
            )
        else:
            sentences = tuple(
                Sentence(" ".join(row.text.split()), row.speaker_type, row.position) for row in rows
            )
        return Call(rows[0].transcript_id, rows[0].earnings_call_date, sentences)


class Assembler:
    """Checks the rows of one firm after another.

    Rejected, row by row, through ``refuse``: a call whose rows give two values of its date, name
    or an identifier; a place in a call given twice (the repetition where the text is the same,
    all rows of that place where it is not); a call with the text of another call of the firm; a
    call whose sentence ids are in use; all calls of a firm that give it two permnos or gvkeys. The
    firm's name, ticker and link date are those of its latest call. A transcript of two companies
    is kept for each, as from WRDS.
    """

    def __init__(self, columns: ColumnMap, refuse: Refuse) -> None:
        self._columns = columns
        self._refuse = refuse
        self._names: dict[str, str] = {}
        self.turns_by_speaker: Counter[str] = Counter()
        self.nearly_equal: list[tuple[str, str, str, dt.date]] = []

    def firm(self, rows: Sequence[StagedRow]) -> FirmRows | None:
        """What is left of ``rows`` (all of one firm, ordered); None when nothing is."""
        calls: list[list[StagedRow]] = []
        for _, group in groupby(rows, key=lambda row: row.transcript_id):
            call = self._whole_call(list(group))
            if call:
                calls.append(call)
        calls.sort(key=lambda call: (call[0].earnings_call_date, call[0].transcript_id))
        calls = self._consistent_firm(self._without_copies(calls))
        if not calls:
            return None
        for call in calls:
            self.turns_by_speaker.update(row.speaker_type for row in call)
        if len(calls) > 1:
            self._compare(calls)
        return FirmRows(tuple(calls), self._columns.layout.splits)

    def _compare(self, calls: list[list[StagedRow]]) -> None:
        """Note calls of one day that say nearly the same."""
        for one, other in combinations(calls, 2):
            if one[0].earnings_call_date != other[0].earnings_call_date:
                continue
            first, second = (
                Counter(word for row in call for word in row.text.lower().split())
                for call in (one, other)
            )
            if (first & second).total() >= _NEARLY_EQUAL * (first | second).total():
                row = one[0]
                self.nearly_equal.append(
                    (row.firm_id, row.transcript_id, other[0].transcript_id, row.earnings_call_date)
                )

    def _whole_call(self, rows: list[StagedRow]) -> list[StagedRow]:
        """The rows of a call without contradictions and repetitions; none if it is refused."""
        first = rows[0]
        name = f"{first.firm_id}_{first.transcript_id}"
        owner = self._names.setdefault(name, f"{first.firm_id} {first.transcript_id}")
        if owner != f"{first.firm_id} {first.transcript_id}":
            self._reject(rows, "transcript_id", f"gives the sentence ids of the call {owner}")
            return []
        for field in _ONE_PER_CALL:
            values = _distinct(rows, field)
            if len(values) > 1:
                self._reject(rows, field, f"the call gives several values: {_listed(values)}")
                return []
        return list(self._without_repetitions(rows))

    def _without_repetitions(self, rows: list[StagedRow]) -> Iterator[StagedRow]:
        for position, group in groupby(rows, key=lambda row: row.position):
            same = list(group)
            if len(same) > 1 and len({(row.text, row.speaker_type) for row in same}) > 1:
                self._reject(same, "position", f"place {position} of the call has several texts")
                continue
            yield same[0]
            if same[1:]:
                self._reject(same[1:], "position", f"repeats row {same[0].number}")

    def _without_copies(self, calls: list[list[StagedRow]]) -> list[list[StagedRow]]:
        """Calls whose text no earlier call of the firm has."""
        if len(calls) < 2:
            return calls
        kept: list[list[StagedRow]] = []
        seen: dict[bytes, str] = {}
        for rows in calls:
            text = hashlib.sha256("\x00".join(row.text for row in rows).encode()).digest()
            if text in seen:
                self._reject(rows, "transcript_id", f"has the text of the call {seen[text]}")
                continue
            seen[text] = rows[0].transcript_id
            kept.append(rows)
        return kept

    def _consistent_firm(self, calls: list[list[StagedRow]]) -> list[list[StagedRow]]:
        rows = [row for call in calls for row in call]
        for field in _ONE_PER_FIRM:
            values = _distinct(rows, field)
            if len(values) > 1:
                self._reject(rows, field, f"the firm's calls give {_listed(values)}")
                return []
        return calls

    def _reject(self, rows: Sequence[StagedRow], field: str, reason: str) -> None:
        theirs = self._columns.columns.get(field, field)
        for row in rows:
            value = excerpt(str(value)) if (value := getattr(row, field)) is not None else ""
            self._refuse(Reject(row.file, row.number, theirs, value, reason))


def _distinct(rows: Sequence[StagedRow], field: str) -> list[Any]:
    """The different values of a column, those that are given, in order of appearance."""
    values = (getattr(row, field) for row in rows)
    return list(dict.fromkeys(value for value in values if value is not None))


def _only(rows: Sequence[StagedRow], field: str) -> Any:
    return next(iter(_distinct(rows, field)), None)


def _listed(values: Sequence[Any]) -> str:
    shown = ", ".join(excerpt(str(value)) for value in values[:3])
    return shown if len(values) <= 3 else f"{shown} and {len(values) - 3} more"
