"""Storage in an S3 bucket: whole-object uploads, conditional writes, reads that are checked."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
import uuid
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from ftm_core.contracts.errors import ObjectMissingError, StorageRetryableError
from ftm_core.storage.aws_errors import error_code
from ftm_core.storage.base import checked_key, checked_prefix
from ftm_core.storage.files import scratch_file
from ftm_core.storage.s3_errors import LIBRARY_ERRORS, translate, translated
from ftm_core.storage.s3_reading import RangedFile, read_whole

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

# One PUT up to this size; beyond it parts, so that a broken link repeats one part only.
_TRANSFER = TransferConfig(
    multipart_threshold=32 * 2**20, multipart_chunksize=16 * 2**20, max_concurrency=4
)
_WRITER = "ftm-writer"
_CONFLICT_ATTEMPTS = 5


def client_config() -> Config:
    """How every S3 client of ftm is made: standard retries of throttling, 5xx and lost links.

    Eight attempts back off for about a minute in all, with S3's own share of random waiting.
    """
    return Config(
        retries={"mode": "standard", "total_max_attempts": 8},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=32,
        tcp_keepalive=True,
    )


def default_client() -> S3Client:
    """A client with the credentials of the environment, a profile or the machine's role."""
    import boto3

    return boto3.client("s3", config=client_config())


class S3Storage:
    """Objects under ``prefix`` in ``bucket``, through a client made with ``client_config()``."""

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        prefix: str = "",
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._bucket = bucket
        stripped = prefix.strip("/")
        self._prefix = f"{checked_key(stripped)}/" if stripped else ""
        self._pause = pause

    @property
    def uri(self) -> str:
        """The bucket and prefix, as ``s3://bucket/prefix``."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def describe(self, key: str) -> str:
        """The object's ``s3://`` URI."""
        return f"s3://{self._bucket}/{self._key(key)}"

    def exists(self, key: str) -> bool:
        """Whether the object is there."""
        return self._listed(key) is not None

    def size(self, key: str) -> int:
        """Size of the object in bytes."""
        return self._existing(key)["Size"]

    def modified(self, key: str) -> dt.datetime:
        """When the object was last written, in UTC."""
        return self._existing(key)["LastModified"].astimezone(dt.UTC)

    def list(self, prefix: str) -> Iterator[str]:
        """Every key that starts with ``prefix``, page by page."""
        full = self._prefix + checked_prefix(prefix)
        with translated(f"s3://{self._bucket}/{full}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=full
            )
            source = iter(pages)
        while True:
            # Only the request is translated, not what the caller does between two keys.
            with translated(f"s3://{self._bucket}/{full}"):
                page = next(source, None)
            if page is None:
                return
            for item in page.get("Contents", []):
                yield item["Key"].removeprefix(self._prefix)

    def read(self, key: str) -> bytes:
        """The whole object, its length and checksum verified."""
        return self.read_versioned(key)[0]

    def read_versioned(self, key: str) -> tuple[bytes, str]:
        """The whole object and its ETag as its version."""
        return read_whole(
            self._client, self._bucket, self._key(key), where=self.describe(key), pause=self._pause
        )

    @contextlib.contextmanager
    def open_input(self, key: str) -> Iterator[pa.NativeFile]:
        """The object read by ranges.

        Through the same client, and so the same login, endpoint, retries and errors;
        ``pyarrow.fs.S3FileSystem`` would bring its own of each.
        """
        reader = RangedFile(
            self._client, self._bucket, self._key(key), where=self.describe(key), pause=self._pause
        )
        with pa.PythonFile(reader, mode="r") as source:
            yield source

    @contextlib.contextmanager
    def open_output(self, key: str) -> Iterator[IO[bytes]]:
        """A temporary local file, uploaded when the block ends cleanly."""
        where = self.describe(key)
        with scratch_file(where) as file:
            yield file
            file.seek(0)
            with translated(where):
                self._client.upload_fileobj(file, self._bucket, self._key(key), Config=_TRANSFER)

    def write(self, key: str, data: bytes) -> None:
        """Write or overwrite the object."""
        with translated(self.describe(key)):
            self._client.put_object(Bucket=self._bucket, Key=self._key(key), Body=data)

    def create(self, key: str, data: bytes) -> bool:
        """Write the object only if there is none."""
        return self._write_if(key, data, {"IfNoneMatch": "*"})

    def replace(self, key: str, data: bytes, *, version: str) -> bool:
        """Overwrite the object only if its ETag is still ``version``.

        The ETag is a checksum of the content, so an object that was changed and changed back
        counts as unchanged; so it does in a local folder.
        """
        return self._write_if(key, data, {"IfMatch": version})

    def delete(self, key: str) -> None:
        """Remove the object if it is there."""
        with translated(self.describe(key)):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(key))

    def _key(self, key: str) -> str:
        return self._prefix + checked_key(key)

    def _existing(self, key: str) -> ObjectTypeDef:
        """The entry of the object in the listing; raises ObjectMissingError."""
        found = self._listed(key)
        if found is None:
            raise ObjectMissingError(
                f"The file {self.describe(key)}",
                "does not exist",
                "Run the step that makes it first.",
            )
        return found

    def _listed(self, key: str) -> ObjectTypeDef | None:
        """Its entry in the listing; HEAD cannot tell a missing bucket from a missing key."""
        full = self._key(key)
        with translated(self.describe(key)):
            # The exact key sorts before every longer one that starts with it.
            found = self._client.list_objects_v2(Bucket=self._bucket, Prefix=full, MaxKeys=1)
        first = next(iter(found.get("Contents", [])), None)
        return first if first is not None and first["Key"] == full else None

    def _write_if(self, key: str, data: bytes, condition: dict[str, Any]) -> bool:
        """Write under ``condition``; whether this very call wrote."""
        where, writer = self.describe(key), uuid.uuid4().hex
        for attempt in range(_CONFLICT_ATTEMPTS):
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=self._key(key),
                    Body=data,
                    Metadata={_WRITER: writer},
                    **condition,
                )
            except ClientError as error:
                code = error_code(error)
                if code in {"PreconditionFailed", "412"}:
                    # A retry is refused by its own first attempt when only the answer was lost.
                    return self._writer_of(key) == writer
                if code in {"NoSuchKey", "404"} and "IfMatch" in condition:
                    return False
                if code not in {"ConditionalRequestConflict", "409"}:
                    raise translate(error, where) from error
                self._pause(0.1 * 2**attempt)
            except LIBRARY_ERRORS as error:
                raise translate(error, where) from error
            else:
                return True
        raise StorageRetryableError(
            f"The file {where}",
            "is being written by others without end",
            "Run the same command again later.",
        )

    def _writer_of(self, key: str) -> str | None:
        """Which conditional write made the object, if one did."""
        with translated(self.describe(key)):
            try:
                found = self._client.head_object(Bucket=self._bucket, Key=self._key(key))
            except ClientError as error:
                if error_code(error) in {"404", "NoSuchKey", "NotFound"}:
                    return None
                raise
        return found["Metadata"].get(_WRITER)
