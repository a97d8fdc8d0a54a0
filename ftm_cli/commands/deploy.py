"""`ftm deploy`: the infrastructure in its order, planned, confirmed, applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ftm_cli.options import JsonOption, YesOption

if TYPE_CHECKING:
    from ftm_cli.operations.aws.session import AwsSession
    from ftm_cli.operations.deploy import DeploySettings, PlannedStep

OnlyOption = Annotated[
    str | None,
    typer.Option("--only", help="One module alone: batch, ecs or stepfunctions.", metavar="MODULE"),
]
PlanOption = Annotated[bool, typer.Option("--plan", help="Show the plan, change nothing.")]
RolesOption = Annotated[
    bool,
    typer.Option("--roles", help="Print every IAM role and the operator's policies as JSON."),
]
BucketOption = Annotated[
    str | None, typer.Option("--bucket", help="Existing bucket for the data of all quarters.")
]
StateBucketOption = Annotated[
    str | None,
    typer.Option(
        "--state-bucket", help="S3 bucket for Terraform state (default: local state files)."
    ),
]
ServerOption = Annotated[
    str | None,
    typer.Option("--llm-base-url", help="Existing LLM server in place of our own vLLM."),
]
PrecreatedRolesOption = Annotated[
    bool | None,
    typer.Option(
        "--use-precreated-roles/--own-roles",
        help="Roles that an administrator made, or our own.",
        show_default=False,
    ),
]


def deploy_command(
    plan: PlanOption = False,
    roles: RolesOption = False,
    only: OnlyOption = None,
    bucket: BucketOption = None,
    state_bucket: StateBucketOption = None,
    llm_base_url: ServerOption = None,
    use_precreated_roles: PrecreatedRolesOption = None,
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
    from ftm_cli.console import print_json
    from ftm_cli.operations.aws.deployment import deploy_settings, with_images
    from ftm_cli.operations.aws.roles import render_roles
    from ftm_cli.views.target import pinned_session

    given = {
        "s3_bucket_name": bucket,
        "state_bucket": state_bucket,
        "llm_base_url": llm_base_url,
        "use_precreated_roles": use_precreated_roles,
    }
    session = pinned_session()
    settings = deploy_settings(session.pin, given)
    if roles:
        print_json(render_roles(settings).as_json())
        return
    settings = with_images(settings)
    steps = _plan(session, settings, only, ends_here=plan, yes=yes, as_json=json_output)
    if not plan:
        _deploy(session, settings, steps, given, only, yes=yes, as_json=json_output)


def _plan(
    session: AwsSession,
    settings: DeploySettings,
    only: str | None,
    *,
    ends_here: bool,
    yes: bool,
    as_json: bool,
) -> Sequence[PlannedStep]:
    """Plan every step and show the plan; with --yes each step is planned when its turn comes."""
    from ftm_cli.console import print_json
    from ftm_cli.operations.aws.deployment import require_deployable
    from ftm_cli.operations.aws.outputs import deployed_instance_type
    from ftm_cli.operations.aws.waiting import stopped_by_signals
    from ftm_cli.operations.costs import read_prices
    from ftm_cli.operations.deploy import plan_deploy
    from ftm_cli.operations.deploy_report import costs_of, deploy_plan_report
    from ftm_cli.progress import progress_listener
    from ftm_cli.views.deployment import show_deploy_plan

    costs = costs_of(settings, read_prices(), deployed_instance_type())
    require_deployable(session, settings)
    if yes and not ends_here:
        return ()
    with progress_listener() as listener, stopped_by_signals():
        steps = plan_deploy(settings, listener, only=only)
    if ends_here and as_json:
        print_json(deploy_plan_report(settings, steps, costs).as_json())
    else:
        show_deploy_plan(settings, steps, costs, is_result=ends_here)
    return steps


def _deploy(
    session: AwsSession,
    settings: DeploySettings,
    steps: Sequence[PlannedStep],
    given: Mapping[str, Any],
    only: str | None,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """Confirm the plan, record the options, and apply step by step."""
    from ftm_cli.console import print_json
    from ftm_cli.operations.aws.deployment import next_step, record_deployment
    from ftm_cli.operations.aws.waiting import stopped_by_signals
    from ftm_cli.operations.deploy import deploy
    from ftm_cli.operations.deploy_report import deploy_report
    from ftm_cli.progress import progress_listener
    from ftm_cli.views.deployment import Approver, confirm_plan, raise_if_declined, show_deployed

    if not yes:
        confirm_plan(steps, what="ftm deploy")
    record_deployment(settings, given)
    with progress_listener() as listener, stopped_by_signals():
        approve = Approver(steps, listener, None if yes else _ask)
        result = deploy(settings, listener, only=only, approve=approve)
    if as_json:
        print_json(deploy_report(result).as_json())
    else:
        show_deployed(result, next_step(session, settings) if result.complete else "")
    raise_if_declined(result, "ftm deploy", "the deploy stopped there and kept what was made")


def _ask(step: PlannedStep) -> bool:
    from ftm_cli.console import confirm

    return confirm(f"Apply {step.title}?")
