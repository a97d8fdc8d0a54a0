"""Errors of botocore as ours: not logged in, refused, missing, busy, each with what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ftm_core.contracts.errors import ExitCode, FtmError, InputError, RetryableError


class AwsError(FtmError):
    """AWS refused or failed a request."""


class AwsLoginError(AwsError, InputError):
    """Nobody is logged in, the login has expired, or it is somebody else's."""

    exit_code = ExitCode.USAGE


class AwsForbiddenError(AwsError, InputError):
    """The identity is right, but it may not do this."""

    exit_code = ExitCode.USAGE


class AwsMissingError(AwsError, InputError):
    """Something that a deploy makes is not there."""

    exit_code = ExitCode.USAGE


class AwsBusyError(AwsError, RetryableError):
    """AWS throttled, or was out of reach after botocore's own retries."""

    exit_code = ExitCode.RETRYABLE


class CapacityError(AwsBusyError):
    """AWS has no instance to give now, or the account's quota is used up."""


LOGIN_CODES = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "UnrecognizedClientException",
        "AuthFailure",
    }
)
_FORBIDDEN_CODES = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "NotAuthorized"}
)
_MISSING_CODES = frozenset(
    {
        "StateMachineDoesNotExist",
        "ExecutionDoesNotExist",
        "ClusterNotFoundException",
        "ServiceNotFoundException",
        "ResourceNotFoundException",
        "RepositoryNotFoundException",
        "ParameterNotFound",
        "TargetGroupNotFound",
        "NoSuchBucket",
        "404",
    }
)
_BUSY_CODES = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServerException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "ScalingActivityInProgress",
    }
)

REPEAT = ", then repeat."
LOGIN_HINT = "Log in again (for example `aws sso login --profile {profile}`)" + REPEAT
_DEPLOY_HINT = "Run `ftm deploy` first; `ftm validate` shows what is missing."
_LATER_HINT = "Run the same command again in a minute."


@contextlib.contextmanager
def translated(where: str, profile: str = "PROFILE") -> Iterator[None]:
    """Turn any error of botocore into one of ours that names ``where``."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise translate(error, where, profile) from error


def translate(error: Exception, where: str, profile: str = "PROFILE") -> AwsError:
    """The error that says what botocore's ``error`` means here."""
    import botocore.exceptions as boto

    login_hint = LOGIN_HINT.format(profile=profile)
    if isinstance(error, boto.ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        message = str(error.response.get("Error", {}).get("Message", "")) or code
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in LOGIN_CODES:
            return AwsLoginError(where, f"has no valid AWS login ({code}: {message})", login_hint)
        if code in _FORBIDDEN_CODES:
            return AwsForbiddenError(
                where, f"is not allowed ({message})", "Ask the administrator for this right."
            )
        if code in _MISSING_CODES:
            return AwsMissingError(where, f"does not exist ({message})", _DEPLOY_HINT)
        if code in _BUSY_CODES or status >= 500:
            return AwsBusyError(where, f"is busy ({code}: {message})", _LATER_HINT)
        return AwsError(where, f"failed ({code}: {message})", "Run `ftm doctor`.")
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError):
        return AwsBusyError(where, f"was out of reach ({error})", _LATER_HINT)
    if isinstance(
        error,
        boto.NoCredentialsError
        | boto.PartialCredentialsError
        | boto.CredentialRetrievalError
        | boto.TokenRetrievalError
        | boto.NoAuthTokenError
        | boto.SSOError
        | boto.ProfileNotFound
        | boto.ConfigNotFound
        | boto.ConfigParseError
        | boto.InvalidConfigError,
    ):
        return AwsLoginError(where, f"has no AWS login ({error})", login_hint)
    return AwsError(where, f"failed ({error})", "Run the command again with `ftm --debug`.")
