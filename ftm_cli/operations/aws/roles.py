"""Every IAM role of a deployment, rendered from the Terraform module that also creates them."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ftm_cli.operations.aws.names import partition_of
from ftm_cli.operations.deploy import DeploySettings
from ftm_cli.operations.images import IMAGE, registry_name
from ftm_cli.operations.terraform import TerraformModule
from ftm_cli.results.setup import Role, RolesReport
from ftm_core.contracts.errors import InputError

_MODULE = "roles"
_TOPIC = "ftm-runs"


def render_roles(settings: DeploySettings) -> RolesReport:
    """Render the roles that the deployment ``settings`` needs; needs Terraform, but no login.

    Raises InputError without a pinned account and without a bucket.
    """
    if not settings.account_id or not settings.s3_bucket_name:
        raise InputError(
            "The IAM roles",
            "depend on the account and the bucket, but one of them is not known",
            "Run `ftm pin-profile NAME`, then `ftm deploy --bucket NAME --roles`.",
        )
    with tempfile.TemporaryDirectory(prefix="ftm-roles-") as scratch:
        # A copy, so that neither state nor provider settings are left in the project.
        folder = Path(scratch) / _MODULE
        ignored = shutil.ignore_patterns(".terraform", "*.tfstate*", "tests")
        shutil.copytree(settings.terraform_root / _MODULE, folder, ignore=ignored)
        module = TerraformModule(folder, _values(settings))
        module.initialise()
        with module.plan() as plan:
            module.apply(plan)
        outputs = module.outputs()
    wanted = _kinds_of(settings)
    roles = tuple(
        Role(
            kind=kind,
            module=found["module"],
            name=found["name"],
            description=found["description"],
            instance_profile=found["instance_profile"],
            trust=json.loads(found["trust"]),
            policy_name=found["policy_name"],
            policy=json.loads(found["policy"]) if found["policy"] else None,
        )
        for kind, found in sorted(outputs["roles"].items())
        if found["module"] in wanted and (settings.uses_vllm or kind not in ("deadman", "events"))
    )
    operator = {name: json.loads(text) for name, text in outputs["operator"].items()}
    return RolesReport(roles=roles, operator=operator)


def missing_roles(client: Any, rendered: RolesReport) -> tuple[str, ...]:
    """Roles and instance profiles that the account lacks; ``client`` is IAM's.

    Raises botocore's ClientError when the identity may not read roles.
    """
    missing = []
    for role in rendered.roles:
        try:
            client.get_role(RoleName=role.name)
        except client.exceptions.NoSuchEntityException:
            missing.append(f"role {role.name}")
        if role.instance_profile is None:
            continue
        try:
            client.get_instance_profile(InstanceProfileName=role.instance_profile)
        except client.exceptions.NoSuchEntityException:
            missing.append(f"instance profile {role.instance_profile}")
    return tuple(missing)


def _kinds_of(settings: DeploySettings) -> tuple[str, ...]:
    """Modules whose roles are used."""
    return ("batch", "ecs", "stepfunctions") if settings.uses_vllm else ("batch", "stepfunctions")


def _values(settings: DeploySettings) -> dict[str, Any]:
    """Variables of the roles module, from what the other modules will be given."""
    batch = settings.variables.get("batch", {})
    ecs = settings.variables.get("ecs", {})
    states = settings.variables.get("stepfunctions", {})
    partition = partition_of(settings.region)
    account = str(settings.account_id)
    topic = states.get("notification_topic_arn", "")
    if states.get("enable_notifications"):
        topic = f"arn:{partition}:sns:{settings.region}:{account}:{_TOPIC}"
    return {
        "account_id": account,
        "partition": partition,
        "region": settings.region,
        "bucket": settings.s3_bucket_name,
        "state_bucket": settings.state_bucket or "",
        "kms_key_arn": batch.get("s3_kms_key_arn") or states.get("s3_kms_key_arn") or "",
        "image_repositories": _repositories(_images(settings), partition),
        "vllm_repositories": _repositories((ecs.get("vllm_image", ""),), partition),
        "llm_api_key_secret_arn": batch.get("llm_api_key_secret_arn", ""),
        "hub_token_secret_arn": ecs.get("huggingface_token_secret_arn", ""),
        "notification_topic_arn": topic,
        "enable_execution_logs": bool(states.get("enable_execution_logs")),
        "enable_xray": bool(states.get("enable_xray")),
        "names": {
            kind: name
            for module in (batch, ecs, states)
            for kind, name in module.get("role_names", {}).items()
        },
    }


def _images(settings: DeploySettings) -> tuple[str, ...]:
    if settings.map_image_uri and settings.reduce_image_uri:
        return settings.map_image_uri, settings.reduce_image_uri
    return (f"{registry_name(str(settings.account_id), settings.region)}/{IMAGE}",)


def _repositories(images: tuple[str, ...], partition: str) -> list[str]:
    """ARNs of the ECR repositories among the images' places; other registries need no right."""
    found = []
    for image in images:
        registry, _, rest = image.partition("/")
        parts = registry.split(".")
        if len(parts) < 5 or parts[1:3] != ["dkr", "ecr"]:
            continue
        name = rest.partition("@")[0].partition(":")[0]
        found.append(f"arn:{partition}:ecr:{parts[3]}:{parts[0]}:repository/{name}")
    return list(dict.fromkeys(found))
