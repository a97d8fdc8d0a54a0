"""A small finished quarter, made by the pipeline's own writers from rows made by hand.

Seven firms in batches of three. F1 to F4 share two themes; F3 held two calls; F5 has no permno and
contributes to a theme; F6 has one topic whose summary failed; F7 failed as a whole. The LLM is
answered in-process, so every summary and description is a cached response.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ftm_core.contracts.events import ignore
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import Batch, Failure, Manifest
from ftm_core.contracts.settings import LlmSettings, MapSettings, Settings, ThemeSettings
from ftm_core.data import lease
from ftm_core.data.batch_plan import plan_batches, write_plan
from ftm_core.data.checkpoints import BatchCheckpoints, FinishedFirm
from ftm_core.data.map_output import read_map_output
from ftm_core.data.transcript_chunks import iterate_firms
from ftm_core.llm.answers import AnswerStore
from ftm_core.llm.client import LlmClient
from ftm_core.run_inputs import run_inputs
from ftm_core.storage import Storage
from ftm_core.storage.local import LocalStorage
from ftm_core.themes.reduce_job import ReduceContext, run_reduce
from ftm_core.themes.theme_finding import FoundThemes
from ftm_core.topics.find_topics import INPUT_COLUMNS, FirmTopics, TopicDraft
from ftm_core.topics.summaries import summarize_firm
from ftm_core.topics.workers import ModelWorkers
from ftm_core.transcripts.call_sentences import Sentence
from ftm_core.transcripts.chunks import Call, ChunkWriter, FirmTranscripts
from tests.fakes.given_themes import given_themes
from tests.fakes.llm_forms import in_form, properties_of

QUARTER = Quarter(2023, 1)
RUN_NAME = "2023Q1-20230601-120000"
MODEL = "made-up-model"
PRICING, FREIGHT = "pricing", "freight"
_SPOKEN = {
    PRICING: (
        "At {firm} we have been able to raise the prices of most of our products by four percent.",
        "At {firm} it is the price increases that have been carrying all of the margin for us.",
        "At {firm} there was not much pushback from the customers on any of these price increases.",
    ),
    FREIGHT: (
        "At {firm} the cost of freight has come down again, and it will be down for all the year.",
        "At {firm} we are not going to be paying what we paid for ocean freight a year ago.",
    ),
}
_SMALL_TALK = "Good morning, and thank you all for joining us today."
# The firm of which the made-up LLM refuses to summarise the freight topic.
REFUSED_FIRM = "Firm 6"
_FIRM_NAME = re.compile(r"Firm \d")
_SUMMARY_TOKENS, _THEME_TOKENS = 81, 161


@dataclass(frozen=True)
class SmallQuarter:
    """The finished quarter and what it was made with."""

    storage: Storage
    quarter: Quarter
    settings: Settings
    manifest: Manifest
    plan: tuple[Batch, ...]
    run_id: str


def settings_of_small_quarter(**themes: Any) -> Settings:
    """Settings that tolerate the quarter's recorded failures; ``themes`` go to the theme level."""
    return Settings(
        llm=LlmSettings(
            base_url="http://127.0.0.1:9/v1",
            model_name=MODEL,
            summary_max_tokens=_SUMMARY_TOKENS,
            theme_max_tokens=_THEME_TOKENS,
        ),
        map=MapSettings(max_failure_rate=0.5, checkpoint_interval=2),
        themes=ThemeSettings(**themes),
    )


def build_small_quarter(
    storage: Storage,
    *,
    with_topics: bool = True,
    with_themes: bool = True,
    batch_size: int = 3,
    reverse: bool = False,
    max_firms: int | None = None,
    until: str = "end",
    of: Quarter = QUARTER,
) -> SmallQuarter:
    """Build the quarter in ``storage``, as that ``of`` the calendar.

    ``reverse`` finishes the firms of each batch in the opposite order. ``until`` stops before the
    ``map`` or before the ``reduce``. Without topics or themes none are found.
    """
    shape = _Shape(with_topics, with_themes and with_topics, reverse, until != "reduce")
    settings = settings_of_small_quarter()
    manifest = _ingest(storage, of)
    parts = {**run_inputs(manifest, settings), "max_firms": max_firms}
    identity = lease.acquire(storage, of, parts, lease.this_process(RUN_NAME))
    plan = plan_batches(manifest, batch_size, max_firms)
    write_plan(storage, of, plan)
    quarter = SmallQuarter(storage, of, settings, manifest, tuple(plan), identity.run_id)
    if until != "map":
        asyncio.run(_run(quarter, shape))
    lease.release(storage, of, RUN_NAME, finished=until == "end")
    return quarter


def _ingest(storage: Storage, quarter: Quarter) -> Manifest:
    writer = ChunkWriter(storage, quarter, run_id="ingest", firms_per_chunk=4)
    for number in range(1, 8):
        writer.add_firm(_firm(number, quarter))
    return writer.finish(source="made up", source_sha256="0" * 64)


def _firm(number: int, quarter: Quarter) -> FirmTranscripts:
    days = [quarter.first_day.replace(day=number)]
    if number == 3:
        days.append(quarter.last_day)
    name = f"Firm {number}"
    substance = [text.format(firm=name) for texts in _SPOKEN.values() for text in texts]
    texts = [_SMALL_TALK, *substance, f"Nothing like this at {number}."]
    sentences = tuple(Sentence(text, "CEO", place) for place, text in enumerate(texts))
    linked = number != 5
    return FirmTranscripts(
        firm_id=f"F{number}",
        firm_name=name,
        calls=tuple(Call(f"T{number}{day.month}", day, sentences) for day in days),
        ticker=f"FRM{number}",
        permno=10000 + number if linked else None,
        gvkey=f"00{number}" if linked else None,
        link_date=dt.date(2015, 6, number) if linked else None,
    )


@dataclass(frozen=True)
class _Shape:
    topics: bool
    themes: bool
    reverse: bool
    reduce: bool


async def _run(quarter: SmallQuarter, shape: _Shape) -> None:
    answers = AnswerStore.open(quarter.storage, quarter.quarter, writer="run")
    transport = httpx.MockTransport(_answer)
    async with LlmClient(quarter.settings.llm, answers=answers, transport=transport) as client:
        for batch in quarter.plan:
            await _map_batch(batch, quarter, client, shape)
        if shape.reduce:
            await _reduce(quarter, client, shape)


async def _map_batch(batch: Batch, quarter: SmallQuarter, client: LlmClient, shape: _Shape) -> None:
    progress = BatchCheckpoints.open(quarter.storage, batch, quarter.run_id)
    finished: list[FinishedFirm] = []
    firms = sorted(batch.firm_ids, reverse=shape.reverse)
    for firm_id, table in iterate_firms(quarter.storage, quarter.manifest, firms, INPUT_COLUMNS):
        if firm_id == "F7":
            progress.record_failure(
                Failure(firm_id, "ValueError", "made to fail", 1, "2023-06-01T12:00:00+00:00")
            )
            continue
        model = _model(firm_id, table.to_pylist(), shape)
        finished.append(
            await summarize_firm(
                model,
                table,
                client,
                quarter=str(quarter.quarter),
                llm=quarter.settings.llm,
            )
        )
        if len(finished) == quarter.settings.map.checkpoint_interval:
            progress.save(finished)
            finished = []
    progress.save(finished)


def _model(firm_id: str, rows: list[dict[str, Any]], shape: _Shape) -> FirmTopics:
    """Topics by hand: each call's pricing and freight sentences, the last one first."""
    topics: list[TopicDraft] = []
    labels = [-1] * len(rows)
    for call in dict.fromkeys(row["transcript_id"] for row in rows):
        for keywords, texts in _SPOKEN.items() if shape.topics else ():
            members = [
                place
                for place, row in enumerate(rows)
                if row["transcript_id"] == call
                and row["raw_text"] in [text.format(firm=row["firm_name"]) for text in texts]
            ][::-1]
            first = rows[members[0]]
            for place in members:
                labels[place] = len(topics)
            topics.append(
                TopicDraft(
                    topic_id=f"{firm_id}_{len(topics)}",
                    local_topic_id=len(topics),
                    earnings_call_date=first["earnings_call_date"],
                    firm_name=first["firm_name"],
                    permno=first["permno"],
                    gvkey=first["gvkey"],
                    keywords=(keywords, "cost", "year"),
                    sentence_ids=tuple(rows[place]["sentence_id"] for place in members),
                    leading_texts=tuple(rows[place]["raw_text"] for place in members),
                    vector=(1.0,),
                )
            )
    kept = np.array([place for place, row in enumerate(rows) if row["raw_text"] != _SMALL_TALK])
    return FirmTopics(firm_id, tuple(topics), tuple(labels), kept, np.ones((len(kept), 2), np.int8))


async def _reduce(quarter: SmallQuarter, client: LlmClient, shape: _Shape) -> None:
    output = read_map_output(quarter.storage, quarter.quarter, quarter.plan, quarter.run_id)
    await run_reduce(
        ReduceContext(
            storage=quarter.storage,
            manifest=quarter.manifest,
            output=output,
            settings=quarter.settings,
            client=client,
            workers=cast(ModelWorkers, _GivenThemes(shape.themes)),
            stop=asyncio.Event(),
            listener=ignore,
        )
    )


class _GivenThemes:
    """Stands in for the processes that cluster: a theme a keyword, no firm dominant in it."""

    n_workers = 1

    def __init__(self, with_themes: bool) -> None:
        self._with_themes = with_themes

    async def call(self, function: Callable[..., Any], folder: str) -> FoundThemes:
        return given_themes(folder, (PRICING, FREIGHT) if self._with_themes else (), _subject_of)


def _subject_of(row: Mapping[str, Any]) -> str | None:
    """The subject of a sentence that one was written for."""
    name = f"Firm {row['firm_id'][1:]}"
    for subject, texts in _SPOKEN.items():
        if row["raw_text"] in [text.format(firm=name) for text in texts]:
            return subject
    return None


def _answer(request: httpx.Request) -> httpx.Response:
    """The LLM: answers each question in words of its own, refuses one topic of one firm.

    It says its last sentence over and over, as small models do.
    """
    if request.url.path.endswith("/models"):
        return httpx.Response(200, json={"data": [{"id": MODEL, "max_model_len": 4096}]})
    if request.method == "GET":
        return httpx.Response(200, json={"status": "ok"})
    body = json.loads(request.content)
    question = body["messages"][-1]["content"]
    subject = FREIGHT if FREIGHT in question.lower() else PRICING
    kind = properties_of(body)
    text = f"Companies show how {subject} changed over the year. They expect more of it."
    if kind == ["summary"]:
        firm = _FIRM_NAME.findall(question)[0]
        text = f"{firm} showed investors how {subject} changed what it earns."
        if firm == REFUSED_FIRM and subject == FREIGHT:
            return httpx.Response(400, json={"error": {"message": "not this one"}})
    repeated = f"{text}{' They expect more of it.' * 3}"
    text = in_form(body, repeated, title=f"{subject.title()} in the quarter")
    return httpx.Response(
        200,
        json={
            "model": MODEL,
            "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20},
        },
    )


@pytest.fixture(scope="session")
def finished_quarter(tmp_path_factory: pytest.TempPathFactory) -> SmallQuarter:
    """The finished quarter, to be read only."""
    return build_small_quarter(LocalStorage(tmp_path_factory.mktemp("finished")))


@pytest.fixture
def small_quarter(finished_quarter: SmallQuarter, tmp_path: Path) -> SmallQuarter:
    """A copy of the finished quarter, to be tampered with."""
    shutil.copytree(finished_quarter.storage.uri, tmp_path / "data")
    return dataclasses.replace(finished_quarter, storage=LocalStorage(tmp_path / "data"))


def edit_json(storage: Storage, key: str, change: Callable[[Any], None]) -> None:
    """Change a JSON record in place."""
    value = json.loads(storage.read(key))
    change(value)
    storage.write(key, json.dumps(value).encode())


def edit_table(
    storage: Storage, key: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
) -> None:
    """Change a table's rows, keeping its schema and its stamp."""
    with storage.open_input(key) as source:
        table = pq.read_table(source)
    rows = change(table.to_pylist())
    with storage.open_output(key) as file:
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), file)


def read_rows(storage: Storage, key: str) -> list[dict[str, Any]]:
    """A table's rows."""
    with storage.open_input(key) as source:
        rows: list[dict[str, Any]] = pq.read_table(source).to_pylist()
    return rows
