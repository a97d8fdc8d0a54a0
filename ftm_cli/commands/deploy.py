"""`ftm deploy`: the infrastructure in its order, planned, confirmed, applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ftm_cli.options import JsonOption, YesOption

if TYPE_CHECKING:
    from ftm_cli.operations.aws.session import AwsSession
    from ftm_cli.operations.deploy import DeployResult, DeploySettings, PlannedStep
    from ftm_cli.operations.deploy_report import Costs

OnlyOption = Annotated[
    str | None,
    typer.Option("--only", help="One module alone: batch, ecs or stepfunctions.", metavar="MODULE"),
]
PlanOption = Annotated[bool, typer.Option("--plan", help="Show the plan, change nothing.")]
RolesOption = Annotated[
    bool,
    typer.Option("--roles", help="Print every IAM role and the operator's policies as JSON."),
]


def deploy_command(
    plan: PlanOption = False,
    roles: RolesOption = False,
    only: OnlyOption = None,
    bucket: Annotated[
        str | None, typer.Option("--bucket", help="Existing bucket for the data of all quarters.")
    ] = None,
    state_bucket: Annotated[
        str | None,
        typer.Option("--state-bucket", help="Bucket for Terraform's state; here when left out."),
    ] = None,
    llm_base_url: Annotated[
        str | None,
        typer.Option("--llm-base-url", help="Existing LLM server in place of our own vLLM."),
    ] = None,
    use_precreated_roles: Annotated[
        bool | None,
        typer.Option(
            "--use-precreated-roles/--own-roles",
            help="Roles that an administrator made, or our own.",
            show_default=False,
        ),
    ] = None,
    yes: YesOption = False,
    json_output: JsonOption = False,
) -> None:
    """Deploy with Terraform: batch without vLLM, ecs, batch with vLLM, stepfunctions.

    The order is worked out from what is there already. Each step's plan is confirmed before it is
    applied; nothing that costs by the hour is started. After a failure or Ctrl-C the same command
    resumes where it stopped, and with nothing to change it changes nothing.

    With --roles nothing is deployed or asked of AWS: the document is for an administrator who makes
    the roles (name, trust policy, policy, instance profile) and gives you the operator's policies.
    Then deploy with --use-precreated-roles.

    Resources of our names that no Terraform state here knows stop a deploy before anything is made,
    with the command that imports each.

    Options are kept in ftm.toml under [aws.deploy]. Settings of `ftm config` that are not at their
    default reach the jobs; docs/how-to/deploy-to-aws.md describes further variables.

    JSON: `ftm schema deploy`; with --plan `ftm schema deploy-plan`; with --roles
    `ftm schema deploy-roles`.

    Examples:

        ftm deploy --bucket my-research-bucket --plan

        ftm deploy --roles > roles.json

        ftm deploy --yes
    """
    from ftm_cli.console import print_json, progress_listener
    from ftm_cli.operations.aws.deployment import deploy_settings, with_images
    from ftm_cli.operations.aws.outputs import deployed_instance_type, remember
    from ftm_cli.operations.aws.preflight import bucket_in_reach
    from ftm_cli.operations.aws.roles import render_roles
    from ftm_cli.operations.aws.waiting import stopped_by_signals
    from ftm_cli.operations.costs import read_prices
    from ftm_cli.operations.deploy import deploy, plan_deploy
    from ftm_cli.operations.deploy_report import costs_of, deploy_plan_report
    from ftm_cli.results.setup import RolesReport
    from ftm_cli.views.deployment import Approver, changes_anything, show_planned
    from ftm_cli.views.target import pinned_session
    from ftm_core.contracts.errors import DeclinedError

    given: dict[str, Any] = {
        "s3_bucket_name": bucket,
        "state_bucket": state_bucket,
        "llm_base_url": llm_base_url,
        "use_precreated_roles": use_precreated_roles,
    }
    session = pinned_session()
    settings = deploy_settings(session.pin, given)
    if roles:
        print_json(RolesReport.model_validate(render_roles(settings).as_json()).as_json())
        return
    settings = with_images(settings)
    costs = costs_of(settings, read_prices(), deployed_instance_type())
    for name in {settings.s3_bucket_name, settings.state_bucket or settings.s3_bucket_name}:
        bucket_in_reach(session, name)
    _refuse_unmanaged_resources(session, settings)
    with progress_listener() as listener, stopped_by_signals():
        # With --yes each step is planned once, when its turn comes.
        steps = () if yes and not plan else plan_deploy(settings, listener, only=only)
    if plan:
        if json_output:
            print_json(deploy_plan_report(settings, steps, costs).as_json())
        else:
            show_planned(_title(settings), steps)
            _say_costs(costs)
        return
    if not yes:
        show_planned(_title(settings), steps)
        _say_costs(costs)
        if changes_anything(steps):
            from ftm_cli.console import confirm_or_decline

            confirm_or_decline("Apply it?", what="ftm deploy")
    kept = {name: value for name, value in given.items() if value is not None}
    remember(kept | {"s3_bucket_name": settings.s3_bucket_name} | _tag(settings))
    with progress_listener() as listener, stopped_by_signals():
        approve = Approver(steps, listener, None if yes else _ask)
        result = deploy(settings, listener, only=only, approve=approve)
    _show(session, settings, result, as_json=json_output)
    if not result.complete:
        raise DeclinedError(
            "ftm deploy",
            "You declined a step, so the deploy stopped there; what was made is kept",
            "Run `ftm deploy` again to continue.",
        )


def _ask(step: PlannedStep) -> bool:
    from ftm_cli.console import confirm

    return confirm(f"Apply {step.title}?")


def _refuse_unmanaged_resources(session: AwsSession, settings: DeploySettings) -> None:
    """Stop where resources of our names exist that no state of ours knows."""
    from ftm_cli.operations.aws.existing import existing_resources, refuse_unmanaged_resources
    from ftm_cli.operations.aws.roles import render_roles
    from ftm_cli.operations.deploy import deployed_addresses

    ours = None if settings.use_precreated_roles else render_roles(settings)
    existing = existing_resources(session, settings, ours)
    if existing:
        refuse_unmanaged_resources(existing, deployed_addresses(settings), settings)


def _tag(settings: DeploySettings) -> dict[str, str]:
    return {"image_tag": settings.image_tag} if settings.image_tag else {}


def _title(settings: DeploySettings) -> str:
    return (
        f"Plan for account {settings.account_id}, {settings.region}, "
        f"bucket {settings.s3_bucket_name}"
    )


def _say_costs(costs: Costs) -> None:
    from ftm_cli.console import say

    up = f", ${costs.hourly_when_up_usd:.2f} an hour for each vLLM while it is up"
    say(
        f"Costs: ${costs.monthly_idle_usd:.2f} a month when idle"
        f"{up if costs.hourly_when_up_usd else ''}. Based on {costs.note}."
    )


def _show(
    session: AwsSession, settings: DeploySettings, result: DeployResult, *, as_json: bool
) -> None:
    from ftm_cli.console import print_json, say
    from ftm_cli.operations.deploy import images_of
    from ftm_cli.operations.deploy_report import deploy_report
    from ftm_cli.operations.images import missing_images
    from ftm_cli.views.deployment import show_applied

    if as_json:
        print_json(deploy_report(result).as_json())
        return
    if result.steps:
        show_applied("Deployed" if result.changed else "No changes", result.steps)
    if not result.complete:
        return
    own = not settings.use_external_images
    if own and missing_images(session.client("ecr"), images_of(settings)):
        say("The images are not in the registry yet. Next: ftm build --push")
    else:
        say("Next: ftm validate")
