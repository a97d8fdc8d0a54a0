"""`ftm deploy`: the infrastructure in its order, planned, confirmed, applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ftm_cli.options import JsonOption, YesOption

if TYPE_CHECKING:
    from ftm_cli.operations.deploy import PlannedStep

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
        typer.Option(
            "--state-bucket", help="S3 bucket for Terraform state (default: local state files)."
        ),
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
    from ftm_cli.operations.aws.deployment import (
        deploy_settings,
        next_step,
        record_deployment,
        require_deployable,
        with_images,
    )
    from ftm_cli.operations.aws.outputs import deployed_instance_type
    from ftm_cli.operations.aws.roles import render_roles
    from ftm_cli.operations.aws.waiting import stopped_by_signals
    from ftm_cli.operations.costs import read_prices
    from ftm_cli.operations.deploy import deploy, plan_deploy
    from ftm_cli.operations.deploy_report import costs_of, deploy_plan_report, deploy_report
    from ftm_cli.views.deployment import (
        Approver,
        confirm_plan,
        raise_if_declined,
        show_deploy_plan,
        show_deployed,
    )
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
    costs = costs_of(settings, read_prices(), deployed_instance_type())
    require_deployable(session, settings)
    with progress_listener() as listener, stopped_by_signals():
        # With --yes each step is planned once, when its turn comes.
        steps = () if yes and not plan else plan_deploy(settings, listener, only=only)
    if plan and json_output:
        print_json(deploy_plan_report(settings, steps, costs).as_json())
        return
    if plan or not yes:
        show_deploy_plan(settings, steps, costs, is_result=plan)
    if plan:
        return
    if not yes:
        confirm_plan(steps, what="ftm deploy")
    record_deployment(settings, given)
    with progress_listener() as listener, stopped_by_signals():
        approve = Approver(steps, listener, None if yes else _ask)
        result = deploy(settings, listener, only=only, approve=approve)
    if json_output:
        print_json(deploy_report(result).as_json())
    else:
        show_deployed(result, next_step(session, settings) if result.complete else "")
    raise_if_declined(result, "ftm deploy", "the deploy stopped there; what was made is kept")


def _ask(step: PlannedStep) -> bool:
    from ftm_cli.console import confirm

    return confirm(f"Apply {step.title}?")
