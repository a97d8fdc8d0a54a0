"""A container killed right after a checkpoint in a bucket loses no response it counts on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ftm_core.llm.answers import AnswerStore
from ftm_core.storage.s3 import S3Storage
from tests.fakes.s3_emulator import S3Emulator, serve
from tests.fakes.small_quarter import QUARTER

REPOSITORY = Path(__file__).resolve().parents[3]
BUCKET = "crash"

_MAP_UNTIL_KILLED = """
import asyncio, os, sys
from ftm_core.storage.s3 import S3Storage
from tests.fakes.s3_emulator import S3Emulator
from tests.fakes.small_quarter import build_small_quarter
from tests.integration.pipeline.conftest import N_FIRMS, Pipeline

class Dying(S3Storage):
    def write(self, key, data):
        super().write(key, data)
        if key.endswith("_checkpoint.json"):
            os._exit(9)

emulator = S3Emulator(sys.argv[1])
quarter = build_small_quarter(emulator.storage("crash"), until="map", batch_size=N_FIRMS)
dying = Dying(emulator.client(), "crash", "")
asyncio.run(Pipeline(quarter, dying).map())
"""


@pytest.fixture(scope="module")
def emulator() -> Iterator[S3Emulator]:
    yield from serve()


def test_fault_d2_responses_are_safe_before_their_checkpoint(emulator: S3Emulator) -> None:
    emulator.bucket(BUCKET)
    killed = subprocess.run(
        [sys.executable, "-c", _MAP_UNTIL_KILLED, emulator.url],
        cwd=REPOSITORY,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert killed.returncode == 9, killed.stderr
    storage: S3Storage = emulator.storage(BUCKET)
    parts = [key for key in storage.list("intermediate/firm-topics/") if key.endswith(".parquet")]
    summaries = set()
    for key in parts:
        with storage.open_input(key) as source:
            summaries |= set(pq.read_table(source)["summary"].to_pylist())
    responses = " ".join(a.text for a in AnswerStore.open(storage, QUARTER).answers())
    assert summaries
    assert not [summary for summary in summaries if summary not in responses]
