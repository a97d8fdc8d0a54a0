"""What ingest and its preview say of a source: rejected rows, and calls as they would be stored."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Reject:
    """One row that was not ingested, and why; the fields are the columns of ``rejects.csv``."""

    file: str
    row: int
    field: str
    value: str
    reason: str


@dataclass(frozen=True)
class PreviewTurn:
    """One turn as it would be stored: its speaker type and sentences."""

    speaker_type: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class PreviewCall:
    """One call as it would be stored."""

    firm_id: str
    firm_name: str
    ticker: str | None
    permno: int | None
    gvkey: str | None
    transcript_id: str
    earnings_call_date: dt.date
    turns: tuple[PreviewTurn, ...]


@dataclass(frozen=True)
class Preview:
    """What a source is and what ingest would make of it.

    ``columns`` maps our names to the source's. ``complete`` is False when only the first rows were
    read. ``quarters`` and ``turns_by_speaker`` count turns or sentences as they would be stored,
    without older versions of calls; of quarters that were not asked for, too.
    """

    source: str
    layout: str
    describes: str
    form: str
    columns: Mapping[str, str]
    ignored: tuple[str, ...]
    n_rows: int
    complete: bool
    first_day: dt.date | None
    last_day: dt.date | None
    quarters: Mapping[str, int]
    turns_by_speaker: Mapping[str, int]
    calls: tuple[PreviewCall, ...]
    n_rejects: int
    rejects: tuple[Reject, ...]
    rejects_by_reason: Mapping[str, int]
    n_older_versions: int
    skipped: Mapping[str, int]
    warnings: tuple[str, ...]
