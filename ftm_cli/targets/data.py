"""Which target and which data location a command works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftm_cli.targets.names import TargetName
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.storage import Storage, open_storage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from ftm_cli.operations.aws.session import AwsSession

DEFAULT_DATA = "data"


def chosen_target(target: str | None) -> TargetName:
    """The target asked for, else aws when a profile is pinned in this folder, else local."""
    if target is None:
        from ftm_cli.operations.aws.pin import read_pin

        return TargetName.LOCAL if read_pin() is None else TargetName.AWS
    try:
        return TargetName(target)
    except ValueError:
        known = " or ".join(TargetName)
        raise InputError(f"The target {target}", "is not known", f"Use {known}.") from None


def open_data(
    data: str | None, *, target: str | None = None, session: AwsSession | None = None
) -> Storage:
    """Storage for ``--data``.

    Without it: the folder ``data`` here, or the deployed bucket once a profile is pinned. A bucket
    is reached with the pinned identity only.
    """
    if data is None:
        if chosen_target(target) is not TargetName.AWS:
            return open_storage(DEFAULT_DATA)
        from ftm_cli.operations.aws.outputs import deployed_bucket

        data = f"s3://{deployed_bucket()}"

    def client() -> S3Client:
        from ftm_cli.operations.aws.session import pinned_session

        found: S3Client = (session or pinned_session()).client("s3")
        return found

    return open_storage(data, s3_client=client)


def chosen_quarter(storage: Storage, quarter: str | None) -> Quarter:
    """The quarter asked for, else the latest one with themes; raises InputError without any."""
    from ftm_core.data.listing import quarters_with_themes

    if quarter:
        return Quarter.parse(quarter)
    found = quarters_with_themes(storage)
    if not found:
        raise InputError(
            f"The data location {storage.uri}",
            "has no finished quarter yet",
            "Run `ftm run --quarter Q` first, or name --data.",
        )
    return found[-1]
