"""The checks before a deploy or a run on AWS: tools, modules, login, bucket, images, quotas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ftm_cli.operations.aws.errors import AwsForbiddenError, AwsMissingError, translated
from ftm_cli.operations.aws.outputs import deployed_instance_type
from ftm_cli.operations.aws.roles import missing_roles, render_roles
from ftm_cli.operations.deploy import MODULES, DeploySettings, images_of
from ftm_cli.operations.images import missing_images
from ftm_cli.operations.preflight import Probe, python_version, run_probes, transcripts
from ftm_cli.operations.terraform import TerraformModule
from ftm_cli.operations.tools import docker_version, terraform_version, unformatted_files
from ftm_cli.results.runs import Check
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.events import Listener, ignore
from ftm_core.contracts.quarters import Quarter
from ftm_core.storage.s3 import S3Storage

if TYPE_CHECKING:
    from ftm_cli.operations.aws.session import AwsSession

# Codes of EC2's vCPU quotas, by family of instance types: on demand and Spot.
_QUOTAS = {
    "standard": ("L-1216C47A", "L-34B43A08"),
    "g": ("L-DB2E81BA", "L-3819A6DF"),
    "p": ("L-417A185B", "L-7212CCBC"),
}
_LOGIN = "AWS login"
_UNREADABLE = "not readable by you (servicequotas:GetServiceQuota): nothing is known of quotas"
# vCPUs of one map job and instance types of the jobs where ftm.toml says nothing else, as in the
# batch module.
MAP_VCPUS = 4
JOB_INSTANCE_TYPES = (
    "m6i.xlarge",
    "m7i.xlarge",
    "r6i.xlarge",
    "r7i.xlarge",
    "m6i.2xlarge",
    "m7i.2xlarge",
    "r6i.2xlarge",
)
GPU_JOB_INSTANCE_TYPES = ("g4dn.xlarge", "g5.xlarge", "g6.xlarge")


def check_aws(
    session: AwsSession,
    settings: DeploySettings,
    quarter: Quarter | None = None,
    listener: Listener = ignore,
    *,
    modules: bool = True,
) -> tuple[Check, ...]:
    """Everything that a deploy and a run in the pinned account need; changes nothing.

    ``modules`` leaves out the checks of tools and Terraform modules, which take some seconds. What
    needs a login is checked only when there is one.
    """
    probes: list[Probe] = [("python", python_version)]
    if modules:
        root = settings.terraform_root
        probes += [
            ("terraform", terraform_version),
            ("docker", lambda: _docker(settings)),
            ("terraform fmt", lambda: unformatted_files(root)),
            *((f"module {name}", TerraformModule(root / name).validate) for name in MODULES),
        ]
    probes.append((_LOGIN, lambda: _login(session)))
    probes += _online(session, settings, quarter)
    return run_probes(probes, listener, ends_at=_LOGIN)


def _online(session: AwsSession, settings: DeploySettings, quarter: Quarter | None) -> list[Probe]:
    probes: list[Probe] = [("bucket", lambda: bucket_in_reach(session, settings.s3_bucket_name))]
    if quarter is not None:
        storage = S3Storage(session.client("s3"), settings.s3_bucket_name)
        probes.append(("transcripts", lambda: transcripts(storage, quarter)))
    probes.append(("images", lambda: _images(session, settings)))
    if settings.use_precreated_roles:
        probes.append(("roles", lambda: _roles(session, settings)))
    if settings.uses_vllm:
        probes.append(("quota for vLLM", lambda: _vllm_quota(session, settings)))
    probes.append(("quota for jobs", lambda: _jobs_quota(session, settings)))
    return probes


def bucket_in_reach(session: AwsSession, name: str) -> str:
    """That the bucket is there, ours to use and in the pinned region; raises InputError if not."""
    if not name:
        raise InputError(
            "The data bucket", "has no name yet", "Name it with `ftm deploy --bucket NAME`."
        )
    where = f"The bucket {name}"
    try:
        with translated(where, session.pin.profile):
            answer = session.client("s3").head_bucket(Bucket=name)
    except AwsMissingError as error:
        raise InputError(
            where,
            "does not exist",
            f"Make it (`aws s3 mb s3://{name} --profile {session.pin.profile}`), "
            "or name another: `ftm deploy --bucket NAME`.",
        ) from error
    region = answer.get("BucketRegion") or session.pin.region
    if region != session.pin.region:
        raise InputError(
            where,
            f"is in {region}, but {session.pin.region} is pinned",
            "Use a bucket in the pinned region, or pin the bucket's: `ftm pin-profile -h`.",
        )
    return f"s3://{name} in {region}"


def _login(session: AwsSession) -> str:
    found = session.identity()
    return f"account {found.account_id} as pinned, {found.arn}"


def _docker(settings: DeploySettings) -> str:
    if settings.use_external_images:
        return "not needed: images are given by URI"
    return docker_version()


def _images(session: AwsSession, settings: DeploySettings) -> str:
    uris = images_of(settings)
    missing = missing_images(session.client("ecr"), uris)
    if missing:
        raise InputError(
            "The list of images",
            f"names what is not in the registry: {', '.join(missing)}",
            "Run `ftm build --push`, or name images that exist: `ftm build --map-image-uri URI "
            "--reduce-image-uri URI`.",
        )
    return f"{uris.map}, {uris.reduce}"


def _roles(session: AwsSession, settings: DeploySettings) -> str:
    """That an administrator has made every role and instance profile."""
    rendered = render_roles(settings)
    try:
        with translated("The list of IAM roles", session.pin.profile):
            missing = missing_roles(session.client("iam"), rendered)
    except AwsForbiddenError:
        return "not readable by you; `ftm deploy --roles` lists what must be there"
    if missing:
        raise InputError(
            "The account",
            f"lacks the IAM roles {', '.join(missing)}",
            "Give the output of `ftm deploy --roles` to your administrator.",
        )
    return f"{len(rendered.roles)} roles are there"


def _vllm_quota(session: AwsSession, settings: DeploySettings) -> str:
    """How many instances the quotas hold; the first is on demand unless ftm.toml says otherwise."""
    kind = deployed_instance_type()
    vcpus = _vcpus_of(session, (kind,)).get(kind)
    if vcpus is None:
        raise InputError(
            f"The instance type {kind}",
            f"is not offered in {session.pin.region}",
            "Name another instance_type for the ecs module in ftm.toml.",
        )
    on_demand, spot = _quotas(session, kind[0])
    base = settings.variables.get("ecs", {}).get("on_demand_base_capacity", 1)
    if on_demand is None or spot is None:
        return _UNREADABLE
    found = (
        f"{on_demand:g} vCPUs on demand hold {on_demand // vcpus:.0f} {kind}, "
        f"{spot:g} on Spot hold {spot // vcpus:.0f}"
    )
    if (on_demand if base else max(on_demand, spot)) < vcpus:
        raise _too_small("GPU vCPUs", found, _QUOTAS[kind[0]][0])
    return found


def _jobs_quota(session: AwsSession, settings: DeploySettings) -> str:
    """How many map jobs the quotas hold at once; jobs go to Spot first, then on demand.

    A job needs a whole instance: the smallest type of the jobs that holds it is what counts.
    """
    variables = settings.variables.get("batch", {})
    needed = variables.get("job_sizes", {}).get("map_vcpus", MAP_VCPUS)
    gpu = bool(variables.get("use_gpu"))
    types = variables.get("batch_instance_types") or (
        GPU_JOB_INSTANCE_TYPES if gpu else JOB_INSTANCE_TYPES
    )
    sizes = _vcpus_of(session, types)
    fitting = {kind: size for kind, size in sizes.items() if size >= needed}
    if not fitting:
        raise InputError(
            "The instance types of the jobs",
            f"have no room for a map job of {needed} vCPUs: {', '.join(types)}",
            "Name larger batch_instance_types in ftm.toml, or make map_vcpus of job_sizes smaller.",
        )
    kind = min(fitting, key=lambda name: fitting[name])
    vcpus, family = fitting[kind], "g" if gpu else "standard"
    on_demand, spot = _quotas(session, family)
    if on_demand is None or spot is None:
        return _UNREADABLE
    usable = {"on Spot": spot} if variables.get("use_spot", True) else {}
    usable["on demand"] = on_demand
    found = ", ".join(
        f"{value:g} vCPUs {name} hold {value // vcpus * (vcpus // needed):.0f} map jobs"
        for name, value in usable.items()
    )
    found += f" (the smallest type, {kind}, has {vcpus})"
    if max(usable.values()) < vcpus:
        raise _too_small("vCPUs for jobs", found, _QUOTAS[family][1 if "on Spot" in usable else 0])
    return found


def _quotas(session: AwsSession, family: str) -> tuple[float | None, float | None]:
    """How many vCPUs of a family the account may have, on demand and on Spot; None if unreadable.

    AWS keeps an applied value only where one was ever changed; else its default holds.
    """
    client = session.client("service-quotas")
    values: list[float | None] = []
    for code in _QUOTAS[family]:
        asked = {"ServiceCode": "ec2", "QuotaCode": code}
        try:
            with translated(f"The quota {code}", session.pin.profile):
                try:
                    answer = client.get_service_quota(**asked)
                except client.exceptions.NoSuchResourceException:
                    answer = client.get_aws_default_service_quota(**asked)
        except AwsForbiddenError:
            values.append(None)
        else:
            values.append(float(answer["Quota"]["Value"]))
    return values[0], values[1]


def _vcpus_of(session: AwsSession, instance_types: Sequence[str]) -> dict[str, int]:
    """VCPUs of those types that the region offers."""
    offered = {"Name": "instance-type", "Values": list(instance_types)}
    with translated("The list of instance types", session.pin.profile):
        answer = session.client("ec2").describe_instance_types(Filters=[offered])
    return {
        item["InstanceType"]: int(item["VCpuInfo"]["DefaultVCpus"])
        for item in answer["InstanceTypes"]
    }


def _too_small(what: str, found: str, code: str) -> InputError:
    return InputError(
        f"The quota of {what}",
        f"is too small for even one job or instance: {found}",
        f"Ask AWS for more (Service Quotas, EC2, {code}), or choose smaller ones in ftm.toml.",
    )
