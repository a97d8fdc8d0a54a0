"""Show how a source would be read, without writing anything."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ftm_core.contracts.quarters import Quarter
from ftm_core.text.sentences import LONGEST_SENTENCE, split
from ftm_core.transcripts.ingest import IngestOptions, open_options
from ftm_core.transcripts.rejection_limits import MAX_REJECTED_SHARE
from ftm_core.transcripts.results import Preview, PreviewCall, PreviewTurn, Reject
from ftm_core.transcripts.row_reader import (
    Accepted,
    Rejected,
    Repeated,
    RowReader,
)
from ftm_core.transcripts.rows import Component
from ftm_core.transcripts.sources import open_source

# Rows that a preview reads: enough for any one quarter of one source to show what it is.
ROWS_READ = 200_000
_CALLS_SHOWN = 3
_TURNS_KEPT = 400
_REJECTS_KEPT = 20
# A layout with turns gives a call many of them; fewer mean that its speakers were not recognized.
_FEW_TURNS = 3
# Layouts of tables; files of one call have no columns to show.
_TABLES = ("ftm", "turns", "capital-iq", "maec", "calls")


def preview(
    source: str | Path | Sequence[str | Path],
    options: IngestOptions | None = None,
    quarters: Collection[Quarter] | None = None,
    *,
    rows_read: int = ROWS_READ,
) -> Preview:
    """Read a source up to ``rows_read`` rows as ``ingest`` would; of ``quarters`` if given.

    Raises InputError as ``ingest`` does when the source cannot be opened or fits no layout.
    """
    options = options or IngestOptions()
    given = [source] if isinstance(source, str | Path) else list(source)
    with tempfile.TemporaryDirectory(prefix="ftm-preview-") as workplace:
        opened = open_source(given, Path(workplace), open_options(options))
        reader = RowReader(opened, options, None)
        seen = _Seen(quarters)
        complete = True
        for item in reader.items():
            seen.take(item)
            if reader.n_rows >= rows_read:
                complete = False
                break
        older = reader.versions.superseded()
        return _result(opened.where, reader, seen, complete, set(older), opened.warnings)


class _Seen:
    """Counts over all rows, and the rows of a few calls."""

    def __init__(self, quarters: Collection[Quarter] | None) -> None:
        self._wanted = None if quarters is None else {str(quarter) for quarter in quarters}
        self.turns: dict[tuple[str, str], Counter[tuple[str, str]]] = defaultdict(Counter)
        self.days: list[dt.date] = []
        self.calls: dict[tuple[str, str], list[Component]] = {}
        self.rejects: list[Reject] = []
        self.reasons: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.n_long = 0

    def totals(self, older: Collection[tuple[str, str]]) -> tuple[Counter[str], Counter[str]]:
        """Turns by quarter and by speaker type, without older versions of calls."""
        quarters: Counter[str] = Counter()
        speakers: Counter[str] = Counter()
        for key, counts in self.turns.items():
            if key in older:
                continue
            for (quarter, speaker), count in counts.items():
                quarters[quarter] += count
                speakers[speaker] += count
        return quarters, speakers

    def take(self, item: object) -> None:
        """Count one item of the reader."""
        if isinstance(item, Accepted):
            self._accept(item.quarter, item.component)
        elif isinstance(item, Rejected):
            self.reasons[f"{item.reject.field} {item.reject.reason}".strip()] += 1
            if len(self.rejects) < _REJECTS_KEPT:
                self.rejects.append(item.reject)
        elif isinstance(item, Repeated):
            self.skipped["a call that came before, word for word"] += 1
        else:
            self.skipped[getattr(item, "reason", "")] += 1

    def _accept(self, quarter: str, row: Component) -> None:
        key = (row.firm_id, row.transcript_id)
        self.turns[key][quarter, row.speaker_type] += 1
        self.n_long += len(row.text) > LONGEST_SENTENCE
        day = row.earnings_call_date
        self.days = [min(self.days[0], day), max(self.days[1], day)] if self.days else [day, day]
        if self._wanted is not None and quarter not in self._wanted:
            return
        # Room for versions of the calls that are shown, which may come before them.
        if key in self.calls or len(self.calls) < 4 * _CALLS_SHOWN:
            rows = self.calls.setdefault(key, [])
            if len(rows) < _TURNS_KEPT:
                rows.append(row)


def _result(
    where: str,
    reader: RowReader,
    seen: _Seen,
    complete: bool,
    older: set[tuple[str, str]],
    warnings: Sequence[str],
) -> Preview:
    columns = reader.columns
    layout = columns.layout
    shown = [rows for key, rows in seen.calls.items() if key not in older][:_CALLS_SHOWN]
    calls = tuple(_call(rows, splits=layout.splits) for rows in shown)
    used = set(columns.columns.values())
    messages = [*warnings, *reader.source.warnings]
    messages += reader.cleaner.warnings()
    quarters, speakers = seen.totals(older)
    messages += _warnings(reader, seen, calls, speakers)
    return Preview(
        source=where,
        layout=columns.describe(),
        describes=layout.describes,
        form=reader.form,
        columns=dict(columns.columns) if layout.name in _TABLES else {},
        ignored=tuple(c for c in reader.source.columns if c not in used)
        if layout.name in _TABLES
        else (),
        n_rows=reader.n_rows,
        complete=complete,
        first_day=seen.days[0] if seen.days else None,
        last_day=seen.days[1] if seen.days else None,
        quarters=dict(sorted(quarters.items())),
        turns_by_speaker=dict(speakers.most_common()),
        calls=calls,
        n_rejects=seen.reasons.total(),
        rejects=tuple(seen.rejects),
        rejects_by_reason=dict(seen.reasons.most_common(10)),
        n_older_versions=len(older),
        skipped=dict(seen.skipped.most_common()),
        warnings=tuple(messages),
    )


def _warnings(
    reader: RowReader, seen: _Seen, calls: Sequence[PreviewCall], speakers: Mapping[str, int]
) -> list[str]:
    messages = []
    layout = reader.columns.layout
    n_rejects = seen.reasons.total()
    if reader.n_rows and n_rejects > MAX_REJECTED_SHARE * reader.n_rows:
        messages.append(
            f"{n_rejects:,} of {reader.n_rows:,} rows are rejected. Ingest refuses more than "
            f"{100 * MAX_REJECTED_SHARE:.0f} % without --accept-rejects."
        )
    messages += [
        f"{count:,} values of {reader.columns.columns.get(name, name)} are left empty: each {why}."
        for (name, why), count in reader.checker.emptied.most_common(5)
    ]
    if not layout.splits and seen.n_long:
        messages.append(
            f"{seen.n_long:,} rows that should be sentences have more than {LONGEST_SENTENCE:,} "
            "characters. If rows are turns, add --layout turns; if they are whole calls, --layout "
            "calls."
        )
    if layout.splits and calls and min(len(call.turns) for call in calls) < _FEW_TURNS:
        messages.append(
            "A call that is shown has hardly any turns. Check that its speakers are named."
        )
    if set(speakers) == {"Unknown"} and layout.splits:
        messages.append(
            "No speaker types are known, so that words of the operator cannot be filtered out by "
            "type. Name their column with --column speaker_type=theirs."
        )
    return messages


def _call(rows: Sequence[Component], *, splits: bool) -> PreviewCall:
    first = rows[0]
    ordered = sorted(rows, key=lambda row: row.position)
    return PreviewCall(
        firm_id=first.firm_id,
        firm_name=first.firm_name,
        ticker=first.ticker,
        permno=first.permno,
        gvkey=first.gvkey,
        transcript_id=first.transcript_id,
        earnings_call_date=first.earnings_call_date,
        turns=tuple(
            PreviewTurn(
                row.speaker_type,
                tuple(split(row.text))
                if splits or len(row.text) > LONGEST_SENTENCE
                else (" ".join(row.text.split()),),
            )
            for row in ordered
        ),
    )
