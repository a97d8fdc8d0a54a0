"""What is deployed: options over ftm.toml over the modules' defaults, and settings for the jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftm_cli.operations.aws.deployment import deploy_settings, with_images
from ftm_cli.operations.deploy import MODULES, images_of
from ftm_cli.operations.deployment_files import source_root, terraform_modules
from ftm_cli.results.setup import Pin
from ftm_core.contracts.errors import InputError

PIN = Pin("research", "123456789012", "us-west-2")
BUCKET = '[aws.deploy]\ns3_bucket_name = "some-research-bucket"\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "infra" / "terraform").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "ftm.toml"


def test_options_win_over_the_file_and_the_pin_is_always_there(project: Path) -> None:
    project.write_text(BUCKET + 'llm_base_url = "https://llm.example.org/v1"\n')
    settings = deploy_settings(PIN, {"s3_bucket_name": "another-bucket", "llm_base_url": None})
    assert settings.s3_bucket_name == "another-bucket"
    assert not settings.uses_vllm
    assert (settings.profile, settings.account_id) == (PIN.profile, PIN.account_id)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('buckets = "x"', "is not a value of a deployment"),
        ('enable_vllm = "yes"', "Write true or false"),
        ("image_tag = 7", "a text in quotes"),
        ('region = "eu-west-1"', "is not a value of a deployment"),
        ("[aws.deploy.variables.vpc]\nx = 1", "one of batch, ecs, stepfunctions"),
    ],
)
def test_a_wrong_value_is_named(project: Path, line: str, said: str) -> None:
    project.write_text(f"{BUCKET}{line}\n")
    with pytest.raises(InputError, match=said):
        deploy_settings(PIN)


def test_fault_26_only_changed_settings_reach_the_jobs(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_text(
        '[llm]\nmodel_name = "small/model"\nbase_url = "http://127.0.0.1:8000/v1"\n'
        "[map]\nbatch_size = 100\n[quality]\nmin_purity = 0.5\n"
        f"{BUCKET}[aws.deploy.variables.batch]\ncheckpoint_interval = 7\nmax_vcpus = 64\n"
    )
    monkeypatch.setenv("LLM_MAX_CONCURRENT", "3")
    monkeypatch.setenv("CHECKPOINT_INTERVAL", "20")
    monkeypatch.setenv("LLM_API_KEY", "secret")
    variables = deploy_settings(PIN).variables
    assert variables["batch"] == {
        "vllm_model": "small/model",
        "llm_max_concurrent": 3,
        "checkpoint_interval": 7,
        "max_vcpus": 64,
        "settings_environment": {"BATCH_SIZE": "100"},
    }
    assert variables["ecs"] == {"vllm_model": "small/model"}


def test_images_are_given_else_of_the_tag_else_of_the_content(project: Path) -> None:
    project.write_text(BUCKET)
    fresh = deploy_settings(PIN)
    with pytest.raises(InputError, match="ftm build"):
        images_of(fresh)
    registry = "123456789012.dkr.ecr.us-west-2.amazonaws.com"
    tagged = with_images(fresh)
    assert images_of(tagged).map == f"{registry}/ftm-worker:{tagged.image_tag}"
    project.write_text(BUCKET + 'image_tag = "v3"\n')
    assert images_of(with_images(deploy_settings(PIN))).reduce == f"{registry}/ftm-worker:v3"
    project.write_text(BUCKET + "use_external_images = true\n")
    with pytest.raises(InputError, match="ftm build"):
        with_images(deploy_settings(PIN))


def test_outside_the_source_modules_are_written_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ftm.toml").write_text(BUCKET)
    root = deploy_settings(PIN).terraform_root
    assert root == Path(".ftm/terraform")
    assert {path.name for path in root.iterdir() if path.is_dir()} >= set(MODULES)
    assert (root / "batch" / ".terraform.lock.hcl").is_file()
    assert (root / "stepfunctions/definitions/quarter_processor.asl.json.tftpl").is_file()
    assert (tmp_path / ".ftm" / ".gitignore").read_text() == "*\n"


def test_an_upgrade_renews_modules_and_keeps_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = terraform_modules() / "batch"
    kept = {"terraform.tfstate": "{}", "backend_override.tf": "", "my.auto.tfvars": "x = 1"}
    for name, content in kept.items():
        (folder / name).write_text(content)
    (folder / "main.tf").write_text("# of an older version")
    (folder / "gone.tf").write_text("# of an older version")
    (folder.parent / ".written-from").write_text("older")
    assert terraform_modules() / "batch" == folder
    assert not (folder / "gone.tf").exists()
    original = source_root() / "infra/terraform/batch/main.tf"
    assert (folder / "main.tf").read_text() == original.read_text()
    assert {name: (folder / name).read_text() for name in kept} == kept
