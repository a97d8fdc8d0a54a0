"""Reading S3 objects: whole with their checksum verified, or by ranges; broken bodies again."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ftm_core.contracts.errors import StorageError, StorageRetryableError
from ftm_core.storage.aws_errors import error_code
from ftm_core.storage.s3_errors import LIBRARY_ERRORS, translate

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from mypy_boto3_s3 import S3Client

READ_ATTEMPTS = 5
# Bytes asked for at least at once: a Parquet footer and, for most of our files, all the rest.
READ_AHEAD = 2**20

# A broken socket may surface as itself.
_BODY_ERRORS: tuple[type[Exception], ...] = (*LIBRARY_ERRORS, OSError)
_MD5 = re.compile(r'"?([0-9a-f]{32})"?')


def read_whole(
    client: S3Client, bucket: str, key: str, *, where: str, pause: Callable[[float], None]
) -> tuple[bytes, str]:
    """The object's bytes, verified, and its ETag.

    Raises ObjectMissingError, and StorageRetryableError when the body broke, or came damaged,
    ``READ_ATTEMPTS`` times.
    """
    response, data = _get(client, {"Bucket": bucket, "Key": key}, where=where, pause=pause)
    return data, response["ETag"]


class RangedFile(io.RawIOBase):
    """An object as a seekable file; each read is one ranged request, or none if read ahead.

    All reads are of one version: a replaced object raises StorageRetryableError.
    """

    def __init__(
        self, client: S3Client, bucket: str, key: str, *, where: str, pause: Callable[[float], None]
    ) -> None:
        super().__init__()
        self._client = client
        self._request: dict[str, Any] = {"Bucket": bucket, "Key": key}
        self._where = where
        self._pause = pause
        self._position = 0
        response, self._buffer = self._tail()
        whole = str(response.get("ContentRange", "")).rpartition("/")[2]
        self._size = int(whole) if whole else len(self._buffer)
        self._buffer_start = self._size - len(self._buffer)
        self._request["IfMatch"] = response["ETag"]

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to ``offset`` from the start, the position or the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """The position, in bytes."""
        return self._position

    def readinto(self, target: WriteableBuffer, /) -> int:
        """Fill ``target`` from the position on; fewer bytes only at the object's end."""
        view = memoryview(target).cast("B")
        length = min(len(view), self._size - self._position)
        if length <= 0:
            return 0
        start = self._position - self._buffer_start
        if start < 0 or start + length > len(self._buffer):
            self._fetch(self._position, max(length, READ_AHEAD))
            start = 0
        view[:length] = self._buffer[start : start + length]
        self._position += length
        return length

    def _fetch(self, position: int, length: int) -> None:
        end = min(position + length, self._size) - 1
        request = {**self._request, "Range": f"bytes={position}-{end}"}
        _, data = _get(self._client, request, where=self._where, pause=self._pause)
        if len(data) != end - position + 1:
            raise StorageError(
                f"The file {self._where}",
                f"gave {len(data)} bytes for the range {position}-{end}",
                "The store does not support requests for a range: use one that does.",
            )
        self._buffer, self._buffer_start = data, position

    def _tail(self) -> tuple[Any, bytes]:
        """The end of the object, with its size and ETag, in one request."""
        request = {**self._request, "Range": f"bytes=-{READ_AHEAD}"}
        try:
            return _get(self._client, request, where=self._where, pause=self._pause)
        except StorageError as error:
            # An empty object has no range that could be asked for.
            if error_code(error.__cause__) not in {"InvalidRange", "416"}:
                raise
            return _get(self._client, self._request, where=self._where, pause=self._pause)


def _get(
    client: S3Client, request: dict[str, Any], *, where: str, pause: Callable[[float], None]
) -> tuple[Any, bytes]:
    """One GET, asked again when its body breaks; errors before the body botocore has retried."""
    for attempt in range(READ_ATTEMPTS):
        if attempt:
            pause(0.2 * 2**attempt)
        try:
            response = client.get_object(**request)
        except ClientError as error:
            raise _refused(error, where) from error
        except LIBRARY_ERRORS as error:
            raise translate(error, where) from error
        broken: Exception
        try:
            with contextlib.closing(response["Body"]) as body:
                data = body.read()
        except _BODY_ERRORS as error:
            broken = error
            continue
        if "Range" in request or _matches(data, response):
            return response, data
        broken = ValueError("its content does not match its checksum")
    raise StorageRetryableError(
        f"The file {where}",
        f"could not be read whole in {READ_ATTEMPTS} attempts ({broken})",
        "Run the same command again later; finished work is kept.",
    ) from broken


def _refused(error: ClientError, where: str) -> StorageError:
    if error_code(error) in {"PreconditionFailed", "412"}:
        return StorageRetryableError(
            f"The file {where}", "was replaced while it was read", "Run the same command again."
        )
    return translate(error, where)


def _matches(data: bytes, response: Any) -> bool:
    """Whether the ETag agrees, where it is an MD5 of the content (not for parts or KMS keys)."""
    keyed = "SSEKMSKeyId" in response or "SSECustomerAlgorithm" in response
    md5 = None if keyed else _MD5.fullmatch(response["ETag"])
    return md5 is None or hashlib.md5(data, usedforsecurity=False).hexdigest() == md5.group(1)
