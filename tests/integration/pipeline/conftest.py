"""A planned quarter of seven firms, and the map and reduce over it in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from pyarrow import concat_tables

from ftm_core.contracts import schemas
from ftm_core.contracts.events import Event
from ftm_core.contracts.records import Failure
from ftm_core.contracts.settings import MapSettings, Settings
from ftm_core.data.checkpoints import read_failures
from ftm_core.data.map_output import read_map_output
from ftm_core.llm.answers import AnswerStore
from ftm_core.storage import Storage
from ftm_core.storage.local import LocalStorage
from ftm_core.storage.tables import iterate_tables
from ftm_core.themes.reduce_job import ReduceContext, ReduceOutcome, run_reduce
from ftm_core.topics.map_job import BatchOutcome, MapContext, run_batch
from ftm_core.topics.workers import ModelWorkers
from tests.fakes.chaos_models import RuleWorkers
from tests.fakes.llm_server import FakeLlmServer
from tests.fakes.small_quarter import QUARTER, SmallQuarter, build_small_quarter

N_FIRMS = 7


class Watched(list[Any]):
    """A list of events that calls a listener for each."""

    def __init__(self, listener: Any) -> None:
        super().__init__()
        self._listener = listener

    def append(self, event: Any) -> None:
        self._listener(event)


@dataclass
class Pipeline:
    """Runs steps over one quarter; each call is as a process of its own."""

    quarter: SmallQuarter
    storage: Storage
    server: FakeLlmServer = field(default_factory=FakeLlmServer)
    workers: RuleWorkers = field(default_factory=RuleWorkers)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    settings: Settings = field(
        default_factory=lambda: Settings(map=MapSettings(checkpoint_interval=2))
    )
    events: list[Event] = field(default_factory=list)
    llm: dict[str, Any] = field(default_factory=dict)

    def with_map(self, **changes: Any) -> Pipeline:
        """The same with other settings of the map."""
        changed = self.settings.map.model_copy(update=changes)
        return replace(self, settings=self.settings.model_copy(update={"map": changed}))

    async def map(self) -> BatchOutcome:
        """The one batch of the quarter."""
        answers = AnswerStore.open(self.storage, QUARTER, writer="map")
        async with self.server.client(answers=answers, **self.llm) as client:
            context = MapContext(
                storage=self.storage,
                manifest=self.quarter.manifest,
                run_id=self.quarter.run_id,
                settings=self.settings,
                client=client,
                workers=cast(ModelWorkers, self.workers),
                stop=self.stop,
                listener=self.events.append,
            )
            return await run_batch(self.quarter.plan[0], context)

    async def reduce(self) -> ReduceOutcome:
        """The themes of what the map left."""
        answers = AnswerStore.open(self.storage, QUARTER, writer="themes")
        output = read_map_output(self.storage, QUARTER, self.quarter.plan, self.quarter.run_id)
        async with self.server.client(answers=answers, **self.llm) as client:
            return await run_reduce(
                ReduceContext(
                    storage=self.storage,
                    manifest=self.quarter.manifest,
                    output=output,
                    settings=self.settings,
                    client=client,
                    workers=cast(ModelWorkers, self.workers),
                    stop=self.stop,
                    listener=self.events.append,
                )
            )

    def topic_ids(self) -> list[str]:
        """Topics that the reduce would read."""
        output = read_map_output(self.storage, QUARTER, self.quarter.plan, self.quarter.run_id)
        parts = iterate_tables(self.storage, output.topic_keys(), schemas.FIRM_TOPICS)
        by_firm = [("firm_id", "ascending"), ("local_topic_id", "ascending")]
        ids: list[str] = concat_tables(parts).sort_by(by_firm)["topic_id"].to_pylist()
        return ids

    def recorded_failures(self) -> Sequence[Failure]:
        """What the failures manifest holds."""
        manifest = read_failures(self.storage, QUARTER, self.quarter.plan[0].batch_id)
        return manifest.failures if manifest is not None else ()


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """Planned, nothing done yet."""
    storage = LocalStorage(tmp_path / "data")
    quarter = build_small_quarter(storage, until="map", batch_size=N_FIRMS)
    return Pipeline(quarter, storage)
