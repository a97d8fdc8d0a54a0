"""The preflight: every fault it is there to find is found, and says what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.fakes.aws_stage import ACCOUNT, REGION
from tests.fakes.small_modules import write_small_modules
from tests.integration.infra.conftest import required_tool

from .conftest import Ended, Project
from .test_build import put_image

REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
GPU_ON_DEMAND = "L-DB2E81BA"


@pytest.fixture
def ready(project: Project) -> Project:
    """A project that lacks nothing: modules, bucket, transcripts, images given by URI."""
    required_tool("terraform")
    write_small_modules(project.folder)
    project.stage.fill_bucket()
    lines = ["use_external_images = true"]
    for kind in ("map", "reduce"):
        put_image(project, f"theirs-{kind}", "v7")
        lines.append(f'{kind}_image_uri = "{REGISTRY}/theirs-{kind}:v7"')
    with (project.folder / "ftm.toml").open("a") as file:
        file.write("\n".join(lines) + "\n")
    return project


def failed(ended: Ended) -> dict[str, str]:
    """Next steps by failed check; a failed check makes the exit code 3 and names a next step."""
    found = {c["name"]: c["next_step"] for c in ended.json["checks"] if not c["passed"]}
    assert all(found.values())
    assert ended.json["passed"] is not bool(found)
    assert ended.code == (3 if found else 0), ended.stderr
    return found


def test_with_everything_there_all_checks_pass(ready: Project) -> None:
    ended = ready.ftm("validate", "-q", "2023Q1", "--json")
    assert not failed(ended)
    details = {check["name"]: check["detail"] for check in ended.json["checks"]}
    assert details["transcripts"] == "2023Q1: 5 firms, 50 sentences"
    assert "16 g5.xlarge" in details["quota for vLLM"]
    assert {"module batch", "module ecs", "module stepfunctions"} <= set(details)
    # A module may keep its state anywhere: Terraform left nothing in it.
    assert not list((ready.folder / "infra" / "terraform").glob("*/.terraform*"))


def test_each_fault_is_found_and_says_what_to_do(ready: Project) -> None:
    modules = ready.folder / "infra" / "terraform"
    (modules / "ecs" / "wrong.tf").write_text('output "x" { value = var.unknown }\n')
    (modules / "batch" / "ugly.tf").write_text("locals {\na=1\n}\n")
    ready.stage.set(vcpus={GPU_ON_DEMAND: 0})
    ready.stage.client("ecr").delete_repository(repositoryName="theirs-reduce", force=True)
    steps = failed(ready.ftm("validate", "-q", "2024Q1", "--json"))
    assert set(steps) == {
        "terraform fmt",
        "module ecs",
        "transcripts",
        "images",
        "quota for vLLM",
    }
    assert "terraform fmt -recursive" in steps["terraform fmt"]
    assert "ftm ingest" in steps["transcripts"]
    assert "ftm build" in steps["images"]
    assert GPU_ON_DEMAND in steps["quota for vLLM"]


def test_roles_of_an_administrator_must_be_there(ready: Project) -> None:
    """Fault A2: each missing role and instance profile is named."""
    with (ready.folder / "ftm.toml").open("a") as file:
        file.write("use_precreated_roles = true\n")
    rendered = ready.ftm("deploy", "--roles").json["roles"]
    iam = ready.stage.client("iam")
    for role in rendered:
        if role["kind"] == "deadman":
            continue
        iam.create_role(RoleName=role["name"], AssumeRolePolicyDocument=json.dumps(role["trust"]))
        if role["instance_profile"]:
            iam.create_instance_profile(InstanceProfileName=role["instance_profile"])
    ended = ready.ftm("validate", "--json")
    (check,) = (item for item in ended.json["checks"] if item["name"] == "roles")
    assert not check["passed"]
    assert "ftm-vllm-deadman-role" in check["detail"]
    assert "ftm-events-role" not in check["detail"]
    assert "ftm deploy --roles" in check["next_step"]


def test_without_a_login_the_rest_waits_for_it(ready: Project) -> None:
    ready.stage.set(expired=["all"])
    steps = failed(ready.ftm("validate", "--json"))
    assert list(steps) == ["AWS login"]
    assert "aws sso login --profile research" in steps["AWS login"]
    assert "bucket, images" in steps["AWS login"]
    ready.stage.set(expired=[], account="0" * 12)
    assert "ftm pin-profile" in failed(ready.ftm("validate", "--json"))["AWS login"]


def test_without_tools_or_a_bucket_the_next_step_is_named(project: Project) -> None:
    write_small_modules(project.folder)
    steps = failed(project.ftm("validate", "--json", PATH="/nowhere"))
    assert "Install Terraform 1.11" in steps["terraform"]
    assert "Install Docker" in steps["docker"]
    assert "ftm deploy --bucket" in steps["bucket"]
    shown = project.ftm("validate", PATH="/nowhere")
    assert shown.code == 3
    assert "Next: Install Terraform 1.11" in " ".join(shown.stdout.split())


@pytest.mark.models
def test_validate_local_checks_models_data_and_transcripts(
    unpinned: Project, tmp_path: Path
) -> None:
    lacking = unpinned.ftm("validate", "-q", "2023Q1", "--json")
    assert lacking.json["target"] == "local"
    assert list(failed(lacking)) == ["transcripts"]
    unpinned.stage.fill_bucket()
    key = "prefetch/transcripts/quarter=2023Q1/manifest.json"
    body = unpinned.stage.client("s3").get_object(Bucket="ftm-test-data", Key=key)["Body"].read()
    (tmp_path / "data" / key).parent.mkdir(parents=True)
    (tmp_path / "data" / key).write_bytes(body)
    assert not failed(unpinned.ftm("validate", "-q", "2023Q1", "--json"))
    # A chunk that the manifest names and nobody has.
    chunk = {"key": f"{key[:-13]}chunk_0000.parquet", "sha256": "0" * 64}
    counts = {"n_firms": 5, "n_sentences": 50}
    manifest = json.loads(body) | {"chunks": [chunk | counts]}
    (tmp_path / "data" / key).write_text(json.dumps(manifest))
    shutil.rmtree(tmp_path / "infra", ignore_errors=True)
    ended = unpinned.ftm("validate", "-q", "2023Q1", "--json", LLM_BASE_URL="http://127.0.0.1:9/v1")
    assert set(failed(ended)) == {"transcripts", "LLM"}
