"""`ftm run`: one quarter or many, transcripts to themes, on any target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftm_cli.options import (
    AllQuartersOption,
    DataOption,
    JsonOption,
    MaxFirmsOption,
    QuartersOption,
    TargetOption,
    YesOption,
)

if TYPE_CHECKING:
    from ftm_cli.targets.base import QuarterPlan, RunOptions, Target

QuarterOption = Annotated[
    str | None, typer.Option("--quarter", "-q", help="Calendar quarter, such as 2023Q1.")
]
ServerOption = Annotated[
    str | None,
    typer.Option(
        "--llm-base-url", help="OpenAI-compatible server to use instead of the bundled model."
    ),
]
ServedModelOption = Annotated[
    str | None, typer.Option("--llm-model-name", help="Model that the server serves.")
]
LocalModelOption = Annotated[
    str | None,
    typer.Option(
        "--local-model",
        help="GGUF file to serve here: a path, a name of `ftm models`, or hf:OWNER/REPO/FILE.",
    ),
]
BatchSizeOption = Annotated[
    int | None, typer.Option("--batch-size", min=1, help="Firms per batch.")
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Topic-model processes.")
]
RestartOption = Annotated[
    bool, typer.Option("--restart", help="Clear the quarter's output and start over.")
]
ScaleOption = Annotated[
    str | None,
    typer.Option(
        "--scale",
        help="On AWS: auto brings vLLM up and always down again; none leaves it alone. [auto]",
    ),
]
InstancesOption = Annotated[
    int | None, typer.Option("--instances", min=1, help="On AWS: vLLM instances. [1]")
]
AtOnceOption = Annotated[
    int | None, typer.Option("--at-once", min=1, help="On AWS: quarters at the same time. [2]")
]
DetachOption = Annotated[
    bool, typer.Option("--detach", help="On AWS and Slurm: start the run and return.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show batches, time and cost; start nothing.")
]
SaveScriptsOption = Annotated[
    Path | None,
    typer.Option(
        "--save-scripts",
        help="On Slurm: write the scripts into this folder, to edit and submit; start nothing.",
        show_default=False,
    ),
]


def run_command(
    quarter: QuarterOption = None,
    quarters: QuartersOption = None,
    every: AllQuartersOption = False,
    data: DataOption = None,
    llm_base_url: ServerOption = None,
    llm_model_name: ServedModelOption = None,
    local_model: LocalModelOption = None,
    max_firms: MaxFirmsOption = None,
    batch_size: BatchSizeOption = None,
    workers: WorkersOption = None,
    restart: RestartOption = False,
    target: TargetOption = None,
    scale: ScaleOption = None,
    instances: InstancesOption = None,
    at_once: AtOnceOption = None,
    detach: DetachOption = False,
    dry_run: DryRunOption = False,
    save_scripts: SaveScriptsOption = None,
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
    from ftm_cli.targets.running import plan_quarters, run_options
    from ftm_cli.views.target import announced_target

    chosen = announced_target(target, data)
    flags = {
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
    }
    options = run_options(chosen, restart=restart, flags=flags)
    plans = plan_quarters(chosen, options, quarter=quarter, quarters=quarters, every=every)
    if dry_run or save_scripts is not None:
        _show_plan(chosen, plans, options, dry_run=dry_run, as_json=json_output)
    else:
        _run(chosen, plans, options, yes=yes, as_json=json_output)


def _show_plan(
    target: Target,
    plans: Sequence[QuarterPlan],
    options: RunOptions,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Show, or save as scripts, what would run; start nothing."""
    from ftm_cli.console import print_json
    from ftm_cli.targets.reports import plan_report
    from ftm_cli.views.run import show_dry_run, show_saved_scripts

    planned = plan_report(target, plans)
    if dry_run and as_json:
        print_json(planned.as_json())
    elif options.save_scripts is not None:
        show_saved_scripts(target, plans, options)
    else:
        show_dry_run(target, plans, options, planned.total)


def _run(
    target: Target, plans: Sequence[QuarterPlan], options: RunOptions, *, yes: bool, as_json: bool
) -> None:
    """Confirm what costs money, run, and show the results; raises the error of a failed quarter."""
    from ftm_cli.console import confirm_or_decline, print_json
    from ftm_cli.progress import progress_listener
    from ftm_cli.results.runs import RunReport
    from ftm_cli.targets.reports import plan_report
    from ftm_cli.targets.running import raise_first_error, run_quarters
    from ftm_cli.views.run import show_plans, show_results

    asks = target.costs_money and not yes
    if asks or (plans[1:] and not as_json):
        show_plans(plans, plan_report(target, plans).total)
    if asks:
        confirm_or_decline("Start it?", what="ftm run")
    with progress_listener() as listener:
        outcomes = run_quarters(target, plans, options, listener)
    results = [outcome.result for outcome in outcomes]
    if as_json:
        report = RunReport(target=target.name, data=target.data, quarters=results)
        print_json(report.as_json())
    else:
        show_results(results, target.data)
    raise_first_error(target, plans, outcomes, options)
