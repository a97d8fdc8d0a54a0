"""Images: built and pushed once for each content, or recorded where somebody else put them."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import pytest

from tests.fakes.aws_stage import ACCOUNT, REGION
from tests.fakes.small_modules import write_small_modules
from tests.integration.infra.conftest import required_tool

from .conftest import Project

REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
GIVEN = (
    *("--map-image-uri", f"{REGISTRY}/theirs-map:v7"),
    *("--reduce-image-uri", f"{REGISTRY}/theirs-reduce:v7"),
)
# Stands for Docker's command: it writes down what it is asked to do, password included.
DOCKER = '#!/bin/sh\necho "$@" >>"$0.log"\ncase "$*" in *stdin*) cat >>"$0.password" ;; esac\n'
DOCKER_OFF = "#!/bin/sh\necho Cannot connect to the Docker daemon at unix:///x.sock. >&2\nexit 1\n"


@pytest.fixture
def source(project: Project) -> Project:
    """A project with modules of its own, which apply in seconds."""
    required_tool("terraform")
    write_small_modules(project.folder)
    return project


def put_image(project: Project, repository: str, tag: str) -> None:
    ecr = project.stage.client("ecr")
    ecr.create_repository(repositoryName=repository)
    if tag:
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        blob = {"mediaType": "application/json", "size": 1, "digest": f"sha256:{'0' * 64}"}
        manifest = {"schemaVersion": 2, "mediaType": kind, "config": blob, "layers": [blob]}
        ecr.put_image(repositoryName=repository, imageTag=tag, imageManifest=json.dumps(manifest))


def with_docker(project: Project, script: str) -> dict[str, str]:
    """The environment with this script as Docker's command."""
    folder = project.folder / "bin"
    folder.mkdir()
    (folder / "docker").write_text(script, encoding="utf-8")
    (folder / "docker").chmod(0o755)
    return {"PATH": f"{folder}:{project.environment['PATH']}"}


def kept(project: Project) -> dict[str, Any]:
    table = tomllib.loads((project.folder / "ftm.toml").read_text())["aws"]["deploy"]
    assert isinstance(table, dict)
    return table


def test_given_images_are_recorded_once_they_are_found(source: Project) -> None:
    put_image(source, "theirs-map", "v7")
    missing = source.ftm("build", *GIVEN)
    assert missing.code == 2
    assert "theirs-reduce:v7" in missing.stderr
    assert "map_image_uri" not in kept(source)
    put_image(source, "theirs-reduce", "v7")
    ended = source.ftm("build", *GIVEN, "--json")
    assert ended.code == 0, ended.stderr
    assert ended.json["record"]
    assert not ended.json["build"]
    assert kept(source)["map_image_uri"] == f"{REGISTRY}/theirs-map:v7"
    assert kept(source)["use_external_images"] is True


def test_images_from_the_repositories_of_a_deploy_stay_there(source: Project) -> None:
    source.stage.fill_bucket()
    deployed = source.ftm("deploy", "--only", "batch", "--yes")
    assert deployed.code == 0, deployed.stderr
    put_image(source, "ftm-worker", "v7")
    put_image(source, "theirs-reduce", "v7")
    ours = f"{REGISTRY}/ftm-worker:v7"
    mixed = source.ftm("build", "--map-image-uri", ours, *GIVEN[2:])
    assert mixed.code == 2
    assert "would remove" in " ".join(mixed.stderr.split())
    ended = source.ftm("build", "--map-image-uri", ours, "--reduce-image-uri", ours)
    assert ended.code == 0, ended.stderr
    assert kept(source)["use_external_images"] is False
    assert kept(source)["image_tag"] == "v7"


def test_the_image_is_built_pushed_and_recorded(source: Project) -> None:
    docker = with_docker(source, DOCKER)
    nowhere = source.ftm("build", "--push", **docker)
    assert nowhere.code == 2
    assert "ftm deploy --only batch" in " ".join(nowhere.stderr.split())
    put_image(source, "ftm-worker", "")
    ended = source.ftm("build", "--push", "--json", **docker)
    assert ended.code == 0, ended.stderr
    tag = ended.json["tag"]
    uri = f"{REGISTRY}/ftm-worker:{tag}"
    assert ended.json == {
        "tag": tag,
        "map_image_uri": uri,
        "reduce_image_uri": uri,
        "build": True,
        "push": True,
        "record": True,
    }
    asked = (source.folder / "bin" / "docker.log").read_text().splitlines()
    words = [line.split()[0] for line in asked]
    assert words == "version build login tag push".split()
    assert asked[1].startswith(f"build --platform linux/amd64 --tag ftm-worker:{tag} ")
    assert re.search(r" --build-arg FTM_COMMIT=[0-9a-f]{12}", asked[1])
    assert asked[4] == f"push {uri}"
    password = (source.folder / "bin" / "docker.password").read_text()
    assert password
    assert password not in "".join(asked)
    # A repository that no deploy of ours made belongs to somebody else.
    assert kept(source)["use_external_images"] is True
    assert kept(source)["map_image_uri"] == uri


def test_the_same_content_is_not_pushed_twice(source: Project) -> None:
    docker = with_docker(source, DOCKER)
    tag = source.ftm("build", "--dry-run", "--json", **docker).json["tag"]
    put_image(source, "ftm-worker", tag)
    ended = source.ftm("build", "--push", "--json", **docker)
    assert (ended.json["build"], ended.json["push"]) == (False, False)
    assert not (source.folder / "bin" / "docker.log").exists()
    assert kept(source)["image_tag"] == tag


@pytest.mark.parametrize(
    ("script", "said"),
    [("", "Install Docker"), (DOCKER_OFF, "Start Docker")],
)
def test_without_docker_nothing_is_built(source: Project, script: str, said: str) -> None:
    path = with_docker(source, script) if script else {"PATH": "/nowhere"}
    ended = source.ftm("build", **path)
    assert ended.code == 2
    assert said in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr


def test_half_of_a_pair_and_mixed_ways_are_refused(source: Project) -> None:
    assert source.ftm("build", *GIVEN[:2]).code == 2
    assert source.ftm("build", *GIVEN, "--push").code == 2
    assert source.ftm("build", "--build-arg", "DEVICE").code == 2
