"""What `ftm ingest` and its preview print: tables for people, or one JSON document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from ftm_cli.results.ingest import IngestResult, PreviewResult, QuarterResult

if TYPE_CHECKING:
    from ftm_core.transcripts.ingest_report import IngestReport
    from ftm_core.transcripts.results import Preview, Reject

REJECTS_SHOWN = 20
_SENTENCES_SHOWN = 12


def ingest_result(report: IngestReport, *, data: str) -> IngestResult:
    """The JSON document of an ingest."""
    quarters = [
        QuarterResult(
            quarter=str(one.quarter),
            already_ingested=one.already_ingested,
            firms=one.manifest.n_firms,
            firms_without_permno=one.manifest.n_firms_without_permno,
            calls=one.manifest.n_calls,
            turns=one.n_turns,
            turns_by_speaker_type=dict(one.turns_by_speaker),
            sentences=one.manifest.n_sentences,
            chunks=len(one.manifest.chunks),
            rejected_rows=one.manifest.n_rejected_rows,
            rejects_file=one.rejects_place,
            source_sha256=one.manifest.source_sha256,
        )
        for one in report.quarters
    ]
    first, last = quarters[0], quarters[-1]
    return IngestResult(
        quarter=first.quarter if first is last else f"{first.quarter}..{last.quarter}",
        quarters=quarters,
        data=data,
        source=report.manifest.source,
        already_ingested=report.already_ingested,
        layout=report.layout,
        form=report.form,
        rows=report.n_rows,
        firms=sum(one.firms for one in quarters),
        firms_without_permno=sum(one.firms_without_permno for one in quarters),
        calls=sum(one.calls for one in quarters),
        turns=sum(one.turns for one in quarters),
        sentences=sum(one.sentences for one in quarters),
        chunks=sum(one.chunks for one in quarters),
        rejected_rows=report.n_rejects or sum(one.rejected_rows for one in quarters),
        rejects=report.rejects,
        rejects_by_reason=dict(report.rejects_by_reason),
        rejects_file=report.rejects_place,
        rows_of_other_quarters=dict(report.other_quarters),
        values_left_empty=dict(report.emptied),
        skipped=dict(report.skipped),
        older_versions=report.n_older_versions,
        warnings=list(report.warnings),
        source_sha256=report.manifest.source_sha256,
        seconds=round(report.seconds, 2),
    )


def show_report(report: IngestReport, *, data: str, as_json: bool) -> None:
    """The outcome as tables or as one JSON document; notes and rejects go to stderr."""
    from ftm_cli.console import print_json, print_table, say

    result = ingest_result(report, data=data)
    show_rejects(
        report.rejects,
        report.rejects_by_reason,
        count=result.rejected_rows,
        place=report.rejects_place,
    )
    _show_counts("Files and calls that were skipped", report.skipped)
    _show_counts("Values that were left empty", report.emptied)
    if report.n_older_versions:
        say(f"{report.n_older_versions:,} transcripts are older versions of calls and left out.")
    if report.other_quarters:
        say(f"Rows of other quarters: {_listed(report.other_quarters)}.")
    for warning in report.warnings:
        say(f"Warning: {warning}", style="yellow")
    if as_json:
        print_json(result.model_dump(mode="json"))
        return
    if result.already_ingested:
        say(f"{result.quarter} is ingested already from this content: nothing to do.")
    for one in result.quarters:
        print_table(f"Transcripts of {one.quarter}", ("", ""), _facts(result, one))
    say(f"Next: ftm run --quarter {result.quarters[0].quarter}")


def _facts(result: IngestResult, one: QuarterResult) -> list[tuple[str, str]]:
    facts: dict[str, Any] = {
        "data": result.data,
        "source": result.source,
        "layout": result.layout,
        "firms": one.firms,
        "firms without permno": one.firms_without_permno,
        "calls": one.calls,
        "turns": one.turns or None,
        "turns by speaker type": _listed(one.turns_by_speaker_type) or None,
        "sentences": one.sentences,
        "chunks": one.chunks,
        "rejected rows": one.rejected_rows,
    }
    return [
        (name, f"{value:,}" if isinstance(value, int) else value)
        for name, value in facts.items()
        if value is not None
    ]


def show_rejects(
    rejects: Sequence[Reject],
    by_reason: Mapping[str, int],
    *,
    count: int,
    place: str | None,
) -> None:
    """Counts by reason and the first rejected rows on stderr, and where all of them are."""
    if not rejects:
        return
    from ftm_cli.console import print_table, say, stderr
    from ftm_core.transcripts.rejects import COLUMNS

    _show_counts("Rejected rows by reason", by_reason)
    shown = [astuple(reject) for reject in rejects[:REJECTS_SHOWN]]
    title = f"Rejected rows ({len(shown)} of {count:,})"
    print_table(title, COLUMNS, shown, console=stderr)
    if place is not None:
        say(f"All of them: {place}")


def show_preview(preview: Preview, *, as_json: bool) -> None:
    """How a source would be read, as tables or as one JSON document."""
    from ftm_cli.console import print_json, print_table, say, stdout

    if as_json:
        print_json(PreviewResult(preview).as_json())
        return
    read = f"{preview.n_rows:,}" + ("" if preview.complete else " (the first; there are more)")
    days = f"{preview.first_day} to {preview.last_day}" if preview.first_day else "none"
    facts = [
        ("layout", f"{preview.layout}: {preview.describes}"),
        ("form", preview.form),
        ("calls read" if preview.describes.endswith("call") else "rows read", read),
        ("days of calls", days),
        ("turns by quarter", _listed(preview.quarters) or "none"),
        ("turns by speaker type", _listed(preview.turns_by_speaker) or "none"),
        ("rejected rows", f"{preview.n_rejects:,}"),
    ]
    if preview.ignored:
        facts.append(("columns ignored", ", ".join(preview.ignored)))
    if preview.n_older_versions:
        facts.append(("older versions of calls", f"{preview.n_older_versions:,}"))
    if preview.skipped:
        facts.append(("files and calls skipped", _listed(preview.skipped)))
    print_table(f"Preview of {preview.source}", ("", ""), facts)
    if preview.columns:
        print_table("Columns", ("ftm column", "source column"), list(preview.columns.items()))
    for call in preview.calls:
        title = (
            f"{call.firm_name} (firm {call.firm_id}), {call.earnings_call_date}, transcript "
            f"{call.transcript_id}"
        )
        rows = [
            (turn.speaker_type if not number else "", sentence)
            for turn in call.turns
            for number, sentence in enumerate(turn.sentences)
        ]
        more = len(rows) - _SENTENCES_SHOWN
        print_table(title, ("speaker type", "sentence"), rows[:_SENTENCES_SHOWN])
        if more > 0:
            stdout.print(f"… and {more:,} more sentences in {len(call.turns):,} turns")
    if preview.rejects:
        show_rejects(
            preview.rejects, preview.rejects_by_reason, count=preview.n_rejects, place=None
        )
    for warning in preview.warnings:
        say(f"Warning: {warning}", style="yellow")
    if preview.quarters:
        first, last = min(preview.quarters), max(preview.quarters)
        several = "" if first == last else f", --quarter {first}..{last}"
        say(
            f"Nothing was written. To ingest, give --quarter {first}{several} or --all-quarters "
            "in place of --preview."
        )


def _show_counts(title: str, counts: Mapping[str, int]) -> None:
    """Counts by reason on stderr, the most frequent first."""
    if not counts:
        return
    from ftm_cli.console import print_table, stderr

    rows = [(f"{count:,}", reason) for reason, count in counts.items()]
    print_table(title, ("count", "reason"), rows, console=stderr)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in counts.items())
