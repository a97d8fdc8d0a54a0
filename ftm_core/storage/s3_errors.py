"""Errors of botocore and boto3 as storage errors: what is missing, refused, or worth a retry."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import boto3.exceptions
import botocore.exceptions as boto
import s3transfer.exceptions as transfer
import urllib3.exceptions

from ftm_core.contracts.errors import (
    ObjectMissingError,
    StorageAccessError,
    StorageError,
    StorageRetryableError,
)
from ftm_core.storage.aws_errors import (
    CALL_ERRORS,
    AwsErrorKind,
    classify,
    error_code,
    error_message,
    http_status,
)

# Their families share no base class below Exception.
LIBRARY_ERRORS: tuple[type[Exception], ...] = (
    *CALL_ERRORS,
    boto.UndefinedModelAttributeError,
    boto3.exceptions.Boto3Error,
    transfer.CancelledError,
    transfer.InvalidSubscriberMethodError,
    transfer.RetriesExceededError,
    transfer.S3CopyFailedError,
    transfer.S3DownloadFailedError,
    transfer.S3UploadFailedError,
    transfer.S3ValidationError,
    transfer.TransferNotDoneError,
    urllib3.exceptions.HTTPError,
)

_LINK_ERRORS = (
    boto3.exceptions.RetriesExceededError,
    transfer.CancelledError,
    transfer.RetriesExceededError,
    urllib3.exceptions.HTTPError,
)

_BUCKET_HINTS = {
    "NoSuchBucket": "Check the bucket's name and region, or create it.",
    "InvalidBucketName": "Give a bucket name that S3 allows.",
    "PermanentRedirect": "The bucket is in another region: set the right region.",
    "AuthorizationHeaderMalformed": "The bucket is in another region: set the right region.",
    "IllegalLocationConstraintException": "The bucket is in another region: set the right region.",
}

CLOCK_HINT = "Set the clock of this machine, which is minutes off, then repeat."
_LOGIN_HINT = "Log in again (for example `aws sso login`), or pin another profile."
_LATER_HINT = "Run the same command again later; finished work is kept."


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn any error of the AWS libraries into a StorageError naming ``where``."""
    try:
        yield
    except LIBRARY_ERRORS as error:
        raise translate(error, where) from error


def translate(error: Exception, where: str) -> StorageError:
    """The storage error that says what ``error`` means and what to do."""
    kind = classify(error)
    where = f"The {'file' if '/' in where.removeprefix('s3://') else 'bucket'} {where}"
    if isinstance(error, boto.ClientError):
        return _of_response(error, kind, where)
    if kind is AwsErrorKind.UNREACHABLE or isinstance(error, _LINK_ERRORS):
        return StorageRetryableError(where, f"could not be reached ({error})", _LATER_HINT)
    if kind is AwsErrorKind.LOGIN:
        return StorageAccessError(
            where, f"cannot be accessed without a valid AWS login ({error})", _LOGIN_HINT
        )
    return StorageError(
        where,
        f"could not be accessed: the AWS library failed ({type(error).__name__}: {error})",
        "Check the AWS configuration of the pinned profile.",
    )


def _of_response(error: boto.ClientError, kind: AwsErrorKind, where: str) -> StorageError:
    code = error_code(error)
    answer = f"{code or http_status(error)}: {error_message(error)}"
    if code in _BUCKET_HINTS:
        return StorageAccessError(where, f"cannot be accessed ({answer})", _BUCKET_HINTS[code])
    if kind is AwsErrorKind.MISSING:
        return ObjectMissingError(where, "does not exist", "Run the step that makes it first.")
    if kind is AwsErrorKind.CLOCK:
        cause = f"could not be accessed: AWS refused the time of this machine ({answer})"
        return StorageAccessError(where, cause, CLOCK_HINT)
    if kind is AwsErrorKind.LOGIN:
        return StorageAccessError(
            where, f"could not be accessed: AWS refused the login ({answer})", _LOGIN_HINT
        )
    if kind is AwsErrorKind.FORBIDDEN:
        return StorageAccessError(
            where,
            f"could not be accessed: AWS denied permission ({answer})",
            "Ask for read and write access to this bucket.",
        )
    if kind is AwsErrorKind.BUSY:
        cause = f"could not be accessed: AWS is overloaded or failing ({answer})"
        return StorageRetryableError(where, cause, _LATER_HINT)
    cause = f"could not be accessed: AWS refused the request ({answer})"
    return StorageError(where, cause, "Check the request against the bucket.")
