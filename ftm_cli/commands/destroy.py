"""`ftm destroy`: the infrastructure taken down again, with the data left where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftm_cli.commands.deploy import OnlyOption, PlanOption
from ftm_cli.options import JsonOption, YesOption

if TYPE_CHECKING:
    from ftm_cli.operations.deploy import PlannedStep


def destroy_command(
    plan: PlanOption = False,
    only: OnlyOption = None,
    yes: YesOption = False,
    json_output: JsonOption = False,
) -> None:
    """Destroy what `ftm deploy` made: stepfunctions, ecs, batch; the bucket and its data stay.

    Refuses while a run is not finished, scales vLLM to 0 first, and asks for the name of the pinned
    profile. After a failure or Ctrl-C the same command resumes where it stopped. Image repositories
    go with their images, which `ftm build --push` makes again.

    JSON: `ftm schema destroy`; with --plan `ftm schema deploy-plan`.

    Examples:

        ftm destroy --plan

        ftm destroy --only stepfunctions --yes
    """
    from ftm_cli.console import print_json, say
    from ftm_cli.operations.aws.deployment import deploy_settings
    from ftm_cli.operations.aws.teardown import plan_teardown, tear_down
    from ftm_cli.operations.aws.waiting import stopped_by_signals
    from ftm_cli.operations.deploy_report import deploy_plan_report, deploy_report
    from ftm_cli.progress import progress_listener
    from ftm_cli.views.deployment import (
        Approver,
        changes_anything,
        raise_if_declined,
        show_applied,
        show_planned,
    )
    from ftm_cli.views.target import pinned_session

    session = pinned_session()
    session.identity()
    settings = deploy_settings(session.pin)
    with progress_listener() as listener, stopped_by_signals():
        steps = plan_teardown(session, settings, listener, only=only)
    if plan and json_output:
        print_json(deploy_plan_report(settings, steps).as_json())
        return
    if plan or not yes:
        title = f"To destroy in account {settings.account_id}, {settings.region}"
        show_planned(title, steps, is_result=plan)
        say(f"The bucket {settings.s3_bucket_name} and all data in it stay.")
    if plan:
        return
    if changes_anything(steps) and not yes:
        _ask_for_the_name(session.pin.profile)
    with progress_listener() as listener, stopped_by_signals():
        approve = Approver(steps, listener, None if yes else _ask)
        result = tear_down(session, settings, listener, only=only, approve=approve)
    if json_output:
        print_json(deploy_report(result).as_json())
    elif result.steps:
        show_applied("Destroyed" if result.changed else "Nothing was there", result.steps)
    raise_if_declined(result, "ftm destroy", "the rest was kept")


def _ask(step: PlannedStep) -> bool:
    from ftm_cli.console import confirm

    return confirm(f"Destroy {step.title} as well?")


def _ask_for_the_name(profile: str) -> None:
    from ftm_cli.console import ask_text
    from ftm_core.contracts.errors import DeclinedError

    answer = ask_text("Type the name of the pinned profile to destroy all this")
    if answer != profile:
        raise DeclinedError(
            "The command `ftm destroy`",
            f"was not confirmed: {answer!r} is not the name of the pinned profile, so nothing was "
            "changed",
            "Repeat the command, and type the name that `ftm pin-profile --show` shows.",
        )
