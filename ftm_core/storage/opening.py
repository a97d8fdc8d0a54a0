"""Open the storage that a URI names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ftm_core.contracts.errors import InputError
from ftm_core.contracts.extras import require_extra
from ftm_core.storage.base import Storage
from ftm_core.storage.local import LocalStorage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# What storage in a bucket imports.
S3_MODULES = ("boto3", "botocore", "s3transfer", "urllib3")


def open_storage(uri: str, *, s3_client: Callable[[], S3Client] | None = None) -> Storage:
    """Storage for a folder or ``s3://bucket[/prefix]``.

    ``s3_client`` makes the client when a bucket is named, so that local work never loads boto3.
    Raises InputError for any other scheme or a bucket without a client.
    """
    if uri.startswith("s3://"):
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        if not bucket:
            raise InputError(
                f"The URI {uri}", "names no bucket", "Write s3://bucket or s3://bucket/prefix."
            )
        if s3_client is None:
            raise InputError(
                f"The bucket {uri}",
                "needs AWS access",
                "Pin a profile with `ftm pin-profile NAME` first.",
            )
        # Jobs have these packages alone: the rest of the extra serves the command line.
        require_extra("aws", f"The bucket {bucket}", S3_MODULES)
        from ftm_core.storage.s3 import S3Storage

        return S3Storage(s3_client(), bucket, prefix)
    if not uri:
        raise InputError("The option --data", "is empty", "Pass a folder or s3://bucket.")
    if "://" in uri and not uri.startswith("file://"):
        raise InputError(
            f"The data location {uri}",
            "is neither a folder nor an s3:// URI",
            "Use one of these two.",
        )
    return LocalStorage(Path(uri.removeprefix("file://")))
