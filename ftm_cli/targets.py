"""Where a command works: this machine or the pinned account, and which folder or bucket."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.storage import Storage, open_storage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from ftm_cli.operations.aws.session import AwsSession

DEFAULT_DATA = "data"
TARGETS = ("local", "aws")


def chosen_target(target: str | None) -> str:
    """``local`` or ``aws``: as asked for, else aws when a profile is pinned."""
    if target is None:
        from ftm_cli.operations.aws.pin import read_pin

        return "local" if read_pin() is None else "aws"
    if target not in TARGETS:
        raise InputError(f"target {target}", "is not known", "Use local or aws.")
    return target


def open_data(
    data: str | None, *, target: str | None = None, session: AwsSession | None = None
) -> Storage:
    """Storage for ``--data``.

    Without it: the folder ``data`` here, or the deployed bucket once a profile is pinned. A bucket
    is reached with the pinned identity only.
    """
    if data is None:
        if chosen_target(target) == "local":
            return open_storage(str(Path(DEFAULT_DATA)))
        from ftm_cli.operations.aws.outputs import deployed_bucket

        data = f"s3://{deployed_bucket()}"

    def client() -> S3Client:
        from ftm_cli.operations.aws.session import pinned_session

        found: S3Client = (session or pinned_session()).client("s3")
        return found

    return open_storage(data, s3_client=client)


def chosen_quarter(storage: Storage, quarter: str | None) -> Quarter:
    """The quarter asked for, else the latest one with themes; raises InputError without any."""
    from ftm_core.contracts import keys

    if quarter:
        return Quarter.parse(quarter)
    found = keys.quarters_in(list(storage.list("processed/themes/")))
    if not found:
        raise InputError(
            storage.uri, "holds no quarter yet", "Run `ftm run --quarter Q` first, or name --data."
        )
    return found[-1]
