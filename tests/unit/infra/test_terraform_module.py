"""One module through Terraform itself, with its built-in resource alone: no cloud, no network."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ftm_cli.operations.terraform import (
    BACKEND_FILE,
    Counts,
    StateBucket,
    TerraformError,
    TerraformModule,
)
from ftm_core.contracts.errors import ExitCode, InputError
from ftm_core.contracts.events import Event, StageAdvanced, StageFinished, StageStarted
from tests.fakes.needs import skip_or_fail

MODULE = """
variable "names" { type = set(string) }
variable "fails" {
  type    = bool
  default = false
}
resource "terraform_data" "each" {
  for_each = var.names
  input    = each.key
  lifecycle {
    precondition {
      condition     = !var.fails
      error_message = "It was made to fail."
    }
  }
}
output "names" { value = [for item in terraform_data.each : item.output] }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if shutil.which("terraform") is None:
        skip_or_fail("terraform is not installed")
    path = tmp_path / "example"
    path.mkdir()
    (path / "main.tf").write_text(MODULE, encoding="utf-8")
    return path


def test_a_plan_counts_and_an_apply_does_what_it_counted(folder: Path) -> None:
    first = TerraformModule(folder, {"names": ["one", "two"]})
    first.initialise()
    assert first.outputs() == {}
    events: list[Event] = []
    with first.plan() as plan:
        assert plan.counts == Counts(add=2)
        assert plan.changes_something
        first.apply(plan, events.append)
        scratch = plan.path
    assert not scratch.exists(), "a plan holds values and must not stay behind"
    assert first.outputs() == {"names": ["one", "two"]}
    assert events[0] == StageStarted("terraform example", 2, "resources")
    assert events.count(StageAdvanced("terraform example")) == 2
    assert isinstance(events[-1], StageFinished)

    with first.plan() as again:
        assert again.counts == Counts()
        assert not again.changes_something

    other = TerraformModule(folder, {"names": ["two", "three"]})
    with other.plan() as changed:
        assert changed.counts == Counts(add=1, destroy=1)
        assert set(changed.addresses) == {
            'terraform_data.each["one"]',
            'terraform_data.each["three"]',
        }
    with other.plan(destroy=True) as end:
        assert end.counts == Counts(destroy=2)
        other.apply(end)
    assert other.outputs() == {}


def test_a_failure_names_the_module_the_cause_and_what_to_do(folder: Path) -> None:
    module = TerraformModule(folder, {"names": ["one"], "fails": True})
    module.initialise()
    with pytest.raises(TerraformError) as caught, module.plan():
        pass
    assert caught.value.where == "The command `terraform plan` of the module example"
    assert "It was made to fail." in caught.value.cause
    assert caught.value.exit_code == ExitCode.UNEXPECTED


def test_state_in_a_bucket_is_locked_by_the_bucket(tmp_path: Path) -> None:
    bucket = StateBucket("some-state-bucket", "us-west-2", "research")
    assert bucket.configuration("ecs") == {
        "bucket": "some-state-bucket",
        "key": "ftm/terraform/ecs.tfstate",
        "region": "us-west-2",
        "use_lockfile": "true",
        "encrypt": "true",
        "profile": "research",
    }


def test_state_returns_from_the_bucket_when_none_is_given(folder: Path) -> None:
    (folder / BACKEND_FILE).write_text('terraform {\n  backend "s3" {}\n}\n', encoding="utf-8")
    TerraformModule(folder).initialise()
    assert not (folder / BACKEND_FILE).exists()


def test_without_terraform_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="not installed"):
        TerraformModule(tmp_path).initialise()
