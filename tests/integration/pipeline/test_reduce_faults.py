"""The reduce job is interrupted amid its theme descriptions, and resumes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from ftm_core.contracts import keys
from ftm_core.contracts.errors import ChecksFailedError, InterruptedRunError, LlmUnavailableError
from ftm_core.contracts.events import StageAdvanced
from ftm_core.llm.answers import AnswerStore
from ftm_core.themes import descriptions
from tests.fakes.chaos_models import RuleWorkers
from tests.fakes.llm_server import FakeLlmServer, refusal
from tests.fakes.small_quarter import QUARTER
from tests.integration.pipeline.conftest import Pipeline, Watched

N_THEMES = 6


@pytest.fixture
async def mapped(pipeline: Pipeline) -> Pipeline:
    """The quarter after its map, with many themes to come and a fresh server."""
    pipeline.workers = RuleWorkers(topics_per_firm=N_THEMES)
    await pipeline.map()
    return replace(pipeline, server=FakeLlmServer(), llm={"max_concurrent": 3})


async def test_fault_2_descriptions_are_asked_side_by_side(mapped: Pipeline) -> None:
    mapped.server.latency = 1.0

    outcome = await mapped.reduce()

    assert outcome.n_themes == N_THEMES
    assert mapped.server.most_at_once == 3


@pytest.mark.parametrize("n_described", [1, 3])
async def test_fault_2_a_stop_amid_the_descriptions_loses_none_of_them(
    mapped: Pipeline, n_described: int
) -> None:
    described = 0

    def stop_in_time(event: Any) -> None:
        nonlocal described
        described += isinstance(event, StageAdvanced) and event.stage == descriptions.STAGE
        if described == n_described:
            mapped.stop.set()

    mapped.server.latency = 1.0
    mapped.events = Watched(stop_in_time)
    with pytest.raises(InterruptedRunError):
        await mapped.reduce()
    kept = {answer.content_hash for answer in AnswerStore.open(mapped.storage, QUARTER).answers()}
    first = mapped.server.users

    later = replace(mapped, server=FakeLlmServer(), stop=asyncio.Event(), events=[])
    outcome = await later.reduce()

    assert outcome.n_themes == N_THEMES
    # In all, each theme was asked once, and only what was on its way twice.
    repeated = set(first) & set(later.server.users)
    assert len(repeated) <= 3
    assert len(first) + len(later.server.users) - len(repeated) == N_THEMES
    now = {answer.content_hash for answer in AnswerStore.open(mapped.storage, QUARTER).answers()}
    assert kept < now


async def test_fault_2_outage_amid_descriptions_loses_none(
    mapped: Pipeline,
) -> None:
    mapped.server.latency = 1.0
    mapped.server.outages = [(1.5, 100_000.0)]
    with pytest.raises(LlmUnavailableError):
        await mapped.reduce()
    assert not list(mapped.storage.list(keys.themes_prefix(QUARTER)))
    n_answered = len(AnswerStore.open(mapped.storage, QUARTER))

    later = replace(mapped, server=FakeLlmServer())
    await later.reduce()

    assert len(AnswerStore.open(mapped.storage, QUARTER)) == n_answered + len(later.server.users)


async def test_fault_8_fault_10_theme_without_description_is_named(
    mapped: Pipeline,
) -> None:
    mapped.server.replies = [refusal(400, "made to fail")]

    with pytest.raises(ChecksFailedError, match="could not all be described: 1 of 6 failed"):
        await mapped.reduce()

    record = json.loads(mapped.storage.read(keys.theme_failures(QUARTER)))
    assert record["n_failures"] == 1
    later = replace(mapped, server=FakeLlmServer())
    assert (await later.reduce()).failures == ()
