"""The map job meets faults: of one answer, one firm, the server, the store, and a stop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

from ftm_core.contracts.errors import (
    ChecksFailedError,
    ExitCode,
    InputError,
    InterruptedRunError,
    LlmUnavailableError,
    StorageError,
    StorageRetryableError,
)
from ftm_core.contracts.events import StageAdvanced
from ftm_core.data.checkpoints import read_checkpoint
from ftm_core.storage.local import LocalStorage
from tests.fakes.chaos_models import RuleWorkers
from tests.fakes.llm_server import FakeLlmServer, completion, refusal
from tests.fakes.small_quarter import QUARTER
from tests.integration.pipeline.conftest import N_FIRMS, Pipeline, Watched

TOPICS = 3
ALL_TOPICS = [f"F{firm}_{number}" for firm in range(1, N_FIRMS + 1) for number in range(TOPICS)]


class PickyServer(FakeLlmServer):
    """The given answers to requests that contain a word, and usual ones to all others."""

    def __init__(self, word: str, reply: httpx.Response) -> None:
        super().__init__()
        self._word = word
        self._reply = reply

    async def _complete(self, request: httpx.Request) -> httpx.Response:
        answered = await super()._complete(request)
        return self._reply if self._word in request.content.decode() else answered


@pytest.mark.parametrize(
    "reply",
    [
        refusal(400, "made to fail"),
        completion("<think>what might it"),
        completion(None),
    ],
    ids=["refused", "thinking", "empty"],
)
async def test_fault_8_fault_1_one_bad_answer_fails_one_topic_alone(
    pipeline: Pipeline, reply: httpx.Response
) -> None:
    pipeline.server = PickyServer("F3 on 1.", reply)

    outcome = await pipeline.with_map(max_failure_rate=0.5).map()

    assert outcome.n_completed == N_FIRMS
    assert pipeline.topic_ids() == [topic for topic in ALL_TOPICS if topic != "F3_1"]
    assert [(item.firm_id, item.topic_id) for item in outcome.failures] == [("F3", "F3_1")]
    assert pipeline.recorded_failures() == outcome.failures


async def test_fault_8_only_the_failed_topic_is_asked_again(pipeline: Pipeline) -> None:
    pipeline.server = PickyServer("F3 on 1.", refusal(400, "made to fail"))
    await pipeline.map()
    pipeline.server = FakeLlmServer()

    outcome = await pipeline.map()

    assert pipeline.server.users
    assert all("F3 on 1." in user for user in pipeline.server.users)
    assert "F3 on 1." in pipeline.server.users[0]
    assert outcome.failures == ()
    assert pipeline.recorded_failures() == ()
    assert pipeline.topic_ids() == ALL_TOPICS


async def test_firm_that_breaks_its_model_is_recorded_and_retried(
    pipeline: Pipeline,
) -> None:
    pipeline.workers = RuleWorkers(broken_firms=["F2"])
    outcome = await pipeline.map()

    assert outcome.n_completed == N_FIRMS - 1
    assert [(f.firm_id, f.error_type, f.error_message) for f in outcome.failures] == [
        ("F2", "ValueError", "nothing can be made of F2")
    ]
    pipeline.workers = RuleWorkers()
    assert (await pipeline.map()).failures == ()
    assert pipeline.workers.modelled == ["F2"]
    assert pipeline.topic_ids() == ALL_TOPICS


async def test_fault_10_failures_over_tolerance_end_the_run(
    pipeline: Pipeline,
) -> None:
    pipeline.workers = RuleWorkers(broken_firms=["F2"])
    await pipeline.map()

    with pytest.raises(ChecksFailedError, match="1 failed firms of 7, more than") as caught:
        await pipeline.reduce()
    assert caught.value.exit_code == ExitCode.CHECKS_FAILED
    assert not list(pipeline.storage.list("processed/"))

    outcome = await pipeline.with_map(max_failure_rate=0.2).reduce()
    assert outcome.n_topics == len(ALL_TOPICS) - TOPICS


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_consecutive_failures": 3}, "3 firms failed in a row"),
        (
            {"max_consecutive_failures": 100, "min_processed_for_rate": 4},
            "4 of 4 firms failed",
        ),
    ],
)
async def test_a_systemic_fault_stops_the_batch_and_stays_on_record(
    pipeline: Pipeline, settings: dict[str, int], said: str
) -> None:
    pipeline.workers = RuleWorkers(broken_firms=[f"F{n}" for n in range(1, N_FIRMS + 1)])

    with pytest.raises(ChecksFailedError, match=said) as caught:
        await pipeline.with_map(**settings).map()

    assert caught.value.exit_code == ExitCode.CHECKS_FAILED
    assert len(pipeline.recorded_failures()) >= 3
    pipeline.workers = RuleWorkers()
    assert (await pipeline.map()).failures == ()
    assert pipeline.topic_ids() == ALL_TOPICS


async def test_fault_8_and_fault_13_an_outage_of_minutes_fails_no_firm(pipeline: Pipeline) -> None:
    pipeline.server.latency = 1.0
    pipeline.server.outages = [(2.0, 590.0)]
    pipeline.llm = {"max_concurrent": 2}

    outcome = await pipeline.map()

    assert outcome.failures == ()
    assert pipeline.topic_ids() == ALL_TOPICS
    assert pipeline.server.most_probes_at_once == 1
    assert pipeline.server.time.seconds < 700


async def test_fault_13_server_that_stays_down_saves_and_is_retryable(
    pipeline: Pipeline,
) -> None:
    pipeline.server.latency = 1.0
    pipeline.server.outages = [(4.5, 10_000.0)]
    pipeline.llm = {"max_concurrent": 3}

    with pytest.raises(LlmUnavailableError) as caught:
        await pipeline.with_map(checkpoint_interval=50).map()

    assert caught.value.exit_code == ExitCode.RETRYABLE
    checkpoint = read_checkpoint(pipeline.storage, QUARTER, pipeline.quarter.plan[0].batch_id)
    assert checkpoint is not None
    assert 0 < len(checkpoint.completed_firm_ids) < N_FIRMS
    assert pipeline.recorded_failures() == ()

    answered_before = pipeline.server.users[: len(pipeline.server.users)]
    later = replace(pipeline, server=FakeLlmServer())
    await later.map()
    assert later.topic_ids() == ALL_TOPICS
    # All that was answered before was kept; at most those on their way are asked again.
    assert len(set(later.server.users) & set(answered_before)) <= 3


async def test_fault_9_a_stop_saves_every_finished_firm(pipeline: Pipeline) -> None:
    seen = 0

    def stop_after_three(event: Any) -> None:
        nonlocal seen
        seen += isinstance(event, StageAdvanced)
        if seen == 3:
            pipeline.stop.set()

    pipeline.llm = {"max_concurrent": 1}
    pipeline.events = Watched(stop_after_three)
    with pytest.raises(InterruptedRunError) as caught:
        await pipeline.with_map(checkpoint_interval=50).map()

    assert caught.value.exit_code == ExitCode.RETRYABLE
    checkpoint = read_checkpoint(pipeline.storage, QUARTER, pipeline.quarter.plan[0].batch_id)
    assert checkpoint is not None
    assert 3 <= len(checkpoint.completed_firm_ids) < N_FIRMS
    later = replace(pipeline, stop=asyncio.Event(), events=[], server=FakeLlmServer())
    outcome = await later.map()
    assert outcome.n_completed == N_FIRMS
    assert later.topic_ids() == ALL_TOPICS
    assert set(later.workers.modelled[-N_FIRMS:]) >= {"F7"}


class FailingStorage(LocalStorage):
    """A folder in which keys that hold ``word`` fail when they are read or written."""

    def __init__(self, root: Path, word: str, error: StorageError) -> None:
        super().__init__(root)
        self._word = word
        self._error = error
        self.broken = True

    def read(self, key: str) -> bytes:
        self._check(key)
        return super().read(key)

    @contextmanager
    def open_output(self, key: str) -> Iterator[IO[bytes]]:
        self._check(key)
        with super().open_output(key) as file:
            yield file

    def _check(self, key: str) -> None:
        if self.broken and self._word in key:
            raise self._error


@pytest.mark.parametrize("word", ["chunk_", "_part_", "_checkpoint"])
@pytest.mark.parametrize(
    ("kind", "code"),
    [(StorageRetryableError, ExitCode.RETRYABLE), (StorageError, ExitCode.UNEXPECTED)],
)
async def test_fault_16_storage_error_ends_the_job_and_fails_no_firm(
    pipeline: Pipeline, word: str, kind: type[StorageError], code: ExitCode
) -> None:
    broken = FailingStorage(
        Path(pipeline.storage.uri), word, kind("s3://bucket/key", "is throttled", "Later.")
    )
    sound, pipeline.storage = pipeline.storage, broken

    with pytest.raises(kind) as caught:
        await pipeline.map()

    assert caught.value.exit_code == code
    assert caught.value.where == "s3://bucket/key"
    pipeline.storage = sound
    assert pipeline.recorded_failures() == ()
    outcome = await pipeline.map()
    assert outcome.failures == ()
    assert pipeline.topic_ids() == ALL_TOPICS


async def test_damaged_transcripts_are_an_input_error_of_no_firm(
    pipeline: Pipeline,
) -> None:
    chunk = pipeline.quarter.manifest.chunks[1].key
    pipeline.storage.write(chunk, pipeline.storage.read(chunk)[:-1])

    with pytest.raises(InputError, match="checksum"):
        await pipeline.map()

    assert pipeline.recorded_failures() == ()
