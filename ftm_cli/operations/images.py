"""The two container images: tagged by content, built, and pushed or checked where they lie."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from ftm_core.contracts.errors import FtmError, InputError
from ftm_core.contracts.events import Listener, Note, ignore

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

KINDS = ("map", "reduce")
DOCKERFILES = "infra/containers"

# What goes into an image, and so into its tag.
_SOURCES = ("requirements.lock", "infra/containers", "ftm_core")
_ECR = re.compile(
    r"^(?P<registry>(?P<account>\d{12})\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.[a-z]+)?)/"
    r"(?P<repository>[^:@]+)(:(?P<tag>[^@]+)|@(?P<digest>sha256:[0-9a-f]{64}))$"
)


class ImageError(FtmError):
    """Docker or the registry refused; nothing that was pushed before is lost."""


@dataclass(frozen=True)
class Build:
    """How images are built; ``arguments`` are those of the Dockerfiles, such as DEVICE."""

    root: Path
    arguments: Mapping[str, str] = field(default_factory=dict)
    network: str | None = None


@dataclass(frozen=True)
class ImageUris:
    """Where the two images lie, with tag or digest."""

    map: str
    reduce: str


def content_tag(build: Build) -> str:
    """Twelve hex digits that change with anything that goes into the images, arguments included."""
    digest = hashlib.sha256()
    for name, value in sorted(build.arguments.items()):
        digest.update(f"{name}={value}\0".encode())
    for path in _source_files(build.root):
        digest.update(f"{path.relative_to(build.root).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def build_images(build: Build, tag: str, listener: Listener = ignore) -> ImageUris:
    """Build both images as ``ftm-map:TAG`` and ``ftm-reduce:TAG``; the second shares layers.

    Raises InputError without Docker, ImageError with the last lines of a failed build.
    """
    names = {}
    for kind in KINDS:
        names[kind] = f"ftm-{kind}:{tag}"
        listener(Note(f"Building {names[kind]}"))
        command = ["build", "--tag", names[kind], "--file", f"{DOCKERFILES}/{kind}/Dockerfile"]
        for name, value in sorted(build.arguments.items()):
            command += ["--build-arg", f"{name}={value}"]
        if build.network:
            command += ["--network", build.network]
        _docker([*command, "."], folder=build.root, listener=listener)
    return ImageUris(**names)


def push_images(
    local: ImageUris,
    registry: str,
    tag: str,
    listener: Listener = ignore,
    *,
    there_already: Collection[str] = (),
) -> ImageUris:
    """Push both images to ``REGISTRY/ftm-map:TAG`` and ``REGISTRY/ftm-reduce:TAG``.

    URIs that are there already are left out: a repository refuses to change a tag.
    """
    pushed = {}
    for kind in KINDS:
        pushed[kind] = f"{registry}/ftm-{kind}:{tag}"
        if pushed[kind] in there_already:
            continue
        listener(Note(f"Pushing {pushed[kind]}"))
        _docker(["tag", getattr(local, kind), pushed[kind]])
        _docker(["push", pushed[kind]], listener=listener)
    return ImageUris(**pushed)


def log_in(ecr: ECRClient, listener: Listener = ignore) -> str:
    """Log Docker in to the account's ECR and return the registry's name.

    The password goes to Docker's standard input, never into a command line.
    """
    try:
        answer = ecr.get_authorization_token()["authorizationData"][0]
    except (ClientError, BotoCoreError) as error:
        raise ImageError(
            "ECR", f"gives no login ({error})", "Check the pinned profile with `ftm validate`."
        ) from error
    user, _, password = base64.b64decode(answer["authorizationToken"]).decode().partition(":")
    registry = answer["proxyEndpoint"].removeprefix("https://")
    listener(Note(f"Logging in to {registry}"))
    _docker(["login", "--username", user, "--password-stdin", registry], given=password)
    return registry


def registry_name(account_id: str, region: str) -> str:
    """Name of an account's own ECR registry."""
    ending = ".cn" if region.startswith("cn-") else ""
    return f"{account_id}.dkr.ecr.{region}.amazonaws.com{ending}"


def missing_images(ecr: ECRClient, uris: ImageUris) -> tuple[str, ...]:
    """Those of the two URIs that hold no image; raises InputError for one without a tag."""
    return tuple(uri for uri in (uris.map, uris.reduce) if not _exists(ecr, uri))


def _exists(ecr: ECRClient, uri: str) -> bool:
    parts = _ECR.match(uri)
    if parts is None:
        if not re.search(r"(:[\w][\w.-]*|@sha256:[0-9a-f]{64})$", uri):
            raise InputError(
                f"image {uri}", "has neither tag nor digest", "Name exactly one image."
            )
        return _docker(["manifest", "inspect", uri], check=False) == 0
    identifier = {"imageTag": parts["tag"]} if parts["tag"] else {"imageDigest": parts["digest"]}
    try:
        ecr.describe_images(
            registryId=parts["account"],
            repositoryName=parts["repository"],
            imageIds=[identifier],  # type: ignore[list-item]
        )
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in ("ImageNotFoundException", "RepositoryNotFoundException"):
            return False
        raise ImageError(
            f"image {uri}", f"cannot be looked up ({error})", "Check the rights of the profile."
        ) from error
    return True


def _source_files(root: Path) -> Iterator[Path]:
    for source in _SOURCES:
        path = root / source
        if path.is_file():
            yield path
        else:
            yield from sorted(
                file
                for file in path.rglob("*")
                if file.is_file() and "__pycache__" not in file.parts
            )


def _docker(
    arguments: Sequence[str],
    *,
    folder: Path | None = None,
    given: str | None = None,
    listener: Listener = ignore,
    check: bool = True,
) -> int:
    """Run Docker to its end, telling the listener each line it prints."""
    if shutil.which("docker") is None:
        raise InputError("docker", "is not installed", "Install Docker, or give image URIs.")
    process = subprocess.Popen(
        ["docker", *arguments],
        cwd=folder,
        stdin=subprocess.PIPE if given is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if given is not None and process.stdin is not None:
        process.stdin.write(given)
        process.stdin.close()
    last: list[str] = []
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.strip():
                last = [*last[-9:], line.rstrip()]
                listener(Note(line.rstrip()))
        code = process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    if check and code != 0:
        raise ImageError(
            f"docker {arguments[0]}",
            " / ".join(last) or f"ended with {code}",
            "Correct the cause and repeat the command: finished layers are kept.",
        )
    return code
