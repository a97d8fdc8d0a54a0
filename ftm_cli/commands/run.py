"""`ftm run`: a whole quarter, transcripts to themes, here or in the pinned account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ftm_cli.options import DataOption, JsonOption, QuarterOption, TargetOption, YesOption

if TYPE_CHECKING:
    from ftm_cli.operations.plan import RunPlan


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
    detach: Annotated[
        bool, typer.Option("--detach", help="On AWS: start the run and return.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="On AWS: show batches, time and cost; start nothing.")
    ] = False,
    yes: YesOption = False,
    json_output: JsonOption = False,
) -> None:
    """Run a quarter: map every firm's call to topics, reduce all topics to themes.

    Resumes where an earlier run stopped. Ctrl-C saves what is finished.

    On AWS the run is followed to its end. With --scale auto vLLM is at 0 afterwards: on success,
    failure, Ctrl-C or a lost terminal, which stop the run as well. With --scale none, Ctrl-C ends
    only the following. `ftm monitor` in a second terminal shows more of it. How the jobs work is a
    matter of `ftm deploy` there.

    JSON: {quarter, data, run_id, nothing_to_do, firms, firms_completed, topics, topics_in_themes,
    themes, failures, seconds, peak_memory_mib}; on AWS {execution, execution_arn, status, quarter,
    seconds, firms, firms_completed, firms_failed, vllm_is_off}; with --dry-run {execution_name,
    input, scale, instances, batches: [{batch_id, firms, finished}], estimate}.

    Examples:

        ftm run --quarter 2023Q1

        ftm run --quarter 2017Q1 --max-firms 60 --llm-base-url http://127.0.0.1:8000/v1

        ftm run --quarter 2023Q1 --target aws --dry-run
    """
    from ftm_cli.targets import chosen_target

    given = {
        "--llm-base-url": llm_base_url,
        "--llm-model-name": llm_model_name,
        "--max-firms": max_firms,
        "--batch-size": batch_size,
        "--workers": workers,
    }
    for_aws = {
        "--scale": scale,
        "--instances": instances,
        "--detach": detach or None,
        "--dry-run": dry_run or None,
    }
    if chosen_target(target) == "aws":
        _refuse(given, "aws", "It is a setting of the deployed jobs: `ftm deploy` changes it.")
        _run_on_aws(
            quarter,
            data,
            scale=scale or "auto",
            instances=instances or 1,
            restart=restart,
            detach=detach,
            dry_run=dry_run,
            yes=yes,
            as_json=json_output,
        )
        return
    _refuse(for_aws, "local", "It belongs to --target aws.")
    _run_here(quarter, data, max_firms, given, restart=restart, as_json=json_output)


def _run_here(
    quarter: str,
    data: str | None,
    max_firms: int | None,
    given: Mapping[str, Any],
    *,
    restart: bool,
    as_json: bool,
) -> None:
    from ftm_cli.console import progress_listener
    from ftm_cli.operations.local_run import LocalRun, run_locally
    from ftm_cli.render import render_run
    from ftm_cli.targets import open_data
    from ftm_core.contracts.quarters import Quarter

    run = LocalRun(
        quarter=Quarter.parse(quarter),
        storage=open_data(data, target="local"),
        max_firms=max_firms,
        restart=restart,
        flags={
            "llm.base_url": given["--llm-base-url"],
            "llm.model_name": given["--llm-model-name"],
            "map.batch_size": given["--batch-size"],
            "map.workers": given["--workers"],
        },
    )
    with progress_listener() as listener:
        outcome = run_locally(run, listener)
    render_run(outcome, as_json=as_json)


def _run_on_aws(
    quarter: str,
    data: str | None,
    *,
    scale: str,
    instances: int,
    restart: bool,
    detach: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    from ftm_cli.console import print_json, progress_listener, say
    from ftm_cli.operations.aws.remote import make_remote_run
    from ftm_cli.operations.aws.session import pinned_session

    session = pinned_session()
    run, plan = make_remote_run(
        session, quarter, data, scale=scale, instances=instances, restart=restart
    )
    if dry_run:
        print_json(plan.as_json()) if as_json else show_plan(plan)
        return
    if not yes:
        show_plan(plan)
        typer.confirm("Start it?", abort=True, err=True)
    with progress_listener() as listener:
        run.listen(listener)
        outcome = run.start_detached() if detach else run.run()
    if as_json:
        print_json(outcome.as_json())
    elif detach:
        name = outcome.execution.name
        say(f"Started {name}. `ftm monitor {name}` watches it.")
        if plan.scale == "auto":
            say("The deadman switch takes vLLM down after the run.")
    else:
        found = outcome.progress
        firms = f", {found.finished} of {found.firms} firms" if found else ""
        say(f"{outcome.execution.name} succeeded{firms}.")
        say(f"Next: ftm evaluate --quarter {quarter}")


def show_plan(plan: RunPlan) -> None:
    """The plan of a run on stderr: what, how long, what it costs, and its batches."""
    from ftm_cli.console import print_table, stderr
    from ftm_cli.operations.costs import duration

    estimate = plan.estimate
    finished = sum(batch.finished for batch in plan.batches)
    scale = (
        f"vLLM to {plan.instances}, and to 0 at the end" if plan.scale == "auto" else "left alone"
    )
    rows = [
        ("execution", plan.execution_name),
        ("bucket", plan.bucket),
        ("batches", f"{len(plan.batches)}, {estimate.batches} of them still to do"),
        ("firms", f"{estimate.firms + finished}, {finished} of them finished before"),
        ("vLLM", scale),
        ("expected time", duration(estimate.seconds)),
        (
            "expected cost",
            f"${estimate.total_usd:.2f}: vLLM ${estimate.vllm_usd:.2f}, "
            f"jobs ${estimate.batch_usd:.2f}",
        ),
        (
            "slowest part",
            f"{estimate.bottleneck} (LLM answers {duration(estimate.answer_seconds)}, "
            f"topic models {duration(estimate.model_seconds)})",
        ),
        ("based on", estimate.note),
    ]
    print_table(f"Plan for {plan.quarter}", ("", ""), rows, console=stderr)
    shown = plan.batches[:20]
    print_table(
        f"Batches ({len(shown)} of {len(plan.batches)})",
        ("batch", "firms", "finished"),
        [(batch.batch_id, batch.firms, batch.finished) for batch in shown],
        console=stderr,
    )


def _refuse(options: Mapping[str, Any], target: str, hint: str) -> None:
    from ftm_core.contracts.errors import InputError

    for name, value in options.items():
        if value is not None:
            raise InputError(f"ftm run {name}", f"does not fit --target {target}", hint)
