"""Check the input: that it is the one the run began with, and that all of it is accounted for."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ftm_core.contracts.errors import InputError, ObjectMissingError
from ftm_core.data.finished import FinishedQuarter
from ftm_core.data.transcript_chunks import iterate_firms
from ftm_core.evaluation.digests import FirmDigests
from ftm_core.evaluation.reader import reason
from ftm_core.evaluation.report import Check, Tally
from ftm_core.themes.tables import completed_firms, failed_wholly

CallKey = tuple[str, dt.date]

# A sentence as it was ingested; the map adds its topic and must change nothing else.
SPOKEN_COLUMNS = (
    "sentence_id",
    "firm_id",
    "permno",
    "transcript_id",
    "earnings_call_date",
    "raw_text",
    "speaker_type",
    "position",
    "quarter",
)
_FIRM_COLUMNS = ("firm_name", "ticker", "gvkey", "permno", "link_date")


@dataclass
class InputFacts:
    """What the transcripts say: sentences by firm, identifiers by call."""

    spoken: FirmDigests = field(default_factory=lambda: FirmDigests(SPOKEN_COLUMNS))
    sentences: Counter[str] = field(default_factory=Counter)
    calls: dict[CallKey, dict[str, Any]] = field(default_factory=dict)


def read_input(quarter: FinishedQuarter) -> tuple[InputFacts, Check]:
    """Read the transcripts once; the check says whether they are those the run began with."""
    tally = Tally(
        "same-input", "input", "The transcripts are those that the run was made from", "chunks"
    )
    facts = InputFacts()
    recorded = quarter.identity.inputs["transcripts"]
    present = [chunk.sha256 for chunk in quarter.manifest.chunks]
    for number, chunk in enumerate(quarter.manifest.chunks):
        same = recorded[number : number + 1] == [chunk.sha256]
        tally.see(same, f"{chunk.key}: was ingested anew since the run")
    if len(recorded) > len(present):
        tally.see(False, f"the run had {len(recorded)} chunks, now there are {len(present)}")
    columns = list(dict.fromkeys((*SPOKEN_COLUMNS, *_FIRM_COLUMNS)))
    firms = list(quarter.manifest.firm_to_chunk)
    try:
        for firm_id, table in iterate_firms(quarter.storage, quarter.manifest, firms, columns):
            facts.sentences[firm_id] = table.num_rows
            for row in table.to_pylist():
                facts.spoken.add(row)
                facts.calls.setdefault((firm_id, row["earnings_call_date"]), row)
    except (InputError, ObjectMissingError) as error:
        tally.see(False, reason(error))
    return facts, tally.check()


def check_counts(
    quarter: FinishedQuarter, facts: InputFacts, written: Counter[str], tolerance: float
) -> list[Check]:
    """Check that firms and sentences add up; ``written`` has the sentences in parts by firm."""
    return [
        _firms_add_up(quarter, written),
        _sentences_add_up(quarter, facts, written),
        _failures_tolerated(quarter, tolerance),
    ]


def _firms_add_up(quarter: FinishedQuarter, written: Counter[str]) -> Check:
    """Every planned firm is completed or a recorded failure, and only completed ones have rows."""
    tally = Tally(
        "firms-add-up", "input", "Every planned firm is completed or a recorded failure", "firms"
    )
    completed, failed = completed_firms(quarter.output), failed_wholly(quarter.output)
    listed = Counter(
        firm for point in quarter.output.checkpoints for firm in point.completed_firm_ids
    )
    planned = Counter(quarter.planned_firms)
    for firm in sorted({*planned, *listed, *written, *failed}):
        faults = []
        if planned[firm] != 1:
            faults.append(f"is planned {planned[firm]} times")
        if listed[firm] > 1:
            faults.append(f"is completed {listed[firm]} times")
        if firm not in completed and firm not in failed:
            faults.append("is neither completed nor failed")
        if (firm in completed) != (firm in written):
            faults.append("is completed without rows" if firm in completed else "has stray rows")
        tally.see(not faults, f"{firm} {', '.join(faults)}")
    return tally.check()


def _sentences_add_up(quarter: FinishedQuarter, facts: InputFacts, written: Counter[str]) -> Check:
    planned = set(quarter.planned_firms)
    failed = sum(facts.sentences[firm] for firm in failed_wholly(quarter.output))
    unplanned = sum(count for firm, count in facts.sentences.items() if firm not in planned)
    kept = written.total()
    found, expected = kept + failed + unplanned, quarter.manifest.n_sentences
    figure = f"{kept} written + {failed} of failed firms"
    if unplanned:
        figure += f" + {unplanned} of firms left out by --max-firms"
    return Check(
        id="sentences-add-up",
        group="input",
        title="Every ingested sentence is written or of a failed firm",
        passed=found == expected,
        figure=f"{figure} = {expected}" if found == expected else f"{figure} != {expected}",
        detail="" if found == expected else f"{abs(expected - found)} sentences "
        + ("are missing" if found < expected else "are too many"),
    )  # fmt: skip


def _failures_tolerated(quarter: FinishedQuarter, tolerance: float) -> Check:
    failed, planned = len(quarter.output.failed_firms), quarter.output.n_firms
    passed = failed <= tolerance * planned
    first = quarter.output.failures[0] if quarter.output.failures else None
    return Check(
        id="failures-tolerated",
        group="input",
        title="Failed firms are within tolerance",
        passed=passed,
        figure=f"{failed} of {planned} firms failed, tolerated {tolerance:.0%}",
        detail="" if passed or first is None else f"{first.firm_id}: {first.error_message}",
    )
