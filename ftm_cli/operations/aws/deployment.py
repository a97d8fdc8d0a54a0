"""The deployment of this project: the pin, ftm.toml's [aws.deploy] and the settings of the jobs."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftm_cli.operations.aws.existing import existing_resources, refuse_unmanaged_resources
from ftm_cli.operations.aws.outputs import DEPLOY_TABLE, deployed_bucket, remember
from ftm_cli.operations.aws.preflight import bucket_in_reach
from ftm_cli.operations.aws.project_file import read_table
from ftm_cli.operations.aws.roles import render_roles
from ftm_cli.operations.aws.session import AwsSession
from ftm_cli.operations.deploy import MODULES, DeploySettings, deployed_addresses, images_of
from ftm_cli.operations.deployment_files import terraform_modules
from ftm_cli.operations.images import Build, content_tag, missing_images
from ftm_cli.results.setup import Pin
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.settings import PROJECT_FILE, resolve

# Settings of `ftm config` that have a Terraform variable of their own; the ecs module must serve
# the model that the jobs ask for.
_OWN_VARIABLES = {
    "llm.model_name": (("batch", "vllm_model"), ("ecs", "vllm_model")),
    "llm.max_concurrent": (("batch", "llm_max_concurrent"),),
    "map.checkpoint_interval": (("batch", "checkpoint_interval"),),
}
# The jobs' LLM is the deployed one or [aws.deploy] llm_base_url, a key is a secret, and quality is
# measured here.
_NOT_FOR_JOBS = ("llm.base_url", "llm.api_key", "quality.")
_NOT_IN_FILE = ("terraform_root", "region", "profile", "account_id", "variables")


def deploy_settings(
    pin: Pin, given: Mapping[str, Any] | None = None, *, bucket_needed: bool = True
) -> DeploySettings:
    """What will be deployed: ``given`` by options, else ftm.toml, else the modules' own defaults.

    Settings of `ftm config` that are not at their default reach the jobs. Raises InputError for
    unknown or wrong values and without a bucket. Outside ftm's source folder the Terraform modules
    are written to ``.ftm/terraform``.
    """
    in_file = read_table(Path(PROJECT_FILE), DEPLOY_TABLE)
    variables = _variables(in_file.pop("variables", {}))
    values = _checked(in_file) | {k: v for k, v in (given or {}).items() if v is not None}
    if not values.get("s3_bucket_name"):
        values["s3_bucket_name"] = deployed_bucket() if bucket_needed else ""
    return DeploySettings(
        terraform_root=terraform_modules(),
        region=pin.region,
        profile=pin.profile,
        account_id=pin.account_id,
        variables=variables,
        **values,
    )


def build_of(
    settings: DeploySettings,
    arguments: Mapping[str, str] | None = None,
    network: str | None = None,
) -> Build:
    """How the image of a deployment is built: for CUDA where its map jobs get a GPU."""
    gpu = bool(settings.variables.get("batch", {}).get("use_gpu"))
    return Build(({"DEVICE": "cuda"} if gpu else {}) | dict(arguments or {}), network)


def with_images(settings: DeploySettings) -> DeploySettings:
    """The same with its images named: by ftm.toml, else by the tag that `ftm build` would give.

    Raises InputError where images from elsewhere are wanted and none are named.
    """
    if settings.use_external_images or settings.map_image_uri or settings.image_tag:
        images_of(settings)
        return settings
    return dataclasses.replace(settings, image_tag=content_tag(build_of(settings)))


def require_deployable(session: AwsSession, settings: DeploySettings) -> None:
    """Raise unless the buckets can be used and no resource of our names is unknown to our state."""
    for name in {settings.s3_bucket_name, settings.state_bucket or settings.s3_bucket_name}:
        bucket_in_reach(session, name)
    ours = None if settings.use_precreated_roles else render_roles(settings)
    existing = existing_resources(session, settings, ours)
    if existing:
        refuse_unmanaged_resources(existing, deployed_addresses(settings), settings)


def record_deployment(settings: DeploySettings, given: Mapping[str, Any]) -> None:
    """Write into ftm.toml what the options named, the bucket and the tag of the images."""
    values = {name: value for name, value in given.items() if value is not None}
    values["s3_bucket_name"] = settings.s3_bucket_name
    if settings.image_tag:
        values["image_tag"] = settings.image_tag
    remember(values)


def next_step(session: AwsSession, settings: DeploySettings) -> str:
    """What to do after a complete deploy."""
    own_images = not settings.use_external_images
    if own_images and missing_images(session.client("ecr"), images_of(settings)):
        return "The images are not in the registry yet. Next: ftm build --push"
    return "Next: ftm validate"


def _checked(table: Mapping[str, Any]) -> dict[str, Any]:
    fields = {field.name: field for field in dataclasses.fields(DeploySettings)}
    for name, value in table.items():
        where = f"The entry {name} in [{DEPLOY_TABLE}] of {PROJECT_FILE}"
        if name not in fields or name in _NOT_IN_FILE:
            known = ", ".join(sorted(set(fields) - set(_NOT_IN_FILE)))
            raise InputError(where, "is not a value of a deployment", f"Use one of {known}.")
        # None stands for a text that may be missing.
        kind = type(fields[name].default) if isinstance(fields[name].default, bool) else str
        if not isinstance(value, kind):
            wanted = "true or false" if kind is bool else "a text in quotes"
            raise InputError(where, f"cannot be {value!r}", f"Write {wanted} there.")
    return dict(table)


def _variables(in_file: Any) -> dict[str, dict[str, Any]]:
    """Variables by module: those of the file, over those that settings of the jobs decide."""
    if not isinstance(in_file, dict) or set(in_file) - set(MODULES):
        raise InputError(
            f"The table [{DEPLOY_TABLE}.variables] of {PROJECT_FILE}",
            "holds something other than modules",
            f"Write [{DEPLOY_TABLE}.variables.MODULE] with one of {', '.join(MODULES)}.",
        )
    variables: dict[str, dict[str, Any]] = {name: {} for name in MODULES}
    others: dict[str, str] = {}
    resolved = resolve(environment=os.environ, project_file=Path(PROJECT_FILE))
    for item in resolved.origins:
        if item.origin == "default" or item.name.startswith(_NOT_FOR_JOBS):
            continue
        for module, variable in _OWN_VARIABLES.get(item.name, ()):
            variables[module][variable] = item.value
        if item.name not in _OWN_VARIABLES:
            others[item.environment_variable] = str(item.value)
    if others:
        variables["batch"]["settings_environment"] = others
    return {name: values | in_file.get(name, {}) for name, values in variables.items()}
