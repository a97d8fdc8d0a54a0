"""`ftm run`: one quarter or many, transcripts to themes, on any target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ftm_cli.options import (
    AllQuartersOption,
    DataOption,
    JsonOption,
    QuartersOption,
    TargetOption,
    YesOption,
)

if TYPE_CHECKING:
    from ftm_cli.targets.base import QuarterOutcome, QuarterPlan, RunOptions, Target


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
    from ftm_cli.console import print_json, say
    from ftm_cli.targets.base import RunOptions, SupportsScripts
    from ftm_cli.targets.quarters import require_same_inputs, select_quarters
    from ftm_cli.targets.reports import plan_report
    from ftm_cli.views.run import show_plans, show_scripts
    from ftm_cli.views.target import announced_target
    from ftm_core.data.listing import quarters_with_transcripts

    chosen = announced_target(target, data)
    given = {
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
    _refuse_options_of_other_targets(chosen, given)
    options = RunOptions(
        restart=restart,
        max_firms=max_firms,
        settings={
            "llm.base_url": llm_base_url,
            "llm.model_name": llm_model_name,
            "llm.local_model": local_model,
            "map.batch_size": batch_size,
            "map.workers": workers,
        },
        scale=scale or "auto",
        instances=instances or 1,
        save_scripts=save_scripts,
        at_once=at_once or 2,
    )
    storage = chosen.storage()
    selected = select_quarters(
        [] if quarter else quarters_with_transcripts(storage),
        quarter=quarter,
        quarters=quarters,
        every=every,
        what="transcripts",
        where=storage.uri,
    )
    plans = [chosen.plan(item, options) for item in selected]
    if plans[1:]:
        require_same_inputs(storage, plans)
    planned = plan_report(chosen, plans)
    if dry_run and json_output:
        print_json(planned.as_json())
        return
    if save_scripts is not None:
        assert isinstance(chosen, SupportsScripts)
        folder = chosen.save_scripts(plans, options)
        say(f"Wrote the scripts into {folder}; `bash {folder}/submit.sh` submits them.")
        return
    asks = chosen.costs_money and not yes
    if dry_run or asks or (plans[1:] and not json_output):
        show_plans(plans, planned.total)
    if dry_run:
        if isinstance(chosen, SupportsScripts):
            show_scripts(chosen.scripts(plans, options))
        return
    if asks:
        from ftm_cli.console import confirm_or_decline

        confirm_or_decline("Start it?", what="ftm run")
    _carry_out(chosen, plans, options, detach=detach, as_json=json_output)


def _carry_out(
    target: Target,
    plans: Sequence[QuarterPlan],
    options: RunOptions,
    *,
    detach: bool,
    as_json: bool,
) -> None:
    import dataclasses

    from ftm_cli.console import print_json, progress_listener
    from ftm_cli.results.runs import RunReport
    from ftm_cli.targets.base import QuarterOutcome, SupportsDetach
    from ftm_cli.targets.quarters import require_same_inputs
    from ftm_cli.views.run import show_results
    from ftm_core.contracts.errors import InputError

    with progress_listener() as listener:
        if detach and len(plans) > options.at_once and target.costs_money:
            raise InputError(
                "ftm run --detach",
                f"would start {len(plans)} quarters at once, more than {options.at_once}",
                "Leave --detach out, or allow it with --at-once.",
            )
        if detach:
            assert isinstance(target, SupportsDetach)
            outcomes = [QuarterOutcome(target.start(plan, options, listener)) for plan in plans]
        else:
            outcomes = target.execute(plans, options, listener)
    results = [outcome.result for outcome in outcomes]
    if as_json:
        report = RunReport(target=target.name, data=target.data, quarters=results)
        print_json(report.as_json())
    else:
        show_results(results, target.data)
    _raise_first(outcomes)
    if plans[1:] and not detach:
        # What deployed jobs were set to is known only now.
        ended = [dataclasses.replace(plan, restart=False) for plan in plans]
        require_same_inputs(target.storage(), ended)


def _raise_first(outcomes: Sequence[QuarterOutcome]) -> None:
    """Raise the error of the quarter that failed; of several, the one that retrying cannot fix."""
    from ftm_core.contracts.errors import RetryableError

    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    lasting = [error for error in errors if not isinstance(error, RetryableError)]
    for error in lasting or errors:
        raise error


def _refuse_options_of_other_targets(target: Target, given: Mapping[str, Any]) -> None:
    from ftm_core.contracts.errors import InputError

    for name, value in given.items():
        if value is not None and name not in target.run_flags:
            raise InputError(
                f"ftm run {name}",
                f"does not fit --target {target.name}",
                f"Options of this target: {', '.join(sorted(target.run_flags))}. The settings of "
                "deployed jobs are changed by `ftm deploy`.",
            )
