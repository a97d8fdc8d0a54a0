"""Errors: each says where, what and what to do, ends in its exit code, and survives pickling."""

from __future__ import annotations

import inspect
import pickle

import pytest

from ftm_core.contracts import errors
from ftm_core.contracts.errors import ExitCode, FtmError

KINDS = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, FtmError)
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_crosses_processes_unchanged(kind: type[FtmError]) -> None:
    error = kind("Row 3 of folder/file", "is empty", "Give it a value.")

    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is kind
    assert (copy.where, copy.cause, copy.hint) == (error.where, "is empty", "Give it a value.")
    assert str(copy) == "Row 3 of folder/file is empty. Give it a value."


def test_a_cause_of_its_own_follows_a_colon() -> None:
    error = FtmError("The run", "2 of 3 jobs failed", "Read the log of each.")
    assert error.sentence == "The run: 2 of 3 jobs failed."


def test_a_cause_that_quotes_an_error_ends_in_one_period() -> None:
    other = FtmError("The file x", "is empty", "Export it again.")
    error = FtmError("The check own", f"failed. {other.sentence}", "Correct its statement.")
    assert error.sentence == "The check own failed. The file x is empty."


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_exit_code_follows_the_family(kind: type[FtmError]) -> None:
    if issubclass(kind, errors.RetryableError):
        assert kind.exit_code == ExitCode.RETRYABLE
    elif issubclass(kind, errors.InputError):
        assert kind.exit_code == ExitCode.USAGE
    elif issubclass(kind, errors.DeclinedError):
        assert kind.exit_code == ExitCode.DECLINED
    elif issubclass(kind, errors.ChecksFailedError):
        assert kind.exit_code == ExitCode.CHECKS_FAILED
    else:
        assert kind.exit_code == ExitCode.UNEXPECTED


def test_exit_codes_are_those_that_the_job_definitions_know() -> None:
    assert [int(code) for code in ExitCode] == [0, 1, 2, 3, 4, 75]
