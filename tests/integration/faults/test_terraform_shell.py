"""The operator's shell never changes what is deployed or destroyed: with Terraform itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ftm_cli.operations.terraform import Counts, TerraformError, TerraformModule
from ftm_core.contracts.errors import InputError
from tests.fakes.needs import skip_or_fail

MODULE = """
variable "size" {
  type    = number
  default = 1
}
resource "terraform_data" "only" { input = var.size }
output "size" { value = terraform_data.only.output }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if shutil.which("terraform") is None:
        skip_or_fail("terraform is not installed")
    path = tmp_path / "batch"
    path.mkdir()
    (path / "main.tf").write_text(MODULE, encoding="utf-8")
    return path


@pytest.fixture
def deployed(folder: Path) -> TerraformModule:
    module = TerraformModule(folder, {})
    module.initialise()
    with module.plan() as plan:
        assert plan.counts == Counts(add=1)
        module.apply(plan)
    return module


def test_terraform_shell_variables_change_nothing(
    deployed: TerraformModule, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Class: shell variables of the operator's other projects.

    With each of them set the plan of what is deployed is empty, and destroy destroys. Further
    members that no report names: TF_CLI_ARGS_plan, and TF_DATA_DIR, which would make all modules
    share one backend.
    """
    variables = {
        "TF_WORKSPACE": "dev",
        "TF_VAR_size": "99",
        "TF_CLI_ARGS": "-no-such-flag",
        "TF_CLI_ARGS_plan": "-target=terraform_data.none -destroy",
        "TF_DATA_DIR": str(tmp_path / "shared"),
        "TF_REATTACH_PROVIDERS": '{"no": 1}',
    }
    for name, value in variables.items():
        with monkeypatch.context() as shell:
            shell.setenv(name, value)
            deployed.initialise()
            with deployed.plan() as plan:
                assert not plan.changes_something, name
            assert deployed.outputs() == {"size": 1}, name
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert deployed.holds_anything()
    assert deployed.validate() == "valid"
    with deployed.plan(destroy=True) as plan:
        assert plan.counts == Counts(destroy=1)
        deployed.apply(plan)
    assert not deployed.holds_anything()
    assert not (tmp_path / "shared").exists()
    assert os.environ["TF_WORKSPACE"] == "dev"


def test_terraform_stack_of_another_workspace_is_found(folder: Path) -> None:
    """Class: shell variables: a stack made under TF_WORKSPACE=dev by an earlier version is named.

    An empty workspace is no reason to stop. The remedy of the message is then carried out.
    """

    def terraform(*arguments: str, workspace: str = "dev") -> str:
        return subprocess.run(
            ["terraform", *arguments], cwd=folder, check=True, capture_output=True, text=True,
            env={**os.environ, "TF_WORKSPACE": workspace},
        ).stdout  # fmt: skip

    module = TerraformModule(folder, {})
    terraform("init", workspace="default")
    terraform("workspace", "new", "empty", workspace="")
    terraform("apply", "-auto-approve")
    with pytest.raises(InputError, match=r"resources .* workspace 'dev'") as refused:
        module.initialise()
    assert "stack.tfstate" in refused.value.hint

    (folder / "stack.tfstate").write_text(terraform("state", "pull"))
    terraform("state", "push", "stack.tfstate", workspace="default")
    terraform("workspace", "delete", "-force", "dev", workspace="default")
    module.initialise()
    with module.plan() as plan:
        assert not plan.changes_something


def test_terraform_damaged_state_file_is_no_fault_of_ours(folder: Path) -> None:
    """Class: files of other tools beside the module, further member: a state that is no JSON.

    python-terraform reads terraform.tfstate by itself and ended in a JSONDecodeError.
    """
    (folder / "terraform.tfstate").write_text("<<<<<<< HEAD\n")
    module = TerraformModule(folder, {})
    with pytest.raises(TerraformError, match="terraform"):
        module.initialise()


def test_terraform_lock_of_another_platform_is_explained() -> None:
    """Class (public report): the lock file has the provider's checksum for one platform alone."""
    from ftm_cli.operations.terraform import _failure

    cause = (
        "Error while installing hashicorp/aws v5.100.0: the current package for x doesn't match "
        "any of the checksums previously recorded in the dependency lock file"
    )
    assert "terraform providers lock" in " ".join(
        _failure("terraform init of batch", cause).hint.split()
    )
