"""Errors of botocore and boto3 as storage errors: what is missing, refused, or worth a retry."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

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

# Their families share no base class below Exception.
LIBRARY_ERRORS: tuple[type[Exception], ...] = (
    boto.BotoCoreError,
    boto.ClientError,
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
    boto.HTTPClientError,
    boto.ConnectionError,
    boto.IncompleteReadError,
    boto.ChecksumError,
    boto.FlexibleChecksumError,
    boto.CapacityNotAvailableError,
    boto.MetadataRetrievalError,
    boto3.exceptions.RetriesExceededError,
    transfer.CancelledError,
    transfer.RetriesExceededError,
    urllib3.exceptions.HTTPError,
)
_LOGIN_ERRORS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.NoAuthTokenError,
    boto.TokenRetrievalError,
    boto.UnknownTokenProviderError,
    boto.UnknownCredentialError,
    boto.RefreshWithMFAUnsupportedError,
    boto.SSOError,
    boto.LoginError,
    boto.ProfileNotFound,
    boto.ConfigNotFound,
    boto.ConfigParseError,
    boto.InvalidConfigError,
)

_MISSING_CODES = frozenset({"NoSuchKey", "NotFound", "404"})
_LOGIN_CODES = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "UnrecognizedClientException",
    }
)
_FORBIDDEN_CODES = frozenset(
    {"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "AccountProblem", "403"}
)
_BUCKET_HINTS = {
    "NoSuchBucket": "Check the bucket's name and region, or create it.",
    "InvalidBucketName": "Give a bucket name that S3 allows.",
    "PermanentRedirect": "The bucket is in another region: set the right region.",
    "AuthorizationHeaderMalformed": "The bucket is in another region: set the right region.",
    "IllegalLocationConstraintException": "The bucket is in another region: set the right region.",
    "RequestTimeTooSkewed": "Set this machine's clock, which is minutes off.",
}
_BUSY_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "ConditionalRequestConflict",
        "InternalError",
        "OperationAborted",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)

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
    if isinstance(error, boto.ClientError):
        return _of_response(error, where)
    if isinstance(error, _LINK_ERRORS):
        return StorageRetryableError(where, f"was out of reach ({error})", _LATER_HINT)
    if isinstance(error, _LOGIN_ERRORS):
        return StorageAccessError(where, f"has no valid AWS login ({error})", _LOGIN_HINT)
    return StorageError(
        where,
        f"failed in the AWS library ({type(error).__name__}: {error})",
        "Check the AWS configuration of the pinned profile.",
    )


def error_code(error: BaseException | None) -> str:
    """S3's code for a refused request, such as ``NoSuchKey``; empty for any other error."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _of_response(error: boto.ClientError, where: str) -> StorageError:
    code = error_code(error)
    metadata: Any = error.response.get("ResponseMetadata", {})
    status = int(metadata.get("HTTPStatusCode", 0))
    said = f"{code or status}: {error.response.get('Error', {}).get('Message', error)}"
    if code in _MISSING_CODES:
        return ObjectMissingError(where, "does not exist", "Run the step that makes it first.")
    if code in _BUCKET_HINTS:
        return StorageAccessError(where, f"cannot be used ({said})", _BUCKET_HINTS[code])
    if code in _LOGIN_CODES:
        return StorageAccessError(
            where, f"was refused, the login is not valid ({said})", _LOGIN_HINT
        )
    if code in _FORBIDDEN_CODES:
        return StorageAccessError(
            where, f"was refused ({said})", "Ask for read and write access to this bucket."
        )
    if code in _BUSY_CODES or status == 429 or status >= 500:
        return StorageRetryableError(where, f"is overloaded or failing ({said})", _LATER_HINT)
    return StorageError(where, f"was refused ({said})", "Check the request against the bucket.")
