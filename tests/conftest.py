"""Fixtures that every area may use: an S3 server, a fresh bucket, one quarter."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from ftm_core.contracts.quarters import Quarter
from ftm_core.instruction_set import use_one_instruction_set

if TYPE_CHECKING:
    from tests.fakes.s3_emulator import S3Emulator

# As `ftm` does first: a run within a test and one by the command must have the same rows.
use_one_instruction_set()

settings.register_profile(
    "ftm", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("ftm")

_numbers = itertools.count(1)


@pytest.fixture
def quarter() -> Quarter:
    return Quarter(2023, 1)


@pytest.fixture(scope="session")
def running_s3_server() -> Iterator[S3Emulator]:
    # Loaded here, so that tests without a bucket start without boto3.
    from tests.fakes.s3_emulator import serve

    yield from serve()


@pytest.fixture
def s3_server(running_s3_server: S3Emulator) -> S3Emulator:
    running_s3_server.faults.clear()
    running_s3_server.requests.clear()
    return running_s3_server


@pytest.fixture
def bucket(s3_server: S3Emulator) -> str:
    return s3_server.bucket(f"ftm-test-{next(_numbers)}")
