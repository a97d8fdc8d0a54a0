"""Bring together what one run on AWS needs: bucket, plan, vLLM and executions."""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

from ftm_cli.operations.aws.executions import Executions
from ftm_cli.operations.aws.outputs import deployed_bucket, deployed_instance_type
from ftm_cli.operations.aws.remote_run import RemoteRun
from ftm_cli.operations.aws.session import AwsSession
from ftm_cli.operations.aws.vllm import Vllm
from ftm_cli.operations.costs import read_prices
from ftm_cli.operations.plan import RunPlan, Scale, plan_run
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.events import Listener, ignore
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import PROJECT_FILE, resolve
from ftm_core.data.lease import new_run_name
from ftm_core.storage.s3 import S3Storage


def bucket_of(data: str | None) -> str:
    """The bucket that ``--data`` names, or the deployed one; a prefix or folder is refused."""
    if data is None:
        return deployed_bucket()
    bucket, _, prefix = data.removeprefix("s3://").partition("/")
    if not data.startswith("s3://") or not bucket or prefix.strip("/"):
        raise InputError(
            f"--data {data}", "is not a whole bucket", "On AWS give s3://BUCKET, or leave it out."
        )
    return bucket


def make_remote_run(
    session: AwsSession,
    quarter: str,
    data: str | None,
    *,
    scale: str = "auto",
    instances: int = 1,
    restart: bool = False,
    execution_name: str | None = None,
    listener: Listener = ignore,
) -> tuple[RemoteRun, RunPlan]:
    """A run ready to start, and its plan; reads the bucket, changes nothing."""
    if scale not in get_args(Scale):
        raise InputError(f"--scale {scale}", "is not known", "Use auto or none.")
    parsed = Quarter.parse(quarter)
    bucket = bucket_of(data)
    storage = S3Storage(session.client("s3"), bucket)
    settings = resolve(project_file=Path(PROJECT_FILE)).settings
    plan = plan_run(
        storage,
        parsed,
        read_prices(),
        bucket=bucket,
        execution_name=execution_name or new_run_name(parsed),
        scale=cast(Scale, scale),
        instances=instances,
        batch_size=settings.map.batch_size,
        restart=restart,
        instance_type=deployed_instance_type(),
    )
    run = RemoteRun(plan, Executions(session), Vllm(session), storage, listener=listener)
    return run, plan
