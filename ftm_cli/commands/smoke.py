"""`ftm smoke`: the whole runbook in one go, its checklist ticked at the end."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from ftm_cli.options import DataOption, JsonOption, QuarterOption, TargetOption, YesOption

if TYPE_CHECKING:
    from ftm_cli.operations.smoke import SmokeTest


def smoke_command(
    quarter: QuarterOption,
    data: DataOption = None,
    target: TargetOption = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Clear the quarter's output and start over.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, its time and cost; start nothing.")
    ] = False,
    yes: YesOption = False,
    json_output: JsonOption = False,
) -> None:
    """Test a whole quarter end to end, then tick the runbook's checklist.

    On AWS: preflight, vLLM up, run, evaluate, failures, vLLM down. However it ends (success,
    failure, Ctrl-C at any step, a lost terminal), the run is stopped and the desired counts are 0;
    only another run that needs vLLM keeps it up, and then that is said. On this machine the same
    steps without vLLM.

    Exit code 0 when every step is done and no line of the checklist failed.

    JSON: `ftm schema smoke`; with --dry-run as `ftm run --dry-run`.

    Examples:

        ftm smoke --quarter 2023Q1

        ftm smoke --quarter 2023Q1 --yes --json

        ftm smoke --quarter 2023Q1 --target local
    """
    from ftm_cli.console import print_json
    from ftm_cli.operations.smoke import SmokeTest
    from ftm_cli.progress import progress_listener
    from ftm_cli.targets.reports import plan_report, smoke_report
    from ftm_cli.views.run import show_plans
    from ftm_cli.views.smoke import show_smoke_test
    from ftm_cli.views.target import announced_target
    from ftm_core.contracts.quarters import Quarter

    parsed = Quarter.parse(quarter)
    chosen = announced_target(target, data)
    plan = chosen.plan(parsed, chosen.smoke_options(restart=restart))
    planned = plan_report(chosen, [plan])
    if dry_run and json_output:
        print_json(planned.as_json())
        return
    asks = chosen.costs_money and not yes
    if dry_run or asks:
        show_plans([plan], planned.total)
    if dry_run:
        return
    if asks:
        from ftm_cli.console import confirm_or_decline

        confirm_or_decline("Start it?", what="ftm smoke")
    test = SmokeTest(
        chosen.name, parsed, plan.run, steps=chosen.smoke_steps, criteria=chosen.smoke_criteria
    )
    try:
        with progress_listener() as listener:
            chosen.smoke(plan, test, listener)
    finally:
        if json_output:
            with contextlib.suppress(OSError):
                print_json(smoke_report(chosen, test).as_json())
        else:
            show_smoke_test(test)
    _end(test)


def _end(test: SmokeTest) -> None:
    from ftm_cli.console import say
    from ftm_core.contracts.errors import ChecksFailedError

    if test.passed:
        say(f"The smoke test of {test.quarter} passed.")
        return
    failed = [line.item for line in test.checklist if line.passed is False]
    raise ChecksFailedError(
        f"The smoke test of {test.quarter}",
        f"failed {len(failed)} of {len(test.checklist)} lines of the checklist: "
        + "; ".join(failed),
        "Run `ftm doctor`, which shows the cause.",
    )
