"""The processes that model: no state from firm to firm, no leftovers, and light parents."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest

from ftm_core.contracts.errors import RetryableError
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import Settings
from ftm_core.data.transcript_chunks import iterate_firms, read_manifest
from ftm_core.storage.local import LocalStorage
from ftm_core.topics.find_topics import INPUT_COLUMNS
from ftm_core.topics.workers import ModelWorkers, model_one_firm
from tests.fakes.chaos_runs import Process, clean_environment

REPOSITORY = Path(__file__).resolve().parents[3]
Q = Quarter(2023, 1)


@pytest.fixture(scope="module")
def firms(tmp_path_factory: pytest.TempPathFactory) -> list[pa.Table]:
    """Three firms of the sample quarter."""
    folder = tmp_path_factory.mktemp("workers")
    command = ["ftm_cli", "ingest", "sample", "--quarter", str(Q), "--data", str(folder / "data")]
    ingest = Process(command, clean_environment({}), folder / "log")
    assert ingest.wait() == 0, ingest.output
    storage = LocalStorage(folder / "data")
    manifest = read_manifest(storage, Q)
    wanted = sorted(manifest.firm_to_chunk)[:3]
    return [table for _, table in iterate_firms(storage, manifest, wanted, INPUT_COLUMNS)]


@pytest.mark.models
async def test_fault_17_firm_is_modelled_alike_alone_and_after_others(
    firms: list[pa.Table],
) -> None:
    mine, *others = firms
    async with ModelWorkers(Settings(), 1) as workers:
        alone = await workers.call(model_one_firm, mine)
        for other in others:
            await workers.call(model_one_firm, other)
        after_others = await workers.call(model_one_firm, mine)
        assert alone.topics
        for part in dataclasses.fields(alone):
            assert np.array_equal(getattr(after_others, part.name), getattr(alone, part.name))

        # A worker that is killed, as for lack of memory, is no fault of its firm.
        for child in psutil.Process().children(recursive=True):
            if "spawn_main" in " ".join(child.cmdline()):
                child.kill()
        with pytest.raises(RetryableError, match="died"):
            await workers.call(model_one_firm, mine)


def test_what_plans_and_asks_loads_no_model_library() -> None:
    code = (
        "import sys, ftm_core.pipeline, ftm_core.worker, ftm_cli.operations.local_run\n"
        "heavy = {'torch', 'bertopic', 'umap', 'hdbscan', 'sklearn', 'pandas', 'boto3', 'duckdb'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.strip() == "[]"
