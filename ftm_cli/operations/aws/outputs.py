"""What a deploy left to know: the bucket, from the project file or from Terraform's outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ftm_cli.operations.aws.project_file import read_table, write_table
from ftm_cli.operations.costs import DEFAULT_INSTANCE
from ftm_cli.operations.deployment_files import existing_modules
from ftm_cli.operations.terraform import TerraformModule
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.settings import PROJECT_FILE

DEPLOY_TABLE = "aws.deploy"


def deployed_bucket() -> str:
    """Name of the data bucket; raises InputError when nothing says it.

    The project file's value is the one that the deploy was given; without it the outputs of the
    state machine's module are read, then those of the jobs.
    """
    configured = read_table(Path(PROJECT_FILE), DEPLOY_TABLE).get("s3_bucket_name")
    if configured:
        return str(configured)
    root = existing_modules()
    for name in ("stepfunctions", "batch"):
        folder = root / name if root else None
        if folder and folder.is_dir():
            bucket = TerraformModule(folder).outputs().get("s3_bucket_name")
            if bucket:
                return str(bucket)
    raise InputError(
        "The data bucket",
        "is named neither in ftm.toml nor by a deploy in this folder",
        "Run `ftm deploy --bucket NAME`, or give `--data s3://NAME`.",
    )


def deployed_instance_type() -> str:
    """Instance type of vLLM as ftm.toml has it for the ecs module, else the module's default."""
    variables = read_table(Path(PROJECT_FILE), f"{DEPLOY_TABLE}.variables.ecs")
    return str(variables.get("instance_type") or DEFAULT_INSTANCE)


def remember(values: dict[str, Any], path: Path | None = None) -> None:
    """Keep values of a deploy in the project file, beside those already there."""
    path = path or Path(PROJECT_FILE)
    kept = {
        name: value
        for name, value in read_table(path, DEPLOY_TABLE).items()
        if not isinstance(value, dict)
    }
    if kept | values != kept:
        write_table(path, DEPLOY_TABLE, kept | values)
