"""The containers' steps over a bucket, with a bad network before the LLM and before S3."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from ftm_core.contracts.errors import ExitCode
from ftm_core.data.batch_plan import plan_batches, read_plan, write_plan
from ftm_core.data.transcript_chunks import read_manifest
from tests.chaos.conftest import Reference
from tests.fakes.chaos_llm import FakeLlm
from tests.fakes.chaos_proxy import ChaosProxy
from tests.fakes.chaos_runs import (
    FIRMS,
    Process,
    Q,
    assert_same_rows,
    clean_environment,
    rows_of,
)

if TYPE_CHECKING:
    from tests.fakes.s3_emulator import S3Emulator

MOST_ATTEMPTS = 5
SMALL_BATCHES = {"BATCH_SIZE": "4", "MAP_WORKERS": "1"}


@pytest.mark.models
@pytest.mark.parametrize(
    "share", [pytest.param(0.05, id="short"), pytest.param(0.1, id="long", marks=pytest.mark.long)]
)
def test_fault_8_fault_16_faulty_network_loses_nothing(
    share: float,
    corpus: Path,
    tmp_path: Path,
    s3_server: S3Emulator,
    bucket: str,
    llm: FakeLlm,
    reference: Reference,
) -> None:
    for path in corpus.rglob("*.*"):
        s3_server.client().upload_file(str(path), bucket, str(path.relative_to(corpus)))
    before_llm = proxy(llm.base_url, share, seed=5, truncated=share, storm=share / 2)
    before_s3 = proxy(s3_server.url, share, seed=6, storm=share / 2, storm_status=503)
    with before_llm.serving(), before_s3.serving():
        environment = clean_environment(
            {
                **llm.environment,
                **SMALL_BATCHES,
                "LLM_BASE_URL": f"{before_llm.url}/v1",
                "AWS_ENDPOINT_URL": before_s3.url,
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_DEFAULT_REGION": "us-west-2",
                "AWS_EC2_METADATA_DISABLED": "true",
                "NO_PROXY": "127.0.0.1",
                "S3_BUCKET": bucket,
                "QUARTER": str(Q),
                "RUN_NAME": f"{Q}-chaos",
            }
        )
        storage = s3_server.storage(bucket)
        attempts = step("plan", environment, tmp_path)
        # The plan of the state machine takes all firms; this corpus is to stay small.
        write_plan(storage, Q, plan_batches(read_manifest(storage, Q), 4, FIRMS))
        for batch in read_plan(storage, Q) or []:
            attempts += step("map", {**environment, "BATCH_ID": batch.batch_id}, tmp_path)
        attempts += step("reduce", environment, tmp_path)

    assert_same_rows(rows_of(storage), reference.rows)
    for seen in (before_llm.done, before_s3.done):
        assert seen["none"] > 0
        assert sum(seen.values()) > seen["none"]
    print(f"{attempts} attempts; LLM {dict(before_llm.done)}; S3 {dict(before_s3.done)}")


def proxy(url: str, share: float, **more: float) -> ChaosProxy:
    """A proxy in front of ``url`` that plays each common fault to this share of the requests."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    shares = dict.fromkeys(("error", "reset", "cut", "slow"), share)
    return ChaosProxy(parts.hostname, parts.port, lost=share / 2, **{**shares, **more})  # type: ignore[arg-type]


def step(name: str, environment: Mapping[str, str], folder: Path) -> int:
    """Run one container's step as Batch does, again while it asks for it; the attempts made."""
    for attempt in range(1, MOST_ATTEMPTS + 1):
        log = folder / f"{name}-{len(list(folder.iterdir()))}.log"
        process = Process(["ftm_core.worker", name], environment, log)
        code = process.wait()
        assert "Traceback" not in process.output
        if code != ExitCode.RETRYABLE:
            assert code == ExitCode.DONE, process.output
            return attempt
    raise AssertionError(f"{name} was retryable {MOST_ATTEMPTS} times:\n{process.output}")
