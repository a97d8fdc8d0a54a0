"""Resources that are in the account under our names, but in no state of ours.

A deploy beside an earlier installation would fail half-way at the first of them. This finds them
all before anything is made, with the command that takes each into the state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ftm_cli.operations.aws import names
from ftm_cli.operations.aws.errors import AwsForbiddenError, AwsMissingError, translated
from ftm_cli.operations.aws.session import AwsSession
from ftm_cli.operations.deploy import DeploySettings
from ftm_cli.operations.images import IMAGE
from ftm_cli.results.setup import RolesReport
from ftm_core.contracts.errors import InputError

_SHOWN = 40


@dataclass(frozen=True)
class ExistingResource:
    """One resource: the module that would make it, its address there, and its id for an import."""

    module: str
    address: str
    id: str

    def import_command(self, settings: DeploySettings) -> str:
        """The command that takes it into the state."""
        variables = f"-var aws_region={settings.region}"
        if settings.profile:
            variables += f" -var aws_profile={settings.profile}"
        if self.module != "ecs":
            variables += f" -var s3_bucket_name={settings.s3_bucket_name}"
        return (
            f"terraform -chdir={settings.terraform_root}/{self.module} import {variables} "
            f"'{self.address}' '{self.id}'"
        )


def existing_resources(
    session: AwsSession, settings: DeploySettings, roles: RolesReport | None
) -> tuple[ExistingResource, ...]:
    """What the account holds under the names of the modules; ``roles`` where we would make them.

    A service that the identity may not read is left out.
    """
    found: list[ExistingResource] = []
    probes: list[Callable[[], Iterator[ExistingResource]]] = [
        lambda: _of_batch(session, settings),
        lambda: _network(session, settings),
        lambda: _log_groups(session, settings),
        lambda: _machines(session, settings),
    ]
    if settings.uses_vllm:
        probes.append(lambda: _of_ecs(session))
    if roles is not None:
        probes.append(lambda: _roles(session, roles))
    for probe in probes:
        try:
            with translated("The list of resources of the account", session.pin.profile):
                found += probe()
        except AwsForbiddenError:
            continue
    return tuple(found)


def refuse_unmanaged_resources(
    existing: Sequence[ExistingResource],
    addresses: Mapping[str, frozenset[str]],
    settings: DeploySettings,
) -> None:
    """Raise InputError for what exists and is in no state of ``addresses``."""
    unmanaged = [item for item in existing if item.address not in addresses[item.module]]
    if not unmanaged:
        return
    listed = "\n".join(f"  {item.import_command(settings)}" for item in unmanaged[:_SHOWN])
    raise InputError(
        f"The account {settings.account_id}",
        "has resources with names of ftm that the Terraform state of this folder does not contain: "
        f"{', '.join(sorted({item.id for item in unmanaged}))}. Nothing was created",
        "If another installation created them, destroy that first. If they are this project's, "
        "as after a deploy that was killed, name its state (`ftm deploy --state-bucket NAME`), or "
        f"import them and deploy again:\n{listed}",
    )


def _of_batch(session: AwsSession, settings: DeploySettings) -> Iterator[ExistingResource]:
    queues = session.client("batch").describe_job_queues(jobQueues=[names.QUEUE])["jobQueues"]
    for queue in queues:
        if queue.get("status") not in ("DELETED", "DELETING"):
            yield ExistingResource("batch", "aws_batch_job_queue.main", queue["jobQueueArn"])
    if not settings.use_external_images:
        for repository in _all(
            lambda: session.client("ecr").describe_repositories()["repositories"]
        ):
            if repository["repositoryName"] == IMAGE:
                yield ExistingResource("batch", "aws_ecr_repository.worker[0]", IMAGE)
    databases = _all(lambda: [session.client("glue").get_database(Name="ftm")["Database"]])
    for database in databases:
        yield ExistingResource(
            "batch",
            "aws_glue_catalog_database.ftm",
            f"{settings.account_id}:{database['Name']}",
        )


def _of_ecs(session: AwsSession) -> Iterator[ExistingResource]:
    groups = session.client("autoscaling").describe_auto_scaling_groups(
        AutoScalingGroupNames=[names.VLLM_GROUP]
    )["AutoScalingGroups"]
    for group in groups:
        yield ExistingResource("ecs", "aws_autoscaling_group.vllm", group["AutoScalingGroupName"])
    ecs = session.client("ecs")
    clusters = ecs.describe_clusters(clusters=[names.VLLM_CLUSTER])["clusters"]
    for cluster in clusters:
        if cluster["status"] == "ACTIVE":
            yield ExistingResource("ecs", "aws_ecs_cluster.vllm", cluster["clusterName"])
    balancer = session.client("elbv2")
    for item in _all(
        lambda: balancer.describe_load_balancers(Names=["ftm-vllm-alb"])["LoadBalancers"]
    ):
        yield ExistingResource("ecs", "aws_lb.vllm", item["LoadBalancerArn"])
    for item in _all(
        lambda: balancer.describe_target_groups(Names=["ftm-vllm-tg"])["TargetGroups"]
    ):
        yield ExistingResource("ecs", "aws_lb_target_group.vllm", item["TargetGroupArn"])
    for item in _all(
        lambda: [session.client("ssm").get_parameter(Name=names.BASE_URL_PARAMETER)["Parameter"]]
    ):
        yield ExistingResource("ecs", "aws_ssm_parameter.base_url", item["Name"])


def _network(session: AwsSession, settings: DeploySettings) -> Iterator[ExistingResource]:
    addresses = {"ftm-batch-sg": ("batch", "aws_security_group.batch")}
    if settings.uses_vllm:
        addresses |= {
            "ftm-vllm-sg": ("ecs", "aws_security_group.vllm"),
            "ftm-vllm-alb-sg": ("ecs", "aws_security_group.load_balancer"),
            "ftm-vllm-models-sg": ("ecs", "aws_security_group.models[0]"),
        }
    groups = session.client("ec2").describe_security_groups(
        Filters=[{"Name": "group-name", "Values": list(addresses)}]
    )["SecurityGroups"]
    for group in groups:
        module, address = addresses[group["GroupName"]]
        yield ExistingResource(module, address, group["GroupId"])


def _log_groups(session: AwsSession, settings: DeploySettings) -> Iterator[ExistingResource]:
    addresses = {names.BATCH_LOGS: ("batch", "aws_cloudwatch_log_group.batch")}
    if settings.uses_vllm:
        addresses[names.VLLM_LOGS] = ("ecs", "aws_cloudwatch_log_group.vllm")
    logs = session.client("logs")
    for name, (module, address) in addresses.items():
        for group in logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]:
            if group["logGroupName"] == name:
                yield ExistingResource(module, address, name)


def _machines(session: AwsSession, settings: DeploySettings) -> Iterator[ExistingResource]:
    addresses = {names.STATE_MACHINE: "aws_sfn_state_machine.quarter_processor"}
    if settings.uses_vllm:
        addresses[names.DEADMAN] = "aws_sfn_state_machine.deadman[0]"
    states = session.client("stepfunctions")
    for name, address in addresses.items():
        arn = names.state_machine_arn(session.pin.region, session.pin.account_id, name)
        if _is_there(partial(states.describe_state_machine, stateMachineArn=arn)):
            yield ExistingResource("stepfunctions", address, arn)


def _roles(session: AwsSession, roles: RolesReport) -> Iterator[ExistingResource]:
    iam = session.client("iam")
    for role in roles.roles:
        if _is_there(partial(iam.get_role, RoleName=role.name)):
            address = f'aws_iam_role.created["{role.kind}"]'
            yield ExistingResource(role.module, address, role.name)
        profile = role.instance_profile
        if profile and _is_there(partial(iam.get_instance_profile, InstanceProfileName=profile)):
            yield ExistingResource(role.module, "aws_iam_instance_profile.created[0]", profile)


def _is_there(ask: Callable[[], Any]) -> bool:
    return bool(_all(lambda: [ask()]))


def _all(ask: Callable[[], list[Any]]) -> list[Any]:
    """What AWS lists; nothing where it says that there is none."""
    try:
        with translated("A resource of the account"):
            return ask()
    except AwsMissingError:
        return []
