"""`ftm run`: a whole quarter, transcripts to themes."""

from __future__ import annotations

from typing import Annotated

import typer

from ftm_cli.options import DataOption, JsonOption, QuarterOption


def run_command(
    quarter: QuarterOption,
    data: DataOption = None,
    llm_base_url: Annotated[
        str | None,
        typer.Option(help="OpenAI-compatible server to use instead of the embedded one."),
    ] = None,
    llm_model_name: Annotated[
        str | None, typer.Option(help="Model that the server serves.")
    ] = None,
    max_firms: Annotated[
        int | None, typer.Option(min=1, help="Take only the first N firms.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Firms per batch.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Topic-model processes.")] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Clear the quarter's output and begin afresh.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Run a quarter: map every firm's call to topics, reduce all topics to themes.

    Resumes where an earlier run stopped. Ctrl-C saves what is finished.

    Examples:

        ftm run --quarter 2023Q1

        ftm run --quarter 2017Q1 --max-firms 60 --llm-base-url http://127.0.0.1:8000/v1
    """
    from ftm_cli.console import progress_listener
    from ftm_cli.operations.local_run import LocalRun, run_locally
    from ftm_cli.render import render_run
    from ftm_cli.targets import open_data
    from ftm_core.contracts.quarters import Quarter

    run = LocalRun(
        quarter=Quarter.parse(quarter),
        storage=open_data(data),
        max_firms=max_firms,
        restart=restart,
        flags={
            "llm.base_url": llm_base_url,
            "llm.model_name": llm_model_name,
            "map.batch_size": batch_size,
            "map.workers": workers,
        },
    )
    with progress_listener() as listener:
        outcome = run_locally(run, listener)
    render_run(outcome, as_json=json_output)
