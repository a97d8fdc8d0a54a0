"""What an error of the AWS libraries means: one table of codes and classes for all of ftm."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

import botocore.exceptions as boto
from botocore.parsers import ResponseParserError

# What a call of a client raises; these families share no base class below Exception.
CALL_ERRORS = (boto.BotoCoreError, boto.ClientError, ResponseParserError)


class AwsErrorKind(Enum):
    """What an error means for whoever meets it."""

    LOGIN = auto()
    CLOCK = auto()
    FORBIDDEN = auto()
    MISSING = auto()
    BUSY = auto()
    UNREACHABLE = auto()
    OTHER = auto()


_LOGIN_CODES = frozenset(
    {
        "AuthFailure", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature",
        "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidSignatureException", "InvalidToken",
        "MissingAuthenticationToken", "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch", "TokenRefreshRequired", "UnauthorizedException",
        "UnrecognizedClientException",
    }
)  # fmt: skip
_CLOCK_CODES = frozenset({"RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed"})
# What AWS says under a code that has other causes as well.
_CLOCK_MESSAGES = ("signature expired", "not yet current", "request has expired", "clock skew")
_FORBIDDEN_CODES = frozenset(
    {
        "403", "AccessDenied", "AccessDeniedException", "AccountProblem", "AllAccessDisabled",
        "AuthorizationError", "AuthorizationErrorException", "NotAuthorized", "OptInRequired",
        "UnauthorizedOperation",
    }
)  # fmt: skip
_MISSING_CODES = frozenset(
    {
        "404", "ClusterNotFoundException", "ExecutionDoesNotExist", "ImageNotFoundException",
        "NoSuchBucket", "NoSuchEntity", "NoSuchKey", "NotFound", "NotFoundException",
        "ParameterNotFound", "RepositoryNotFoundException", "ResourceNotFoundException",
        "ServiceNotFoundException", "StateMachineDoesNotExist", "TargetGroupNotFound",
        "EntityNotFoundException", "LoadBalancerNotFound",
    }
)  # fmt: skip
_BUSY_CODES = frozenset(
    {
        "BandwidthLimitExceeded", "ConditionalRequestConflict", "InternalError", "InternalFailure",
        "InternalServerError", "InternalServerException", "LimitExceededException",
        "OperationAborted", "PriorRequestNotComplete", "ProvisionedThroughputExceededException",
        "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException", "RequestTimeout",
        "RequestTimeoutException", "ScalingActivityInProgress", "ServerException",
        "ServiceUnavailable", "ServiceUnavailableException", "SlowDown", "Throttling",
        "ThrottledException", "ThrottlingException", "TooManyRequestsException",
    }
)  # fmt: skip
_UNREACHABLE_CLASSES = (
    boto.HTTPClientError,
    boto.ConnectionError,
    boto.IncompleteReadError,
    boto.ChecksumError,
    boto.FlexibleChecksumError,
    boto.CapacityNotAvailableError,
    boto.MetadataRetrievalError,
    # An answer that is not AWS's: a proxy's or a load balancer's page.
    ResponseParserError,
)
_LOGIN_CLASSES = (
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
    boto.InfiniteLoopConfigError,
    # Where a way to log in needs a package that is not installed.
    boto.MissingDependencyException,
)


def classify(error: BaseException) -> AwsErrorKind:
    """What ``error``, raised by botocore or by a provider of credentials, means."""
    if isinstance(error, boto.ClientError):
        return _of_response(error)
    if isinstance(error, _UNREACHABLE_CLASSES):
        return AwsErrorKind.UNREACHABLE
    if isinstance(error, _LOGIN_CLASSES):
        return AwsErrorKind.LOGIN
    return AwsErrorKind.OTHER


def error_code(error: BaseException | None) -> str:
    """AWS's code for a refused request, such as ``NoSuchKey``; empty for any other error."""
    return str(_details(error).get("Code", ""))


def error_message(error: BaseException) -> str:
    """AWS's words for a refused request, or the error's own."""
    return str(_details(error).get("Message", "")) or error_code(error) or str(error)


def http_status(error: BaseException) -> int:
    """The HTTP status of a refused request; 0 for any other error."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _of_response(error: boto.ClientError) -> AwsErrorKind:
    code, message, status = error_code(error), error_message(error).lower(), http_status(error)
    may_be_clock = code in _LOGIN_CODES | _FORBIDDEN_CODES
    if code in _CLOCK_CODES or (may_be_clock and any(sign in message for sign in _CLOCK_MESSAGES)):
        return AwsErrorKind.CLOCK
    for codes, kind in (
        (_LOGIN_CODES, AwsErrorKind.LOGIN),
        (_FORBIDDEN_CODES, AwsErrorKind.FORBIDDEN),
        (_MISSING_CODES, AwsErrorKind.MISSING),
        (_BUSY_CODES, AwsErrorKind.BUSY),
    ):
        if code in codes:
            return kind
    return AwsErrorKind.BUSY if status == 429 or status >= 500 else AwsErrorKind.OTHER


def _details(error: BaseException | None) -> dict[str, Any]:
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return dict(response.get("Error", {}))
