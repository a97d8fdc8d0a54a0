"""Images for the deployed jobs: built and pushed (option A), or given by URI (option B)."""

from __future__ import annotations

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


def plan_given(session: AwsSession, map_image_uri: str, reduce_image_uri: str) -> ImagePlan:
    """Images that lie in a registry; raises InputError for one that does not."""
    uris = ImageUris(map_image_uri, reduce_image_uri)
    missing = missing_images(session.client("ecr"), uris)
    if missing:
        raise InputError(
            f"image {' and '.join(missing)}",
            "does not exist: nothing was recorded",
            "Ask whoever pushes the images for the right URI, tag included.",
        )
    return ImagePlan(None, uris.map, uris.reduce, build=False, push=False, record=True)


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
    ours = plan.tag is not None and bool(
        module_outputs(settings, "batch").get("image_repository_urls")
    )
    values: dict[str, Any] = {
        "use_external_images": not ours,
        "map_image_uri": plan.map_image_uri,
        "reduce_image_uri": plan.reduce_image_uri,
    }
    remember(values | ({"image_tag": plan.tag} if plan.tag else {}))


def _in_source(build: Build) -> Build:
    dockerfile = build.root / "infra" / "containers" / "map" / "Dockerfile"
    if not dockerfile.is_file():
        raise InputError(str(dockerfile), "is not here", "Run the command in ftm's source folder.")
    return build
