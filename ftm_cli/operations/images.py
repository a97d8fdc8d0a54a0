"""The container image of the jobs: tagged by its content, built, pushed, or looked up."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from ftm_cli.operations.aws.errors import translate
from ftm_cli.operations.deployment_files import image_files, write_build_context
from ftm_core.contracts.errors import FtmError, InputError
from ftm_core.contracts.events import Listener, Note, ignore
from ftm_core.storage.aws_errors import AwsErrorKind, classify
from ftm_core.version import COMMIT_VARIABLE, source_commit

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

IMAGE = "ftm-worker"
# All instance types of the jobs, and numba's code in the image, are for x86-64.
PLATFORM = "linux/amd64"
_DOCKERFILE = "infra/containers/Dockerfile"

_ECR = re.compile(
    r"^(?P<registry>(?P<account>\d{12})\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.[a-z]+)?)/"
    r"(?P<repository>[^:@]+)(:(?P<tag>[^@]+)|@(?P<digest>sha256:[0-9a-f]{64}))$"
)


class ImageError(FtmError):
    """Docker or the registry refused; nothing that was pushed before is lost."""


@dataclass(frozen=True)
class Build:
    """How the image is built; ``arguments`` are those of the Dockerfile, such as DEVICE."""

    arguments: Mapping[str, str] = field(default_factory=dict)
    network: str | None = None


@dataclass(frozen=True)
class ImageUris:
    """Where the images of the map and reduce jobs are, with tag or digest; usually one image."""

    map: str
    reduce: str

    @property
    def distinct(self) -> tuple[str, ...]:
        """Each image once."""
        return tuple(dict.fromkeys((self.map, self.reduce)))


def content_tag(build: Build, files: Mapping[str, Path] | None = None) -> str:
    """Twelve hex digits that change with anything that goes into the image.

    That is its platform, the arguments of its build and ``files``, which are those of this
    installation when left out. The commit does not count: a new one alone makes no new image.
    """
    digest = hashlib.sha256(f"{PLATFORM}\0".encode())
    for name, value in sorted(build.arguments.items()):
        digest.update(f"{name}={value}\0".encode())
    for name, path in sorted((image_files() if files is None else files).items()):
        content = path.read_bytes()
        if name == "pyproject.toml":
            content = _requirements(content)
        digest.update(f"{name}\0".encode())
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:12]


def build_image(build: Build, tag: str, listener: Listener = ignore) -> str:
    """Build the image and return its local name, ``ftm-worker:TAG``.

    Raises InputError without Docker, ImageError with the last lines of a failed build.
    """
    name = f"{IMAGE}:{tag}"
    listener(Note(f"Building {name} for {PLATFORM}"))
    command = ["build", "--platform", PLATFORM, "--tag", name, "--file", _DOCKERFILE]
    for argument, value in sorted({COMMIT_VARIABLE: source_commit(), **build.arguments}.items()):
        command += ["--build-arg", f"{argument}={value}"]
    if build.network:
        command += ["--network", build.network]
    # A folder with these files alone: nothing else can get into the image, wherever ftm is.
    with tempfile.TemporaryDirectory(prefix="ftm-image-") as folder:
        write_build_context(image_files(), Path(folder))
        _docker([*command, "."], folder=Path(folder), listener=listener)
    return name


def push_image(local: str, registry: str, listener: Listener = ignore) -> str:
    """Push a local image to the registry under the same name, and return its URI."""
    uri = f"{registry}/{local}"
    listener(Note(f"Pushing {uri}"))
    _docker(["tag", local, uri])
    _docker(["push", uri], listener=listener)
    return uri


def log_in(ecr: ECRClient, listener: Listener = ignore) -> str:
    """Log Docker in to the account's ECR and return the registry's name.

    The password goes to Docker's standard input, never into a command line.
    """
    try:
        answer = ecr.get_authorization_token()["authorizationData"][0]
    except (ClientError, BotoCoreError) as error:
        raise ImageError(
            "The registry ECR",
            f"gives no login ({error})",
            "Check the pinned profile with `ftm validate`.",
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
    """Those URIs that hold no image; raises InputError for one without a tag."""
    return tuple(uri for uri in uris.distinct if not _exists(ecr, uri))


def _exists(ecr: ECRClient, uri: str) -> bool:
    parts = _ECR.match(uri)
    if parts is None:
        if not re.search(r"(:[\w][\w.-]*|@sha256:[0-9a-f]{64})$", uri):
            raise InputError(
                f"The image {uri}",
                "has neither tag nor digest",
                "Name exactly one image with a tag or a digest.",
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
        if classify(error) is AwsErrorKind.MISSING:
            return False
        raise translate(error, f"The image {uri}") from error
    return True


def _requirements(project_file: bytes) -> bytes:
    """What of pyproject.toml the image depends on."""
    project = tomllib.loads(project_file.decode())["project"]
    return "\n".join(project["optional-dependencies"]["worker"]).encode()


def _docker(
    arguments: Sequence[str],
    *,
    folder: Path | None = None,
    given: str | None = None,
    listener: Listener = ignore,
    check: bool = True,
) -> int:
    """Run Docker to its end and report each line it prints to the listener."""
    if shutil.which("docker") is None:
        raise InputError(
            "Docker", "is not installed", "Install Docker, or give the URIs of images that exist."
        )
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
            f"The command `docker {arguments[0]}`",
            f"failed: {' / '.join(last) or f'it ended with code {code}'}",
            "Correct the cause and repeat the command: finished layers are kept.",
        )
    return code
