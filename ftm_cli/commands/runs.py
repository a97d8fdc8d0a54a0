"""`ftm runs`: the runs of a target."""

from __future__ import annotations

from typing import Annotated

import typer

from ftm_cli.options import (
    AllQuartersOption,
    DataOption,
    JsonOption,
    QuartersOption,
    TargetOption,
)


def runs_command(
    quarters: QuartersOption = None,
    every: AllQuartersOption = False,
    data: DataOption = None,
    target: TargetOption = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=100, help="Maximum number of runs to list.")
    ] = 20,
    json_output: JsonOption = False,
) -> None:
    """List runs with state, time and cost.

    The cost is an estimate: one vLLM for the time of the run, at the list prices of the table.

    JSON: `ftm schema runs`.

    Examples:

        ftm runs

        ftm runs --target local --data data --json

        ftm runs --quarters 2016Q3..2017Q1
    """
    from ftm_cli.console import print_json, say
    from ftm_cli.operations.costs import read_prices
    from ftm_cli.targets.reports import runs_report
    from ftm_cli.views.history import show_runs
    from ftm_cli.views.target import announced_target
    from ftm_core.contracts.quarters import MAX_QUARTERS, parse_quarters

    chosen = announced_target(target, data)
    # The limit is for a list that nobody narrowed.
    many = quarters is not None or every
    runs = chosen.history(MAX_QUARTERS if many else limit)
    if quarters is not None:
        wanted = {str(item) for item in parse_quarters(quarters)[0]}
        runs = [run for run in runs if run.quarter in wanted]
    prices = read_prices()
    if json_output:
        print_json(runs_report(chosen, runs, prices.date).as_json())
        return
    show_runs(runs)
    if any(run.cost_usd is not None for run in runs):
        say(f"Costs: one vLLM for the time of the run, {prices.note}.")
