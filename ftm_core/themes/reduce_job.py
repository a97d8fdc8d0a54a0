"""The reduce job: topics of the run to themes, descriptions asked, tables written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa

from ftm_core.contracts import keys, schemas
from ftm_core.contracts.errors import ChecksFailedError, InputError, InterruptedRunError
from ftm_core.contracts.events import Listener, Note, StageFinished, StageStarted
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import (
    Failure,
    FailuresManifest,
    Manifest,
    ReduceState,
    to_json,
    utc_now,
)
from ftm_core.contracts.settings import Settings
from ftm_core.data.json_records import read_record, write_record
from ftm_core.data.map_output import MapOutput, read_topics
from ftm_core.llm.client import LlmClient
from ftm_core.llm.item_texts import ThemeText
from ftm_core.storage import Storage, tables
from ftm_core.themes import descriptions
from ftm_core.themes.descriptions import describe_themes
from ftm_core.themes.evidence import LEADING_SENTENCES, ThemeEvidence
from ftm_core.themes.points import read_points, read_vectors
from ftm_core.themes.tables import DownstreamReport, write_downstream
from ftm_core.themes.theme_model import ThemeDraft, TopicPoint, find_themes
from ftm_core.topics.embedding import Vectors
from ftm_core.topics.workers import ModelWorkers

_Result = TypeVar("_Result")

CLUSTER_STAGE = "cluster topics"


@dataclass(frozen=True)
class ReduceContext:
    """All that the reduce job works with."""

    storage: Storage
    manifest: Manifest
    output: MapOutput
    settings: Settings
    client: LlmClient
    workers: ModelWorkers
    stop: asyncio.Event
    listener: Listener


@dataclass(frozen=True)
class ReduceOutcome:
    """What the reduce came to; ``unchanged`` when the themes of this map output stood already."""

    n_topics: int
    n_topics_in_themes: int
    n_themes: int
    failures: tuple[Failure, ...]
    downstream: DownstreamReport | None
    unchanged: bool


async def run_reduce(context: ReduceContext) -> ReduceOutcome:
    """Make the quarter's themes from its map output.

    Raises ChecksFailedError when the map's failures are over tolerance (before anything is
    written) or a theme could not be described (after all others are), LlmUnavailableError and
    InterruptedRunError with every answer so far kept.
    """
    judge_failures(context.output, context.settings)
    quarter = context.output.quarter
    stands = await asyncio.to_thread(_standing_outcome, context.storage, quarter, context.output)
    if stands is not None:
        return stands
    topics = await asyncio.to_thread(read_topics, context.storage, context.output)
    rows = topics.select(
        ["topic_id", "firm_id", "firm_name", "permno", "gvkey", "earnings_call_date",
         "summary", "keywords", "n_sentences"]
    ).to_pylist()  # fmt: skip
    points = await asyncio.to_thread(read_points, context.storage, context.output, topics)
    drafts = await _cluster(points, read_vectors(topics), context)
    named = _theme_ids(quarter, len(drafts))
    described = await _describe(named, drafts, rows, context)
    failures = tuple(item for item in described if isinstance(item, Failure))
    await asyncio.to_thread(_write_themes, context, named, drafts, described, rows)
    await asyncio.to_thread(_write_failures, context.storage, quarter, failures)
    if failures:
        raise ChecksFailedError(
            f"themes of {quarter}",
            f"{len(failures)} of {len(drafts)} themes could not be described; the first: "
            f"{failures[0].error_message}",
            "Run the same command again: all other answers are kept.",
        )
    downstream = await asyncio.to_thread(
        write_downstream,
        context.storage,
        context.output,
        context.manifest,
        run_id=context.output.run_id,
        listener=context.listener,
    )
    outcome = ReduceOutcome(
        n_topics=len(rows),
        n_topics_in_themes=sum(len(draft.members) for draft in drafts),
        n_themes=len(drafts),
        failures=(),
        downstream=downstream,
        unchanged=False,
    )
    await asyncio.to_thread(_write_state, context.storage, context.output, outcome)
    return outcome


def judge_failures(output: MapOutput, settings: Settings) -> None:
    """Raise ChecksFailedError when more firms failed than is tolerated."""
    failed, allowed = len(output.failed_firms), settings.map.max_failure_rate
    if output.n_firms and failed / output.n_firms > allowed:
        raise ChecksFailedError(
            f"map of {output.quarter}",
            f"{failed} of {output.n_firms} firms failed, more than the tolerated {allowed:.0%}",
            "`ftm failures` lists them with their reasons; mend the cause and run again. Finished "
            "firms are kept.",
        )


async def _cluster(
    points: Sequence[TopicPoint], vectors: Vectors, context: ReduceContext
) -> list[ThemeDraft]:
    context.listener(StageStarted(CLUSTER_STAGE, None, "topics"))
    started = asyncio.get_running_loop().time()
    work = asyncio.create_task(context.workers.call(find_themes, points, vectors))
    drafts = await _unless_stopped(work, context)
    seconds = asyncio.get_running_loop().time() - started
    context.listener(StageFinished(CLUSTER_STAGE, seconds))
    return drafts


async def _describe(
    named: Sequence[str],
    drafts: Sequence[ThemeDraft],
    rows: Sequence[dict[str, Any]],
    context: ReduceContext,
) -> list[ThemeText | Failure]:
    context.listener(StageStarted(descriptions.STAGE, len(drafts), "themes"))
    started = asyncio.get_running_loop().time()
    work = asyncio.create_task(
        describe_themes(
            [
                _evidence(theme_id, draft, rows)
                for theme_id, draft in zip(named, drafts, strict=True)
            ],
            context.client,
            llm=context.settings.llm,
            listener=context.listener,
        )
    )
    described = await _unless_stopped(work, context)
    seconds = asyncio.get_running_loop().time() - started
    context.listener(StageFinished(descriptions.STAGE, seconds))
    return described


def _evidence(theme_id: str, draft: ThemeDraft, rows: Sequence[dict[str, Any]]) -> ThemeEvidence:
    """The summaries of a theme's most central topics, each of another firm."""
    by_firm: dict[str, str] = {}
    for member in draft.members:
        by_firm.setdefault(rows[member]["firm_id"], rows[member]["summary"])
    return ThemeEvidence(theme_id, draft.keywords, tuple(by_firm.values())[:LEADING_SENTENCES])


async def _unless_stopped(work: asyncio.Task[_Result], context: ReduceContext) -> _Result:
    """Await ``work``, or cancel it and raise InterruptedRunError on a stop."""
    stop = asyncio.create_task(context.stop.wait())
    try:
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise InterruptedRunError(
                f"reduce of {context.output.quarter}",
                "was asked to stop; every answer so far is kept",
                "Run the same command again to go on.",
            )
        return await work
    finally:
        stop.cancel()
        work.cancel()
        await asyncio.gather(work, stop, return_exceptions=True)


def _theme_ids(quarter: Quarter, count: int) -> list[str]:
    return [f"theme_{quarter}_{number:03d}" for number in range(1, count + 1)]


def _write_themes(
    context: ReduceContext,
    named: Sequence[str],
    drafts: Sequence[ThemeDraft],
    described: Sequence[ThemeText | Failure],
    rows: Sequence[dict[str, Any]],
) -> None:
    """Write both tables; a theme without a description is in neither."""
    storage, quarter = context.storage, str(context.output.quarter)
    themes: list[dict[str, Any]] = []
    contributions: list[dict[str, Any]] = []
    for theme_id, draft, description in zip(named, drafts, described, strict=True):
        if isinstance(description, Failure):
            context.listener(Note(f"{theme_id}: {description.error_message}", "warning"))
            continue
        themes.append(
            {
                "theme_id": theme_id,
                "name": description.name,
                "description": description.description,
                "keywords": list(draft.keywords),
                "n_topics": len(draft.members),
                "n_firms": draft.n_firms,
                "quarter": quarter,
            }
        )
        contributions.extend(
            {
                "theme_id": theme_id,
                **{
                    name: rows[member][name]
                    for name in schemas.THEME_CONTRIBUTIONS.names
                    if name in rows[member]
                },
                "quarter": quarter,
            }
            for member in draft.members
        )
    for key, found, schema in (
        (keys.themes(context.output.quarter), themes, schemas.THEMES),
        (
            keys.theme_contributions(context.output.quarter),
            contributions,
            schemas.THEME_CONTRIBUTIONS,
        ),
    ):
        tables.write_table(storage, key, _table(found, schema, context, key))


def _table(
    rows: list[dict[str, Any]], schema: pa.Schema, context: ReduceContext, key: str
) -> pa.Table:
    return schemas.table_from_rows(
        rows, schema, run_id=context.output.run_id, where=context.storage.describe(key)
    )


def _write_failures(storage: Storage, quarter: Quarter, failures: tuple[Failure, ...]) -> None:
    manifest = FailuresManifest(
        batch_id=f"{quarter}_themes",
        quarter=str(quarter),
        n_failures=len(failures),
        failures=failures,
        timestamp=utc_now(),
    )
    storage.write(keys.theme_failures(quarter), to_json(manifest))


def _write_state(storage: Storage, output: MapOutput, outcome: ReduceOutcome) -> None:
    """Written last: says that all tables of the quarter stand and from what they were made."""
    state = ReduceState(
        run_id=output.run_id,
        map_output=output.fingerprint,
        n_topics=outcome.n_topics,
        n_topics_in_themes=outcome.n_topics_in_themes,
        n_themes=outcome.n_themes,
        timestamp=utc_now(),
    )
    write_record(storage, keys.reduce_state(output.quarter), state)


def _standing_outcome(
    storage: Storage, quarter: Quarter, output: MapOutput
) -> ReduceOutcome | None:
    """The earlier outcome when the themes were made from this very map output."""
    try:
        state = read_record(storage, keys.reduce_state(quarter), ReduceState)
    except InputError:
        # A damaged record says nothing: the tables are made again.
        return None
    if state is None or (state.run_id, state.map_output) != (output.run_id, output.fingerprint):
        return None
    return ReduceOutcome(
        n_topics=state.n_topics,
        n_topics_in_themes=state.n_topics_in_themes,
        n_themes=state.n_themes,
        failures=(),
        downstream=None,
        unchanged=True,
    )
