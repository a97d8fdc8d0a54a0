"""Errors that name the place, the cause and the remedy, and the exit code each one ends in."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command and container; AWS Batch retries ``RETRYABLE`` alone."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    CHECKS_FAILED = 3
    DECLINED = 4
    RETRYABLE = 75


class FtmError(Exception):
    """A failure shown to the user: what is wrong with which thing, why, and what to do next.

    ``where`` names the thing as it begins a sentence: ``The file x.csv``, ``The quarter 2023Q1``,
    ``The command `ftm build```, or a bare option, variable or URI. ``cause`` is a predicate in
    lower case, which follows it (``has no header row``), or a sentence of its own, which follows it
    after a colon; the period is added. ``hint`` holds whole sentences, each with its period.
    """

    exit_code: ExitCode = ExitCode.UNEXPECTED

    def __init__(self, where: str, cause: str, hint: str) -> None:
        super().__init__(where, cause, hint)
        self.where = where
        self.cause = cause
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.sentence} {self.hint}"

    @property
    def sentence(self) -> str:
        """What is wrong with which thing, without the hint."""
        return sentence_of(self.where, self.cause)

    def __reduce__(self) -> tuple[type[FtmError], tuple[str, str, str]]:
        # Errors cross from worker processes; without this, pickle would pass one joined argument.
        return type(self), (self.where, self.cause, self.hint)


def sentence_of(where: str, cause: str) -> str:
    """The sentence that ``where`` and ``cause`` of an FtmError make."""
    link = " " if cause[:1].islower() else ": "
    # A cause that ends with the message of another error has its period.
    return f"{where}{link}{cause.removesuffix('.')}."


class InputError(FtmError):
    """Wrong usage, settings or input data: nothing was written, and a retry cannot help."""

    exit_code = ExitCode.USAGE


class ChecksFailedError(FtmError):
    """The work finished, but checks failed or recorded failures are over tolerance."""

    exit_code = ExitCode.CHECKS_FAILED


class DeclinedError(FtmError):
    """The operator said no to a question, or could not be asked."""

    exit_code = ExitCode.DECLINED


class RetryableError(FtmError):
    """The same command may succeed later, and all finished work is saved."""

    exit_code = ExitCode.RETRYABLE


class RunRefusedError(InputError):
    """Another run owns the quarter, or its inputs or settings changed since it began."""


class StorageError(FtmError):
    """The data folder or bucket failed; never to be recorded as a fault of a firm."""


class ObjectMissingError(StorageError):
    """A key that was asked for does not exist."""


class StorageAccessError(StorageError, InputError):
    """The store refused (no such bucket, no permission, expired login): a retry cannot help."""

    exit_code = ExitCode.USAGE


class StorageRetryableError(StorageError, RetryableError):
    """The store throttled or was out of reach after its own retries."""

    exit_code = ExitCode.RETRYABLE


class LlmUnavailableError(RetryableError):
    """The LLM server stayed out of reach longer than the allowed wait."""


class LlmRequestError(FtmError):
    """The LLM server refused one request (4xx) or answered it unusably: that topic alone fails."""


class InterruptedRunError(RetryableError):
    """The process was asked to stop (SIGTERM or Ctrl-C) and saved what was finished."""
