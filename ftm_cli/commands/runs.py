"""`ftm runs`: the runs there have been, here and on AWS."""

from __future__ import annotations

from typing import Annotated

import typer

from ftm_cli.options import DataOption, JsonOption, TargetOption


def runs_command(
    data: DataOption = None,
    target: TargetOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="At most so many.")] = 20,
    json_output: JsonOption = False,
) -> None:
    """List runs with state, time and cost: of the data folder, and of AWS once pinned.

    The cost is an estimate: one vLLM for the time of the run, at the list prices of the table.

    JSON: {runs: [{target, run, quarter, state, started, seconds, cost_usd}], prices_date}.

    Examples:

        ftm runs

        ftm runs --target local --data data --json
    """
    from pathlib import Path

    from ftm_cli.console import print_json, print_table, say
    from ftm_cli.operations.aws.history import aws_runs, local_runs
    from ftm_cli.operations.costs import duration, read_prices
    from ftm_cli.targets import DEFAULT_DATA, chosen_target, open_data

    prices = read_prices()
    runs = []
    if chosen_target(target) == "aws":
        from ftm_cli.operations.aws.executions import Executions
        from ftm_cli.operations.aws.outputs import deployed_instance_type
        from ftm_cli.operations.aws.session import pinned_session

        executions = Executions(pinned_session())
        runs += list(aws_runs(executions, prices, deployed_instance_type(), limit=limit))
    if target != "aws" and (data is not None or Path(DEFAULT_DATA).is_dir()):
        runs += list(local_runs(open_data(data, target="local")))[:limit]
    if json_output:
        print_json({"runs": [run.as_json() for run in runs], "prices_date": prices.date})
        return
    rows = [
        (
            run.target,
            run.run,
            run.quarter,
            run.state,
            run.started,
            duration(run.seconds) if run.seconds is not None else "",
            f"${run.cost_usd:.2f}" if run.cost_usd is not None else "",
        )
        for run in runs
    ]
    columns = ("where", "run", "quarter", "state", "started", "time", "cost")
    print_table("Runs", columns, rows)
    say(f"Costs: one vLLM for the time of the run, {prices.note}.")
