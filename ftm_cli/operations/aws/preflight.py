"""The checks before a deploy or a run on AWS: tools, modules, login, bucket, images, quotas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftm_cli.operations.aws.errors import AwsMissingError, translated
from ftm_cli.operations.aws.outputs import deployed_instance_type
from ftm_cli.operations.deploy import MODULES, DeploySettings, images_of
from ftm_cli.operations.images import missing_images
from ftm_cli.operations.preflight import Check, Look, look_at, python_version, transcripts
from ftm_cli.operations.terraform import TerraformModule
from ftm_cli.operations.tools import docker_version, terraform_version, unformatted_files
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
# vCPUs of one map job where ftm.toml says nothing else, as in the batch module.
MAP_VCPUS = 4


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
    needs a login is looked at only when there is one.
    """
    looks: list[Look] = [("python", python_version)]
    if modules:
        root = settings.terraform_root
        looks += [
            ("terraform", terraform_version),
            ("docker", lambda: _docker(settings)),
            ("terraform fmt", lambda: unformatted_files(root)),
            *((f"module {name}", TerraformModule(root / name).validate) for name in MODULES),
        ]
    looks.append((_LOGIN, lambda: _login(session)))
    looks += _online(session, settings, quarter)
    return look_at(looks, listener, ends_at=_LOGIN)


def _online(session: AwsSession, settings: DeploySettings, quarter: Quarter | None) -> list[Look]:
    looks: list[Look] = [("bucket", lambda: bucket_in_reach(session, settings.s3_bucket_name))]
    if quarter is not None:
        storage = S3Storage(session.client("s3"), settings.s3_bucket_name)
        looks.append(("transcripts", lambda: transcripts(storage, quarter)))
    looks.append(("images", lambda: _images(session, settings)))
    if settings.uses_vllm:
        looks.append(("quota for vLLM", lambda: _vllm_quota(session, settings)))
    looks.append(("quota for jobs", lambda: _jobs_quota(session, settings)))
    return looks


def bucket_in_reach(session: AwsSession, name: str) -> str:
    """That the bucket is there, ours to use and in the pinned region; raises InputError if not."""
    if not name:
        raise InputError(
            "the data bucket", "is not named yet", "Name it with `ftm deploy --bucket NAME`."
        )
    where = f"bucket {name}"
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
            "images",
            f"not in the registry: {', '.join(missing)}",
            "Run `ftm build --push`, or name images that exist: `ftm build --map-image-uri URI "
            "--reduce-image-uri URI`.",
        )
    return f"{uris.map}, {uris.reduce}"


def _vllm_quota(session: AwsSession, settings: DeploySettings) -> str:
    """How many instances the quotas hold; the first is on demand unless ftm.toml says otherwise."""
    kind = deployed_instance_type()
    vcpus = _vcpus_of(session, kind)
    on_demand, spot = _quotas(session, kind[0])
    base = settings.variables.get("ecs", {}).get("on_demand_base_capacity", 1)
    found = (
        f"{on_demand:g} vCPUs on demand hold {on_demand // vcpus:.0f} {kind}, "
        f"{spot:g} on Spot hold {spot // vcpus:.0f}"
    )
    if (on_demand if base else max(on_demand, spot)) < vcpus:
        raise _too_small("GPU vCPUs", found, _QUOTAS[kind[0]][0])
    return found


def _jobs_quota(session: AwsSession, settings: DeploySettings) -> str:
    """How many map jobs the quotas hold at once; jobs go to Spot first, then on demand."""
    variables = settings.variables.get("batch", {})
    vcpus = variables.get("job_sizes", {}).get("map_vcpus", MAP_VCPUS)
    family = "g" if variables.get("use_gpu") else "standard"
    on_demand, spot = _quotas(session, family)
    usable = {"on Spot": spot} if variables.get("use_spot", True) else {}
    usable["on demand"] = on_demand
    found = ", ".join(
        f"{value:g} vCPUs {name} hold {value // vcpus:.0f} map jobs"
        for name, value in usable.items()
    )
    if max(usable.values()) < vcpus:
        raise _too_small("vCPUs for jobs", found, _QUOTAS[family][1 if "on Spot" in usable else 0])
    return found


def _quotas(session: AwsSession, family: str) -> tuple[float, float]:
    """How many vCPUs of a family the account may have: on demand, and on Spot."""
    client = session.client("service-quotas")
    values = []
    for code in _QUOTAS[family]:
        with translated(f"quota {code}", session.pin.profile):
            answer = client.get_service_quota(ServiceCode="ec2", QuotaCode=code)
        values.append(float(answer["Quota"]["Value"]))
    return values[0], values[1]


def _vcpus_of(session: AwsSession, instance_type: str) -> int:
    with translated(f"instance type {instance_type}", session.pin.profile):
        answer = session.client("ec2").describe_instance_types(InstanceTypes=[instance_type])
    info: dict[str, Any] = answer["InstanceTypes"][0]["VCpuInfo"]
    return int(info["DefaultVCpus"])


def _too_small(what: str, found: str, code: str) -> InputError:
    return InputError(
        f"quota of {what}",
        f"holds not even one: {found}",
        f"Ask AWS for more (Service Quotas, EC2, {code}), or choose smaller ones in ftm.toml.",
    )
