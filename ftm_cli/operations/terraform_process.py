"""Terraform as a process: one class for every call, free of the shell's Terraform variables."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from python_terraform import Terraform

from ftm_core.contracts.errors import InputError

# How Terraform runs on this machine; no other TF_ variable may say what it does.
_KEPT = (
    "TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_", "TF_LOG", "TF_REGISTRY_", "TF_TOKEN_",
    "TF_IN_AUTOMATION",
)  # fmt: skip


class CleanTerraform(Terraform):  # type: ignore[misc]
    """python-terraform without what other projects left in the shell or beside the module.

    TF_VAR_*, TF_CLI_ARGS*, TF_DATA_DIR, TF_REATTACH_PROVIDERS and the rest are taken away, and the
    workspace is the default one: what is deployed depends on ftm.toml alone.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        if shutil.which("terraform") is None:
            raise InputError(
                "Terraform",
                "is not installed",
                "Install Terraform 1.11 or later and put it on the PATH.",
            )
        self._given = {"TF_WORKSPACE": "default", **(variables or {})}
        super().__init__(working_dir=str(folder))

    def generate_cmd_string(self, cmd: str, *arguments: Any, **options: Any) -> list[str]:
        """The command line, which takes variables away with env(1) before Terraform starts."""
        prefix = ["env"]
        for name in sorted(os.environ):
            if name.startswith("TF_") and not name.startswith(_KEPT):
                prefix += ["-u", name]
        prefix += [f"{name}={value}" for name, value in self._given.items()]
        command: list[str] = super().generate_cmd_string(cmd, *arguments, **options)
        return prefix + command

    def read_state_file(self, file_path: str | None = None) -> None:
        """Nothing: a state is read by `terraform state pull`, wherever it is."""
