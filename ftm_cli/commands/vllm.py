"""`ftm vllm scale`, `ftm vllm status`, `ftm scale-up`, `ftm scale-down`: the GPU side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ftm_cli.options import DryRunOption, JsonOption, YesOption

if TYPE_CHECKING:
    from ftm_cli.results.setup import VllmStatus

vllm_app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

NoWaitOption = Annotated[
    bool, typer.Option("--no-wait", help="Ask for it and return, without waiting.")
]


@vllm_app.command("scale")
def scale_command(
    count: Annotated[int, typer.Argument(min=0, help="Instances, with one vLLM each.")],
    no_wait: NoWaitOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json_output: JsonOption = False,
) -> None:
    """Bring vLLM to N instances: the Auto Scaling group and the ECS service together.

    Waits until N targets are healthy, and says what it waits for: an instance, the image, the
    model load or target health. When AWS has no capacity the request is taken back, and the exit
    code is 75.

    JSON: `ftm schema vllm`; with --dry-run `ftm schema vllm-plan`.

    Examples:

        ftm vllm scale 2

        ftm vllm scale 0 --no-wait
    """
    scale(count, no_wait=no_wait, dry_run=dry_run, yes=yes, as_json=json_output)


@vllm_app.command("status")
def status_command(json_output: JsonOption = False) -> None:
    """Show vLLM's instances, tasks and targets, what it waits for, and any trouble AWS reports.

    JSON: `ftm schema vllm`.

    Examples:

        ftm vllm status

        ftm vllm status --json
    """
    from ftm_cli.operations.aws.vllm import Vllm
    from ftm_cli.views.target import pinned_session

    _show(Vllm(pinned_session()).status(), as_json=json_output)


def scale_up_command(
    no_wait: NoWaitOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json_output: JsonOption = False,
) -> None:
    """Bring vLLM up: the same as `ftm vllm scale 1`.

    JSON: `ftm schema vllm`.

    Examples:

        ftm scale-up

        ftm scale-up --yes --no-wait
    """
    scale(1, no_wait=no_wait, dry_run=dry_run, yes=yes, as_json=json_output)


def scale_down_command(
    no_wait: NoWaitOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json_output: JsonOption = False,
) -> None:
    """Take vLLM down to no cost: the same as `ftm vllm scale 0`.

    Asks only while runs are not finished, and names them: their jobs need vLLM.

    JSON: `ftm schema vllm`.

    Examples:

        ftm scale-down

        ftm scale-down --no-wait --json
    """
    scale(0, no_wait=no_wait, dry_run=dry_run, yes=yes, as_json=json_output)


def scale(count: int, *, no_wait: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Plan, confirm, change, wait."""
    from ftm_cli.console import print_json, say
    from ftm_cli.operations.aws.errors import CapacityError
    from ftm_cli.operations.aws.executions import Executions
    from ftm_cli.operations.aws.outputs import deployed_instance_type
    from ftm_cli.operations.aws.vllm import Vllm
    from ftm_cli.operations.aws.waiting import stopped_by_signals
    from ftm_cli.operations.costs import read_prices
    from ftm_cli.progress import progress_listener
    from ftm_cli.results.setup import VllmCounts, VllmPlanReport
    from ftm_cli.views.target import pinned_session

    session = pinned_session()
    vllm = Vllm(session)
    before = vllm.status()
    prices = read_prices()
    hourly = prices.vllm_hourly(count, deployed_instance_type())
    if dry_run and as_json:
        plan = VllmPlanReport(
            before=VllmCounts(instances=before.desired_instances, tasks=before.desired_tasks),
            after=VllmCounts(instances=count, tasks=count),
            hourly_usd=round(hourly, 2),
            prices_date=prices.date,
        )
        print_json(plan.as_json())
        return
    cost = f"about ${hourly:.2f} an hour until `ftm scale-down` (prices of {prices.date})"
    say(
        f"vLLM: instances {before.desired_instances} → {count}, tasks {before.desired_tasks} → "
        f"{count}; {cost if count else 'then it costs nothing'}"
    )
    if dry_run:
        return
    if not yes:
        from ftm_cli.console import confirm_or_decline

        running = Executions(session).others_running(None) if count == 0 else []
        if running:
            say(f"Not finished: {', '.join(running)}. Without vLLM its jobs wait, then fail.")
            confirm_or_decline("Take vLLM down all the same?", what="ftm vllm scale")
        elif count > before.desired_instances:
            confirm_or_decline("Start it?", what="ftm vllm scale")
    with progress_listener() as listener, stopped_by_signals():
        if count == 0:
            status = vllm.scale_down(listener)
            status = status if no_wait else vllm.wait_until_off(listener)
        else:
            vllm.scale_up(count)
            try:
                status = vllm.status() if no_wait else vllm.wait_until_ready(count, listener)
            except CapacityError:
                # Left standing, the request would start to cost whenever capacity turns up.
                vllm.scale_down(listener)
                say("The request was taken back: desired counts are 0.")
                raise
    _show(status, as_json=as_json)


def _show(status: VllmStatus, *, as_json: bool) -> None:
    from ftm_cli.console import print_json, print_table
    from ftm_cli.operations.aws.vllm import describe_phase
    from ftm_cli.results.setup import VllmReport

    if as_json:
        print_json(VllmReport(status).as_json())
        return
    rows = [
        ("state", describe_phase(status)),
        (
            "instances",
            f"{status.instances_in_service} in service of {status.desired_instances} desired "
            f"(at most {status.max_instances})",
        ),
        (
            "tasks",
            f"{status.running_tasks} running, {status.pending_tasks} pending of "
            f"{status.desired_tasks} desired",
        ),
        ("targets", ", ".join(status.targets) or "none"),
        ("trouble", status.trouble or "none"),
    ]
    print_table("vLLM", ("", ""), rows)
