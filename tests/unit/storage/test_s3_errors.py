"""Every exception class of botocore, boto3 and s3transfer leaves the store as a StorageError."""

from __future__ import annotations

import inspect
import string
from collections.abc import Callable
from typing import Any

import boto3.exceptions
import botocore.exceptions
import pytest
import s3transfer.exceptions

from ftm_core.contracts.errors import (
    ExitCode,
    ObjectMissingError,
    StorageAccessError,
    StorageError,
    StorageRetryableError,
)
from ftm_core.storage.s3 import S3Storage


def exception_classes() -> list[type[Exception]]:
    modules = (botocore.exceptions, boto3.exceptions, s3transfer.exceptions)
    found = {
        kind
        for module in modules
        for kind in vars(module).values()
        # Warnings are shown, never raised, unless an operator makes errors of them.
        if inspect.isclass(kind) and issubclass(kind, Exception) and not issubclass(kind, Warning)
    }
    return sorted(found, key=lambda kind: f"{kind.__module__}.{kind.__name__}")


def instance(kind: type[Exception]) -> Exception:
    if issubclass(kind, botocore.exceptions.ClientError):
        return refusal("SomethingNew", 418, kind)
    if kind.__init__ is Exception.__init__:
        return kind("some value")
    wanted = inspect.signature(kind.__init__).parameters
    names = {name for name, parameter in wanted.items() if parameter.default is parameter.empty}
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in wanted.values()):
        template = string.Formatter().parse(getattr(kind, "fmt", ""))
        names |= {name for _, name, _, _ in template if name}
    return kind(**dict.fromkeys(names - {"self", "args", "kwargs"}, "some value"))


def refusal(
    code: str,
    status: int,
    kind: type[botocore.exceptions.ClientError] = botocore.exceptions.ClientError,
) -> botocore.exceptions.ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "said the store"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return kind(response, "SomeOperation")


class FailingClient:
    """An S3 client whose every call fails with one error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*_: Any, **__: Any) -> Any:
            raise self._error

        return call


class Body:
    """A body that breaks while it is read."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def read(self) -> bytes:
        raise self._error

    def close(self) -> None:
        pass


class FailingBodies:
    """An S3 client whose objects can be had, but whose bodies break."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def get_object(self, **_: Any) -> dict[str, Any]:
        return {"Body": Body(self._error), "ETag": '"etag"'}


def store(client: Any) -> S3Storage:
    return S3Storage(client, "bucket", pause=lambda _: None)


def write_through_file(storage: S3Storage) -> None:
    with storage.open_output("key") as file:
        file.write(b"x")


def read_through_file(storage: S3Storage) -> None:
    with storage.open_input("key") as file:
        file.read()


OPERATIONS: dict[str, Callable[[S3Storage], Any]] = {
    "exists": lambda storage: storage.exists("key"),
    "size": lambda storage: storage.size("key"),
    "modified": lambda storage: storage.modified("key"),
    "list": lambda storage: list(storage.list("key")),
    "read": lambda storage: storage.read("key"),
    "read_versioned": lambda storage: storage.read_versioned("key"),
    "open_input": read_through_file,
    "open_output": write_through_file,
    "write": lambda storage: storage.write("key", b""),
    "create": lambda storage: storage.create("key", b""),
    "replace": lambda storage: storage.replace("key", b"", version="v"),
    "delete": lambda storage: storage.delete("key"),
}


@pytest.mark.parametrize("kind", exception_classes(), ids=lambda kind: kind.__name__)
def test_no_library_error_leaks(kind: type[Exception]) -> None:
    error = instance(kind)
    for name, operation in OPERATIONS.items():
        with pytest.raises(StorageError) as caught:
            operation(store(FailingClient(error)))
        assert "s3://bucket" in caught.value.where, name
        assert caught.value.hint, name
        assert caught.value.__cause__ is error, name


@pytest.mark.parametrize("kind", exception_classes(), ids=lambda kind: kind.__name__)
def test_no_error_of_a_body_leaks(kind: type[Exception]) -> None:
    with pytest.raises(StorageRetryableError):
        store(FailingBodies(instance(kind))).read("key")


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError(), OSError("broken")])
def test_no_socket_error_of_a_body_leaks(error: Exception) -> None:
    with pytest.raises(StorageRetryableError):
        store(FailingBodies(error)).read("key")


def test_every_operation_is_tried() -> None:
    public = {name for name in vars(S3Storage) if not name.startswith("_")}

    assert set(OPERATIONS) == public - {"uri", "describe"}


@pytest.mark.parametrize(
    ("code", "status", "kind", "exit_code", "word"),
    [
        ("NoSuchKey", 404, ObjectMissingError, ExitCode.UNEXPECTED, "Run the step"),
        ("NoSuchBucket", 404, StorageAccessError, ExitCode.USAGE, "bucket"),
        ("PermanentRedirect", 301, StorageAccessError, ExitCode.USAGE, "region"),
        ("AccessDenied", 403, StorageAccessError, ExitCode.USAGE, "access"),
        ("403", 403, StorageAccessError, ExitCode.USAGE, "access"),
        ("ExpiredToken", 400, StorageAccessError, ExitCode.USAGE, "Log in"),
        ("InvalidAccessKeyId", 403, StorageAccessError, ExitCode.USAGE, "Log in"),
        ("RequestTimeTooSkewed", 403, StorageAccessError, ExitCode.USAGE, "clock"),
        ("SlowDown", 503, StorageRetryableError, ExitCode.RETRYABLE, "later"),
        ("TooManyRequests", 429, StorageRetryableError, ExitCode.RETRYABLE, "later"),
        ("InternalError", 500, StorageRetryableError, ExitCode.RETRYABLE, "later"),
        ("SomethingUnheardOf", 502, StorageRetryableError, ExitCode.RETRYABLE, "later"),
        ("RequestTimeout", 400, StorageRetryableError, ExitCode.RETRYABLE, "later"),
        ("EntityTooLarge", 400, StorageError, ExitCode.UNEXPECTED, "request"),
    ],
)
def test_a_refusal_says_what_to_do(
    code: str, status: int, kind: type[StorageError], exit_code: ExitCode, word: str
) -> None:
    with pytest.raises(StorageError) as caught:
        store(FailingClient(refusal(code, status))).read("some/key")

    assert type(caught.value) is kind
    assert caught.value.exit_code == exit_code
    assert caught.value.where == "The file s3://bucket/some/key"
    assert word in caught.value.hint


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("NoCredentialsError", StorageAccessError),
        ("SSOTokenLoadError", StorageAccessError),
        ("UnauthorizedSSOTokenError", StorageAccessError),
        ("EndpointConnectionError", StorageRetryableError),
        ("ReadTimeoutError", StorageRetryableError),
        ("ResponseStreamingError", StorageRetryableError),
        ("ParamValidationError", StorageError),
    ],
)
def test_a_library_error_is_worth_a_retry_or_not(name: str, kind: type[StorageError]) -> None:
    error = instance(getattr(botocore.exceptions, name))
    with pytest.raises(StorageError) as caught:
        store(FailingClient(error)).write("key", b"")

    assert type(caught.value) is kind


def test_body_that_always_breaks_is_requested_a_bounded_number() -> None:
    pauses: list[float] = []
    client: Any = FailingBodies(
        botocore.exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2)
    )
    with pytest.raises(StorageRetryableError, match="5 attempts"):
        S3Storage(client, "bucket", pause=pauses.append).read("key")

    assert len(pauses) == 4
    assert sum(pauses) < 10
