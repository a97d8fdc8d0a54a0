"""Results of runs as tables and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ftm_cli.console import print_json, print_table, say

if TYPE_CHECKING:
    from ftm_cli.operations.local_run import LocalOutcome
    from ftm_core.pipeline import QuarterOutcome
    from ftm_core.quality.figures import Measure

FAILURES_SHOWN = 20


def run_as_json(result: LocalOutcome) -> dict[str, Any]:
    """The documented JSON shape of `ftm run`."""
    head = {
        "quarter": str(result.quarter),
        "data": result.data,
        "run_id": result.run_id,
        "nothing_to_do": result.outcome is None,
    }
    if result.outcome is None:
        return head
    outcome = result.outcome
    return {
        **head,
        "firms": sum(batch.n_firms for batch in outcome.batches),
        "firms_completed": sum(batch.n_completed for batch in outcome.batches),
        "topics": outcome.reduce.n_topics,
        "topics_in_themes": outcome.reduce.n_topics_in_themes,
        "themes": outcome.reduce.n_themes,
        "failures": [
            {"firm_id": f.firm_id, "topic_id": f.topic_id, "error": f.error_message}
            for f in outcome.failures
        ],
        "seconds": {timing.stage: round(timing.seconds, 2) for timing in outcome.timings},
        "peak_memory_mib": round(outcome.peak_memory_mib, 1),
    }


def render_run(result: LocalOutcome, *, as_json: bool) -> None:
    """Print what a run came to."""
    if as_json:
        print_json(run_as_json(result))
        return
    if result.outcome is None:
        say(f"{result.quarter} is finished already (run {result.run_id}): nothing to do.")
        return
    facts = run_as_json(result)
    rows = [
        ("run", facts["run_id"]),
        ("data", facts["data"]),
        ("firms", f"{facts['firms_completed']} of {facts['firms']}"),
        ("topics", f"{facts['topics']}, {facts['topics_in_themes']} of them in themes"),
        ("themes", facts["themes"]),
        ("recorded failures", len(facts["failures"])),
        *((f"{stage}, seconds", seconds) for stage, seconds in facts["seconds"].items()),
        ("peak memory, MiB", facts["peak_memory_mib"]),
    ]
    print_table(f"{result.quarter}", ("", ""), rows)
    render_failures(result.outcome)
    say(f"Next: ftm evaluate --quarter {result.quarter}")


def render_failures(outcome: QuarterOutcome) -> None:
    """Print the first recorded failures, and how many there are."""
    if not outcome.failures:
        return
    rows = [
        (failure.firm_id, failure.topic_id, failure.error_message)
        for failure in outcome.failures[:FAILURES_SHOWN]
    ]
    print_table(
        f"Recorded failures ({len(rows)} of {len(outcome.failures)}); the next run retries them",
        ("firm_id", "topic_id", "reason"),
        rows,
    )


def warn_of(measures: Sequence[Measure]) -> None:
    """Say which measures of quality are beyond their thresholds."""
    for measure in measures:
        figure = "cannot be measured" if measure.value is None else f"is {measure.value:.3f}"
        say(f"warning: {measure.id} {figure}, wanted {measure.threshold}", style="yellow")
