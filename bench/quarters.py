"""A quarter made for a benchmark: firms to chunks and a plan, and the map over it."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import httpx
import pyarrow as pa

from bench.golden import answer_to
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import Batch, Manifest
from ftm_core.contracts.settings import LlmSettings, Settings
from ftm_core.data.batch_plan import plan_batches
from ftm_core.llm.answers import AnswerStore
from ftm_core.llm.client import LlmClient
from ftm_core.storage import Storage
from ftm_core.topics.map_job import BatchOutcome, MapContext, run_batch
from ftm_core.topics.workers import ModelWorkers
from ftm_core.transcripts.call_sentences import Sentence
from ftm_core.transcripts.chunks import Call, ChunkWriter, FirmTranscripts
from tests.fakes.llm_server import MODEL, completion

QUARTER = Quarter(2017, 1)


@dataclass(frozen=True)
class MadeQuarter:
    """A planned quarter."""

    storage: Storage
    manifest: Manifest
    batches: list[Batch]


def make_quarter(storage: Storage, firms: Iterable[FirmTranscripts]) -> MadeQuarter:
    """Write the firms' chunks; one batch a BATCH_SIZE firms."""
    writer = ChunkWriter(storage, QUARTER, run_id="bench")
    for firm in firms:
        writer.add_firm(firm)
    manifest = writer.finish(source="bench", source_sha256="0" * 64)
    return MadeQuarter(storage, manifest, plan_batches(manifest, Settings().map.batch_size))


def transcripts_of(table: pa.Table) -> FirmTranscripts:
    """One firm with the one call that the table holds."""
    rows = table.to_pylist()
    sentences = tuple(
        Sentence(row["raw_text"], row["speaker_type"], place) for place, row in enumerate(rows)
    )
    first = rows[0]
    call = Call(first["transcript_id"], first["earnings_call_date"], sentences)
    return FirmTranscripts(first["firm_id"], first["firm_name"], (call,))


def made_up_firms(n_firms: int, n_sentences: int) -> Iterable[FirmTranscripts]:
    """Firms whose sentences mean nothing, for what depends on sizes alone."""
    for number in range(n_firms):
        sentences = tuple(
            Sentence(f"Firm {number} says in sentence {place} that its costs rose.", "CEO", place)
            for place in range(n_sentences)
        )
        call = Call(f"T{number}", dt.date(2017, 2, 1), sentences)
        yield FirmTranscripts(f"F{number:05d}", f"Firm {number}", (call,))


class FixedRateServer:
    """A fake LLM server: so many answers per second, in the question's words; None: at once."""

    def __init__(self, answers_per_second: float | None = None) -> None:
        self.n_answers = 0
        self._rate = answers_per_second
        self._free_at = 0.0

    async def handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/models"):
            return httpx.Response(200, json={"data": [{"id": MODEL, "max_model_len": 4096}]})
        if request.method == "GET":
            return httpx.Response(200)
        self.n_answers += 1
        if self._rate is not None:
            now = asyncio.get_running_loop().time()
            self._free_at = max(now, self._free_at) + 1 / self._rate
            await asyncio.sleep(self._free_at - now)
        return completion(answer_to(json.loads(request.content)))


async def map_quarter(
    quarter: MadeQuarter, workers: Any, server: FixedRateServer, settings: Settings | None = None
) -> list[BatchOutcome]:
    """Every batch of the quarter in turn, as `ftm run` does."""
    answers = AnswerStore.open(quarter.storage, QUARTER, writer="map")
    llm = LlmSettings(base_url="http://127.0.0.1:9/v1", model_name=MODEL)
    transport = httpx.MockTransport(server.handle)
    async with LlmClient(llm, answers=answers, transport=transport) as client:
        context = MapContext(
            storage=quarter.storage,
            manifest=quarter.manifest,
            run_id="bench",
            settings=settings or Settings(llm=llm),
            client=client,
            workers=cast(ModelWorkers, workers),
            stop=asyncio.Event(),
            listener=lambda event: None,
        )
        return [await run_batch(batch, context) for batch in quarter.batches]
