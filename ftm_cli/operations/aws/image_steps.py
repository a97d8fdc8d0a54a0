"""The image of the deployed jobs: built and pushed (option A), or given by URI (option B)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ftm_cli.operations.aws.errors import AwsMissingError, translated
from ftm_cli.operations.aws.outputs import remember
from ftm_cli.operations.aws.session import AwsSession
from ftm_cli.operations.deploy import DeploySettings, module_outputs
from ftm_cli.operations.images import (
    IMAGE,
    Build,
    ImageUris,
    build_image,
    content_tag,
    log_in,
    missing_images,
    push_image,
    registry_name,
)
from ftm_cli.operations.tools import docker_version
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.events import Listener, ignore


@dataclass(frozen=True)
class ImagePlan:
    """What `ftm build` will do, or has done: which image for which job, and what of it is new."""

    tag: str | None
    map_image_uri: str
    reduce_image_uri: str
    build: bool
    push: bool
    record: bool


def plan_build(build: Build) -> ImagePlan:
    """An image built here and left here."""
    tag = content_tag(build)
    name = f"{IMAGE}:{tag}"
    return ImagePlan(tag, name, name, build=True, push=False, record=False)


def plan_push(session: AwsSession, build: Build) -> ImagePlan:
    """The image pushed to the account's registry, unless it is there already.

    Raises InputError where the repository does not exist.
    """
    tag = content_tag(build)
    ecr = session.client("ecr")
    try:
        with translated("The image repository", session.pin.profile):
            ecr.describe_repositories(repositoryNames=[IMAGE])
    except AwsMissingError as error:
        raise InputError(
            f"The image repository {IMAGE}",
            f"does not exist in the account {session.pin.account_id}",
            "Run `ftm deploy --only batch` first: it creates the repository.",
        ) from error
    registry = registry_name(session.pin.account_id, session.pin.region)
    uri = f"{registry}/{IMAGE}:{tag}"
    new = bool(missing_images(ecr, ImageUris(uri, uri)))
    return ImagePlan(tag, uri, uri, build=new, push=new, record=True)


def plan_given(session: AwsSession, settings: DeploySettings, uris: ImageUris) -> ImagePlan:
    """Images that lie in a registry; raises InputError for one that does not.

    An image in the repository that a deploy of ours made stays ours, since a deploy with images of
    somebody else would remove that repository. It must serve both jobs, or InputError is raised.
    """
    missing = missing_images(session.client("ecr"), uris)
    if missing:
        raise InputError(
            "The list of images",
            f"names what does not exist ({' and '.join(missing)}), so nothing was recorded",
            "Ask whoever pushes the images for the right URI, tag included.",
        )
    tag = _tag_of_ours(_own_repository(settings), uris)
    return ImagePlan(tag, uris.map, uris.reduce, build=False, push=False, record=True)


def perform(plan: ImagePlan, build: Build, listener: Listener = ignore) -> None:
    """Build, and no more: for a plan that pushes nothing."""
    docker_version()
    if plan.tag:
        build_image(build, plan.tag, listener)


def perform_in_account(
    session: AwsSession,
    settings: DeploySettings,
    plan: ImagePlan,
    build: Build,
    listener: Listener = ignore,
) -> None:
    """Build and push what is new, then record the URIs in ftm.toml for the next deploy."""
    if plan.build and plan.tag:
        docker_version()
        local = build_image(build, plan.tag, listener)
        push_image(local, log_in(session.client("ecr"), listener), listener)
    ours = plan.tag is not None and _own_repository(settings) is not None
    values: dict[str, Any] = {
        "use_external_images": not ours,
        "map_image_uri": plan.map_image_uri,
        "reduce_image_uri": plan.reduce_image_uri,
    }
    remember(values | ({"image_tag": plan.tag} if plan.tag else {}))


def _own_repository(settings: DeploySettings) -> str | None:
    """The repository that a deploy of ours made; None without one."""
    url: str | None = module_outputs(settings, "batch").get("image_repository_url")
    return url or None


def _tag_of_ours(own: str | None, uris: ImageUris) -> str | None:
    inside = [uri for uri in uris.distinct if re.split(r"[:@]", uri)[0] == own]
    if own is None or not inside:
        return None
    tag = uris.map.rpartition(":")[2]
    if uris.distinct != (f"{own}:{tag}",):
        raise InputError(
            "The list of images",
            f"names {' and '.join(inside)} in the repository that `ftm deploy` made, which a "
            "deploy with other images would remove",
            "Give one image of that repository, with its tag, for both jobs, or run "
            "`ftm build --push`.",
        )
    return tag
