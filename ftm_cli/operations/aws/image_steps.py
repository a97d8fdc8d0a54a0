"""Images for the deployed jobs: built and pushed (option A), or given by URI (option B)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ftm_cli.operations.aws.errors import AwsMissingError, translated
from ftm_cli.operations.aws.outputs import remember
from ftm_cli.operations.aws.session import AwsSession
from ftm_cli.operations.deploy import DeploySettings, module_outputs
from ftm_cli.operations.images import (
    KINDS,
    Build,
    ImageUris,
    build_images,
    content_tag,
    log_in,
    missing_images,
    push_images,
    registry_name,
)
from ftm_cli.operations.tools import docker_version
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.events import Listener, ignore


@dataclass(frozen=True)
class ImagePlan:
    """What `ftm build` will do, or has done: which images, and what of it is new."""

    tag: str | None
    map_image_uri: str
    reduce_image_uri: str
    build: bool
    push: bool
    record: bool

    def as_json(self) -> dict[str, Any]:
        """The documented JSON shape of `ftm build`."""
        return asdict(self)


def plan_build(build: Build) -> ImagePlan:
    """Images built here and left here. Raises InputError outside ftm's source."""
    tag = content_tag(_in_source(build))
    return ImagePlan(
        tag, f"ftm-map:{tag}", f"ftm-reduce:{tag}", build=True, push=False, record=False
    )


def plan_push(session: AwsSession, build: Build) -> ImagePlan:
    """Images pushed to the account's registry, unless they lie there already.

    Raises InputError where the repositories do not exist.
    """
    tag = content_tag(_in_source(build))
    ecr = session.client("ecr")
    names = [f"ftm-{kind}" for kind in KINDS]
    try:
        with translated("image repositories", session.pin.profile):
            ecr.describe_repositories(repositoryNames=names)
    except AwsMissingError as error:
        raise InputError(
            f"image repositories {' and '.join(names)}",
            f"do not exist in account {session.pin.account_id}",
            "Run `ftm deploy --only batch` first: it makes them.",
        ) from error
    registry = registry_name(session.pin.account_id, session.pin.region)
    uris = ImageUris(f"{registry}/ftm-map:{tag}", f"{registry}/ftm-reduce:{tag}")
    new = bool(missing_images(ecr, uris))
    return ImagePlan(tag, uris.map, uris.reduce, build=new, push=new, record=True)


def plan_given(session: AwsSession, settings: DeploySettings, uris: ImageUris) -> ImagePlan:
    """Images that lie in a registry; raises InputError for one that does not.

    Images in the repositories that a deploy of ours made stay ours, since a deploy with images of
    somebody else would remove those repositories. They must have one tag, or InputError is raised.
    """
    missing = missing_images(session.client("ecr"), uris)
    if missing:
        raise InputError(
            f"image {' and '.join(missing)}",
            "does not exist: nothing was recorded",
            "Ask whoever pushes the images for the right URI, tag included.",
        )
    tag = _tag_of_ours(_own_repositories(settings), uris)
    return ImagePlan(tag, uris.map, uris.reduce, build=False, push=False, record=True)


def perform(plan: ImagePlan, build: Build, listener: Listener = ignore) -> None:
    """Build, and no more: for a plan that pushes nothing."""
    docker_version()
    if plan.tag:
        build_images(build, plan.tag, listener)


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
        ecr = session.client("ecr")
        uris = {plan.map_image_uri, plan.reduce_image_uri}
        there = uris - set(
            missing_images(ecr, ImageUris(plan.map_image_uri, plan.reduce_image_uri))
        )
        local = build_images(build, plan.tag, listener)
        push_images(local, log_in(ecr, listener), plan.tag, listener, there_already=there)
    ours = plan.tag is not None and bool(_own_repositories(settings))
    values: dict[str, Any] = {
        "use_external_images": not ours,
        "map_image_uri": plan.map_image_uri,
        "reduce_image_uri": plan.reduce_image_uri,
    }
    remember(values | ({"image_tag": plan.tag} if plan.tag else {}))


def _own_repositories(settings: DeploySettings) -> Mapping[str, str]:
    """Repositories that a deploy of ours made, by the job whose image they hold."""
    repositories: Mapping[str, str] = module_outputs(settings, "batch").get(
        "image_repository_urls", {}
    )
    return repositories


def _tag_of_ours(own: Mapping[str, str], uris: ImageUris) -> str | None:
    given = {"map": uris.map, "reduce": uris.reduce}
    inside = [uri for uri in given.values() if re.split(r"[:@]", uri)[0] in own.values()]
    if not inside:
        return None
    tag = uris.map.rpartition(":")[2]
    if given != {kind: f"{repository}:{tag}" for kind, repository in own.items()}:
        raise InputError(
            f"image {' and '.join(inside)}",
            "lies in a repository that `ftm deploy` made, and would remove for images of others",
            "Give both images of one tag from there, or run `ftm build --push`.",
        )
    return tag


def _in_source(build: Build) -> Build:
    dockerfile = build.root / "infra" / "containers" / "map" / "Dockerfile"
    if not dockerfile.is_file():
        raise InputError(str(dockerfile), "is not here", "Run the command in ftm's source folder.")
    return build
