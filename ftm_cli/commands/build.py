"""`ftm build`: the image of the jobs, built and pushed, or recorded where it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ftm_cli.options import DryRunOption, JsonOption

if TYPE_CHECKING:
    from ftm_cli.operations.aws.image_steps import ImagePlan


PushOption = Annotated[
    bool, typer.Option("--push", help="Push to the pinned account's registry (ECR).")
]
MapImageOption = Annotated[
    str | None,
    typer.Option("--map-image-uri", help="Image of the planning and map jobs, with tag or digest."),
]
ReduceImageOption = Annotated[
    str | None,
    typer.Option("--reduce-image-uri", help="Image of the reduce job, with tag or digest."),
]
ArgumentsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--build-arg",
        help="NAME=VALUE of the Dockerfile, such as DEVICE=cuda; may be repeated.",
        metavar="NAME=VALUE",
    ),
]
NetworkOption = Annotated[
    str | None, typer.Option("--network", help="Network of the build, such as host.")
]


def build_command(
    push: PushOption = False,
    map_image_uri: MapImageOption = None,
    reduce_image_uri: ReduceImageOption = None,
    build_arguments: ArgumentsOption = None,
    network: NetworkOption = None,
    dry_run: DryRunOption = False,
    json_output: JsonOption = False,
) -> None:
    """Build the image of all jobs, tagged by its content; with --push, push it to ECR.

    The image is built for linux/amd64 from the files of this installation, in any folder. It takes
    PyTorch's CPU build from PyTorch's own package index; the build arguments TORCH_CPU_INDEX_URL
    and, with DEVICE=cuda, TORCH_CUDA_INDEX_URL name another one. Content that was pushed before is
    neither built nor pushed again.

    Images of somebody else need no build: give both URIs, and they are recorded in ftm.toml under
    [aws.deploy] if they exist. `ftm deploy` reads them there.

    JSON: `ftm schema build`.

    Examples:

        ftm build --push

        ftm build --map-image-uri 123456789012.dkr.ecr.us-west-2.amazonaws.com/ours:v7
        --reduce-image-uri 123456789012.dkr.ecr.us-west-2.amazonaws.com/ours:v7
    """
    from ftm_cli.console import print_json, say
    from ftm_cli.operations.aws import image_steps
    from ftm_cli.operations.aws.deployment import build_of, deploy_settings
    from ftm_cli.operations.aws.pin import read_pin
    from ftm_cli.operations.aws.waiting import stopped_by_signals
    from ftm_cli.operations.images import Build, ImageUris
    from ftm_cli.progress import progress_listener
    from ftm_cli.results.setup import BuildReport
    from ftm_cli.views.target import pinned_session
    from ftm_core.contracts.errors import InputError

    uris = [uri for uri in (map_image_uri, reduce_image_uri) if uri]
    arguments = _arguments(build_arguments or [])
    if len(uris) == 1 or (uris and (push or arguments or network)):
        raise InputError(
            "The command `ftm build`",
            "takes both image URIs and nothing to build, or no image URI",
            "Give --map-image-uri and --reduce-image-uri, or --push.",
        )
    if not (uris or push):
        pin = read_pin()
        build = (
            build_of(deploy_settings(pin, bucket_needed=False), arguments, network)
            if pin
            else Build(arguments, network)
        )
        plan = image_steps.plan_build(build)
        if not dry_run:
            with progress_listener() as listener, stopped_by_signals():
                image_steps.perform(plan, build, listener)
    else:
        session = pinned_session()
        settings = deploy_settings(session.pin, bucket_needed=False)
        build = build_of(settings, arguments, network)
        plan = (
            image_steps.plan_given(session, settings, ImageUris(*uris))
            if uris
            else image_steps.plan_push(session, build)
        )
        if not dry_run:
            with progress_listener() as listener, stopped_by_signals():
                image_steps.perform_in_account(session, settings, plan, build, listener)
    if json_output:
        print_json(BuildReport.model_validate(plan).as_json())
    else:
        _show(plan, dry_run=dry_run)
        if plan.record and not dry_run:
            say("Recorded in ftm.toml. Next: ftm deploy")
        elif not dry_run:
            say("The image is on this machine. Next: ftm build --push")


def _arguments(given: Sequence[str]) -> dict[str, str]:
    from ftm_core.contracts.errors import InputError

    for text in given:
        if not text.partition("=")[0] or "=" not in text:
            raise InputError(
                f"The build argument {text}",
                "does not have the form NAME=VALUE",
                "Write for example DEVICE=cuda.",
            )
    return {text.partition("=")[0]: text.partition("=")[2] for text in given}


def _show(plan: ImagePlan, *, dry_run: bool) -> None:
    from ftm_cli.console import print_table

    will = "would be " if dry_run else ""
    done = [word for word, true in (("built", plan.build), ("pushed", plan.push)) if true]
    state = will + " and ".join(done) if done else "there already"
    rows = [("map", plan.map_image_uri, state), ("reduce", plan.reduce_image_uri, state)]
    print_table("Images", ("job", "image", ""), rows)
