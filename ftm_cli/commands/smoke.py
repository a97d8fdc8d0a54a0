"""`ftm smoke`: the whole runbook in one go, its checklist ticked at the end."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from ftm_cli.options import DataOption, JsonOption, QuarterOption, TargetOption, YesOption

if TYPE_CHECKING:
    from ftm_cli.operations.smoke import SmokeTest

_TICKS = {True: "[x]", False: "[ ]", None: "[-]"}


def smoke_command(
    quarter: QuarterOption,
    data: DataOption = None,
    target: TargetOption = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Clear the quarter's output and start over.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="On AWS: show the plan and its cost; start nothing.")
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

    JSON: {target, quarter, run, passed, steps: [{name, state, detail, seconds}], checklist:
    [{item, passed, figure}]}; state is done, failed, stopped or not reached; passed is null where
    the test did not come so far. With --dry-run as `ftm run --dry-run`.

    Examples:

        ftm smoke --quarter 2023Q1

        ftm smoke --quarter 2023Q1 --yes --json

        ftm smoke --quarter 2023Q1 --target local
    """
    from ftm_cli.targets import chosen_target

    if chosen_target(target) == "aws":
        _on_aws(quarter, data, restart=restart, dry_run=dry_run, yes=yes, as_json=json_output)
        return
    if dry_run:
        from ftm_core.contracts.errors import InputError

        raise InputError("ftm smoke --dry-run", "does not fit --target local", "Leave it out.")
    _here(quarter, data, restart=restart, as_json=json_output)


def _on_aws(
    quarter: str, data: str | None, *, restart: bool, dry_run: bool, yes: bool, as_json: bool
) -> None:
    import datetime as dt

    from ftm_cli.commands.run import show_plan
    from ftm_cli.console import print_json, progress_listener
    from ftm_cli.operations.aws.deployment import deploy_settings
    from ftm_cli.operations.aws.remote import make_remote_run
    from ftm_cli.operations.aws.session import pinned_session
    from ftm_cli.operations.aws.smoke_run import CRITERIA, STEPS, SmokeOnAws
    from ftm_cli.operations.smoke import SmokeTest

    session = pinned_session()
    uses_vllm = deploy_settings(session.pin, bucket_needed=False).uses_vllm
    run, plan = make_remote_run(
        session,
        quarter,
        data,
        scale="auto" if uses_vllm else "none",
        restart=restart,
        execution_name=f"smoke-test-{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S}",
    )
    if dry_run:
        print_json(plan.as_json()) if as_json else show_plan(plan)
        return
    if not yes:
        show_plan(plan)
        typer.confirm("Start it?", abort=True, err=True)
    test = SmokeTest("aws", plan.quarter, plan.execution_name, steps=STEPS, criteria=CRITERIA)
    try:
        with progress_listener() as listener:
            SmokeOnAws(session, plan, run, test).carry_out(listener)
    finally:
        _show(test, as_json=as_json)
    _end(test)


def _here(quarter: str, data: str | None, *, restart: bool, as_json: bool) -> None:
    from ftm_cli.console import progress_listener
    from ftm_cli.operations.local_run import LocalRun
    from ftm_cli.operations.local_smoke import CRITERIA, STEPS, smoke_here
    from ftm_cli.operations.smoke import SmokeTest
    from ftm_cli.targets import open_data
    from ftm_core.contracts.quarters import Quarter

    parsed = Quarter.parse(quarter)
    run = LocalRun(quarter=parsed, storage=open_data(data, target="local"), restart=restart)
    test = SmokeTest("local", parsed, "", steps=STEPS, criteria=CRITERIA)
    try:
        with progress_listener() as listener:
            smoke_here(run, test, listener)
    finally:
        _show(test, as_json=as_json)
    _end(test)


def _show(test: SmokeTest, *, as_json: bool) -> None:
    """Steps and checklist; a lost terminal must not hide how the test ended."""
    from ftm_cli.console import print_json, print_table

    with contextlib.suppress(OSError):
        if as_json:
            print_json(test.as_json())
            return
        steps = [
            (
                step.name,
                step.state,
                "" if step.seconds is None else f"{step.seconds:.0f} s",
                step.detail,
            )
            for step in test.steps
        ]
        title = f"Smoke test of {test.quarter}, {test.run or 'no run'}"
        print_table(title, ("step", "state", "time", "what"), steps)
        lines = [
            (
                _TICKS[line.passed],
                line.item,
                line.figure or ("not reached" if line.passed is None else ""),
            )
            for line in test.checklist
        ]
        print_table("Checklist", ("", "", "found"), lines)


def _end(test: SmokeTest) -> None:
    from ftm_cli.console import say
    from ftm_core.contracts.errors import ChecksFailedError

    if test.passed:
        say(f"The smoke test of {test.quarter} passed.")
        return
    failed = [line.item for line in test.checklist if line.passed is False]
    raise ChecksFailedError(
        f"smoke test of {test.quarter}",
        f"{len(failed)} of {len(test.checklist)} lines of the checklist failed: "
        + "; ".join(failed),
        "`ftm doctor` looks for the cause.",
    )
