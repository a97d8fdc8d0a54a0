"""`ftm step plan|map|reduce`: one step of a run, as a job of any scheduler."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftm_cli.options import DataOption, JsonOption, MaxFirmsOption, QuarterOption

if TYPE_CHECKING:
    from ftm_cli.operations.steps import StepRequest

step_app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

RunNameOption = Annotated[
    str,
    typer.Option(
        "--run-name",
        envvar="RUN_NAME",
        help="Name of the run, the same for all its steps and different for each run.",
        show_default=False,
    ),
]
UrlFileOption = Annotated[
    Path | None,
    typer.Option(
        "--llm-url-file",
        help="File to which the job of the LLM server writes its base URL, or `failed: reason`; "
        "waited for.",
        show_default=False,
    ),
]


@step_app.command("plan")
def plan_command(
    quarter: QuarterOption,
    run_name: RunNameOption,
    data: DataOption = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Clear the quarter's output and start over.")
    ] = False,
    max_firms: MaxFirmsOption = None,
    llm_url_file: UrlFileOption = None,
    json_output: JsonOption = False,
) -> None:
    """Acquire the quarter for the run and cut its firms into batches.

    The batches of an unfinished run are kept. Starting the step again with the same run name is
    harmless; another live run of the quarter makes it end with exit code 2.

    JSON: `ftm schema step-plan`.

    Examples:

        ftm step plan --quarter 2023Q1 --run-name 2023Q1-first
    """
    from ftm_cli.console import print_json
    from ftm_cli.operations.steps import plan_step
    from ftm_cli.progress import progress_listener
    from ftm_cli.results.runs import PlanStepResult

    step = _step(quarter, run_name, data, llm_url_file, restart=restart, max_firms=max_firms)
    with progress_listener() as listener:
        planned = plan_step(step, listener)
    result = PlanStepResult(
        quarter=quarter,
        run=planned.run_id,
        firms=planned.n_firms,
        batches=list(planned.batch_ids),
    )
    if json_output:
        print_json(result.as_json())
    else:
        # One a line, for the scheduler's loop.
        typer.echo("\n".join(result.batches))


@step_app.command("map")
def map_command(
    quarter: QuarterOption,
    run_name: RunNameOption,
    batch: Annotated[
        str,
        typer.Option("--batch", envvar="BATCH_ID", help="ID of the batch, or its number from 0."),
    ],
    data: DataOption = None,
    llm_url_file: UrlFileOption = None,
    json_output: JsonOption = False,
) -> None:
    """Find the topics of one batch of firms.

    SIGTERM saves what is finished and ends with exit code 75: start the same step again. Exit code
    3: too many firms failed.

    JSON: `ftm schema step-map`.

    Examples:

        ftm step map --quarter 2023Q1 --run-name 2023Q1-first --batch 0
    """
    from ftm_cli.console import counted, print_json, say
    from ftm_cli.operations.steps import map_step
    from ftm_cli.progress import progress_listener
    from ftm_cli.results.runs import FirmCounts, MapStepResult

    step = _step(quarter, run_name, data, llm_url_file)
    with progress_listener() as listener:
        outcome = map_step(step, batch, listener)
    result = MapStepResult(
        quarter=quarter,
        batch=outcome.batch_id,
        firms=FirmCounts(
            total=outcome.n_firms,
            finished=outcome.n_completed,
            failed=len({item.firm_id for item in outcome.failures}),
        ),
        topics=outcome.n_topics,
    )
    if json_output:
        print_json(result.as_json())
        return
    say(
        f"{result.batch}: {result.firms.finished} of {result.firms.total} firms, "
        f"{counted(result.topics, 'topic')}, {counted(result.firms.failed, 'firm')} with failures"
    )


@step_app.command("reduce")
def reduce_command(
    quarter: QuarterOption,
    run_name: RunNameOption,
    data: DataOption = None,
    llm_url_file: UrlFileOption = None,
    json_output: JsonOption = False,
) -> None:
    """Make the quarter's themes from the topics of all batches, and end the run.

    Exit code 3: more firms failed than is tolerated. Exit code 75: start the same step again.

    JSON: `ftm schema step-reduce`.

    Examples:

        ftm step reduce --quarter 2023Q1 --run-name 2023Q1-first
    """
    from ftm_cli.console import counted, print_json, say
    from ftm_cli.operations.steps import reduce_step
    from ftm_cli.progress import progress_listener
    from ftm_cli.results.runs import ReduceStepResult

    step = _step(quarter, run_name, data, llm_url_file)
    with progress_listener() as listener:
        outcome = reduce_step(step, listener)
    result = ReduceStepResult(quarter=quarter, topics=outcome.n_topics, themes=outcome.n_themes)
    if json_output:
        print_json(result.as_json())
    else:
        say(f"{counted(result.themes, 'theme')} of {counted(result.topics, 'topic')}")


def _step(
    quarter: str,
    run_name: str,
    data: str | None,
    llm_url_file: Path | None,
    *,
    restart: bool = False,
    max_firms: int | None = None,
) -> StepRequest:
    from ftm_cli.operations.steps import StepRequest
    from ftm_cli.views.target import open_data
    from ftm_core.contracts.quarters import Quarter

    return StepRequest(
        storage=open_data(data),
        quarter=Quarter.parse(quarter),
        run_name=run_name,
        restart=restart,
        max_firms=max_firms,
        llm_url_file=llm_url_file,
    )
