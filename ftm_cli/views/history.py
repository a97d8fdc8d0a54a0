"""The list of runs on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ftm_cli.console import print_table, say
from ftm_cli.operations.costs import duration

if TYPE_CHECKING:
    from ftm_cli.results.runs import RunRecord


def show_runs(runs: Sequence[RunRecord]) -> None:
    """One row per run; without runs, how to start one."""
    if not runs:
        say("There is no run yet. Start one with `ftm run --quarter Q`.")
        return
    rows = [
        (
            run.run,
            run.quarter,
            run.state,
            run.started,
            duration(run.seconds) if run.seconds is not None else "",
            f"${run.cost_usd:.2f}" if run.cost_usd is not None else "",
        )
        for run in runs
    ]
    print_table("Runs", ("run", "quarter", "state", "started", "time", "cost"), rows)
