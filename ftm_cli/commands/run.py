"""`ftm run`: one quarter or many, transcripts to themes, on any target."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ftm_cli.options import (
    AllQuartersOption,
    DataOption,
    JsonOption,
    QuartersOption,
    TargetOption,
    YesOption,
)


def run_command(
    quarter: Annotated[
        str | None, typer.Option("--quarter", "-q", help="Calendar quarter, such as 2023Q1.")
    ] = None,
    quarters: QuartersOption = None,
    every: AllQuartersOption = False,
    data: DataOption = None,
    llm_base_url: Annotated[
        str | None,
        typer.Option(help="OpenAI-compatible server to use instead of the bundled model."),
    ] = None,
    llm_model_name: Annotated[
        str | None, typer.Option(help="Model that the server serves.")
    ] = None,
    local_model: Annotated[
        str | None,
        typer.Option(
            "--local-model",
            help="GGUF file to serve here: a path, a name of `ftm models`, or hf:OWNER/REPO/FILE.",
        ),
    ] = None,
    max_firms: Annotated[
        int | None, typer.Option(min=1, help="Take only the first N firms.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Firms per batch.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Topic-model processes.")] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Clear the quarter's output and start over.")
    ] = False,
    target: TargetOption = None,
    scale: Annotated[
        str | None,
        typer.Option(
            "--scale",
            help="On AWS: auto brings vLLM up and always down again; none leaves it alone. [auto]",
        ),
    ] = None,
    instances: Annotated[
        int | None, typer.Option("--instances", min=1, help="On AWS: vLLM instances. [1]")
    ] = None,
    at_once: Annotated[
        int | None, typer.Option("--at-once", min=1, help="On AWS: quarters at the same time. [2]")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="On AWS and Slurm: start the run and return.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show batches, time and cost; start nothing.")
    ] = False,
    save_scripts: Annotated[
        Path | None,
        typer.Option(
            "--save-scripts",
            help="On Slurm: write the scripts into this folder, to edit and submit; start nothing.",
            show_default=False,
        ),
    ] = None,
    yes: YesOption = False,
    json_output: JsonOption = False,
) -> None:
    """Run quarters: map every firm's call to topics, reduce all topics to themes.

    Resumes where an earlier run stopped. Ctrl-C saves what is finished. Of many quarters, those
    that are not finished are run, and one that fails does not keep the next from running; all must
    have the same settings and models. The exit code is that of the quarter that failed.

    On AWS the run is followed to its end. With --scale auto vLLM is at 0 afterwards: on success,
    failure, Ctrl-C or a lost terminal, which stop the run as well. With --scale none, Ctrl-C ends
    only the following. `ftm monitor` in a second terminal shows more of it. The settings of the
    deployed jobs are changed by `ftm deploy`.

    On Slurm each step is a job, by the [slurm] table of ftm.toml; --dry-run shows the scripts.
    Ctrl-C ends only the following; `ftm cancel` stops the jobs.

    JSON: `ftm schema run`; with --dry-run `ftm schema plan`.

    Examples:

        ftm run --quarter 2023Q1

        ftm run --quarters 2016Q3..2017Q1

        ftm run --quarter 2017Q1 --max-firms 60 --llm-base-url http://127.0.0.1:8000/v1

        ftm run --quarter 2023Q1 --target aws --dry-run

        ftm run --quarters 2022Q1..2023Q4 --target slurm --detach
    """
    from ftm_cli.console import confirm_or_decline, print_json, progress_listener
    from ftm_cli.results.runs import RunReport
    from ftm_cli.targets.reports import plan_report
    from ftm_cli.targets.running import (
        plan_quarters,
        raise_first_error,
        run_options,
        run_quarters,
    )
    from ftm_cli.views.run import show_dry_run, show_plans, show_results, show_saved_scripts
    from ftm_cli.views.target import announced_target

    chosen = announced_target(target, data)
    options = run_options(
        chosen,
        restart=restart,
        flags={
            "--llm-base-url": llm_base_url,
            "--llm-model-name": llm_model_name,
            "--local-model": local_model,
            "--max-firms": max_firms,
            "--batch-size": batch_size,
            "--workers": workers,
            "--scale": scale,
            "--instances": instances,
            "--at-once": at_once,
            "--detach": detach or None,
            "--save-scripts": save_scripts,
        },
    )
    plans = plan_quarters(chosen, options, quarter=quarter, quarters=quarters, every=every)
    planned = plan_report(chosen, plans)
    if dry_run and json_output:
        print_json(planned.as_json())
        return
    if save_scripts is not None:
        show_saved_scripts(chosen, plans, options)
        return
    if dry_run:
        show_dry_run(chosen, plans, options, planned.total)
        return
    asks = chosen.costs_money and not yes
    if asks or (plans[1:] and not json_output):
        show_plans(plans, planned.total)
    if asks:
        confirm_or_decline("Start it?", what="ftm run")
    with progress_listener() as listener:
        outcomes = run_quarters(chosen, plans, options, listener)
    results = [outcome.result for outcome in outcomes]
    if json_output:
        report = RunReport(target=chosen.name, data=chosen.data, quarters=results)
        print_json(report.as_json())
    else:
        show_results(results, chosen.data)
    raise_first_error(chosen, plans, outcomes, options)
