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


REPEAT = ", then repeat."
LOGIN_HINT = "Log in again (for example `aws sso login --profile {profile}`)" + REPEAT
CLOCK_HINT = "Set the clock of this machine, which is minutes off" + REPEAT
_CRT_HINT = "Install ftm again with its extra: pip install 'ftm[aws]'."
_DEPLOY_HINT = "Run `ftm deploy` first; `ftm validate` shows what is missing."
_LATER_HINT = "Run the same command again in a minute."


@contextlib.contextmanager
def translated(where: str, profile: str = "PROFILE") -> Iterator[None]:
    """Turn any error of botocore into one of ours that names ``where``."""
    from ftm_core.storage.aws_errors import CALL_ERRORS

    try:
        yield
    except CALL_ERRORS as error:
        raise translate(error, where, profile) from error


@contextlib.contextmanager
def logging_in(profile: str) -> Iterator[None]:
    """Turn any error of a credentials provider into an AwsLoginError.

    A broken credential_process, cache or token file ends in Python's own errors, and an MFA code
    asked for without a terminal in EOFError.
    """
    from ftm_core.storage.aws_errors import CALL_ERRORS

    where = f"The profile {profile}"
    try:
        yield
    except CALL_ERRORS as error:
        raise translate(error, where, profile) from error
    except EOFError as error:
        raise AwsLoginError(
            where,
            "asks for an MFA code, but there is no terminal to type it in",
            "Run the command in a terminal, or use a profile with temporary credentials.",
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise AwsLoginError(
            where,
            f"could not log in ({type(error).__name__}: {error})",
            f"Correct what [profile {profile}] of your AWS configuration names, such as its "
            f"credential_process. `aws sts get-caller-identity --profile {profile}` must work.",
        ) from error


def translate(error: Exception, where: str, profile: str = "PROFILE") -> AwsError:
    """The error that says what botocore's ``error`` means here."""
    from botocore.exceptions import ClientError, MissingDependencyException

    from ftm_core.storage.aws_errors import AwsErrorKind, classify, error_code, error_message

    kind = classify(error)
    login_hint = LOGIN_HINT.format(profile=profile)
    is_answer = isinstance(error, ClientError)
    code, message = error_code(error), error_message(error)
    # What a credential_process prints may have several lines.
    words = " ".join(str(error).split())
    if kind is AwsErrorKind.CLOCK:
        return AwsLoginError(
            where,
            f"could not be accessed: AWS refused the time of this machine ({code}: {message})",
            CLOCK_HINT,
        )
    if kind is AwsErrorKind.LOGIN:
        if isinstance(error, MissingDependencyException):
            return AwsLoginError(
                where, f"cannot be accessed without an AWS login ({words})", _CRT_HINT
            )
        cause = f"cannot be accessed without a valid AWS login ({code}: {message})"
        if not is_answer:
            cause = f"cannot be accessed without an AWS login ({words})"
        return AwsLoginError(where, cause, login_hint)
    if kind is AwsErrorKind.FORBIDDEN:
        return AwsForbiddenError(
            where,
            f"could not be accessed: AWS denied permission ({message})",
            "Ask the administrator for this right.",
        )
    if kind is AwsErrorKind.MISSING:
        return AwsMissingError(where, f"does not exist ({message})", _DEPLOY_HINT)
    if kind is AwsErrorKind.BUSY:
        return AwsBusyError(
            where, f"could not be accessed: AWS is busy ({code}: {message})", _LATER_HINT
        )
    if kind is AwsErrorKind.UNREACHABLE:
        return AwsBusyError(where, f"could not be reached ({words})", _LATER_HINT)
    if is_answer:
        return AwsError(
            where,
            f"could not be accessed: AWS refused the request ({code}: {message})",
            "Run `ftm doctor`, which looks for the cause.",
        )
    return AwsError(
        where, f"could not be accessed ({words})", "Run the command again with `ftm --debug`."
    )
