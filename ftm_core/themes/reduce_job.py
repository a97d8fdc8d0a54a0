"""The reduce job: sentences of the run to themes, descriptions asked, tables written."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ftm_core.contracts import schemas
from ftm_core.contracts.errors import ChecksFailedError, InputError, InterruptedRunError
from ftm_core.contracts.events import Listener, StageAdvanced, StageFinished, StageStarted
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import Failure, Manifest, ReduceState, utc_now
from ftm_core.contracts.settings import Settings
from ftm_core.data.catalog import TABLES, TableSpec
from ftm_core.data.map_output import MapOutput
from ftm_core.data.part_copies import PartCopies
from ftm_core.data.quarter_store import QuarterStore
from ftm_core.llm.client import LlmClient
from ftm_core.llm.item_texts import ThemeText
from ftm_core.storage import Storage, tables
from ftm_core.themes import descriptions, exposures
from ftm_core.themes.descriptions import describe_themes
from ftm_core.themes.downstream_tables import (
    CallKey,
    DownstreamReport,
    SentenceThemes,
    read_calls,
    write_downstream,
)
from ftm_core.themes.quarter_sentences import QuarterSentences, read_sentences, write_sentences
from ftm_core.themes.sentiment_rows import TopicThemes
from ftm_core.themes.theme_evidence import ThemeEvidence
from ftm_core.themes.theme_finding import STEPS_FILE, FoundThemes, find_themes, n_steps
from ftm_core.topics.workers import ModelWorkers

_Result = TypeVar("_Result")

FIND_STAGE = "find themes"
_STEPS_POLL_SECONDS = 0.5
_TOPIC_COLUMNS = (
    "topic_id", "firm_id", "firm_name", "permno", "gvkey", "earnings_call_date", "n_sentences",
)  # fmt: skip


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
    store = QuarterStore(context.storage, context.output.quarter)
    stands = await asyncio.to_thread(_standing_outcome, store, context.output)
    if stands is not None:
        return stands
    with tempfile.TemporaryDirectory(prefix="ftm-themes-") as folder:
        return await _reduce(context, store, Path(folder))


async def _reduce(context: ReduceContext, store: QuarterStore, folder: Path) -> ReduceOutcome:
    storage, output, quarter = context.storage, context.output, context.output.quarter
    copies = PartCopies(storage, output, folder)
    topics = (await asyncio.to_thread(copies.topics)).select(_TOPIC_COLUMNS)
    await asyncio.to_thread(write_sentences, copies)
    sentences = await asyncio.to_thread(read_sentences, folder)
    found = await _find(folder, sentences, context)
    theme_ids = _theme_ids(quarter, len(found.themes))
    described = await _describe(theme_ids, found, context)
    failures = tuple(item for item in described if isinstance(item, Failure))
    await asyncio.to_thread(store.write_theme_failures, failures)
    if failures:
        raise ChecksFailedError(
            f"The themes of {quarter}",
            f"could not all be described: {len(failures)} of {len(theme_ids)} failed. The first "
            f"failed with: {failures[0].error_message}",
            "Run the same command again: all other answers are kept.",
        )
    named = [item for item in described if isinstance(item, ThemeText)]
    calls = await asyncio.to_thread(read_calls, storage, output, context.manifest)
    tables_of = _ThemeTables(context, sentences, topics, found, theme_ids, named, calls)
    index = await asyncio.to_thread(tables_of.write)
    downstream = await asyncio.to_thread(
        write_downstream,
        copies,
        calls,
        context.manifest,
        tables_of.sentence_themes(),
        index,
        context.listener,
    )
    outcome = ReduceOutcome(
        n_topics=topics.num_rows,
        n_topics_in_themes=len(index.own),
        n_themes=len(theme_ids),
        failures=(),
        downstream=downstream,
        unchanged=False,
    )
    # Written last, when every table is complete.
    await asyncio.to_thread(store.write_reduce_state, _state_of(output, outcome))
    return outcome


def judge_failures(output: MapOutput, settings: Settings) -> None:
    """Raise ChecksFailedError when more firms failed than is tolerated."""
    failed, allowed = len(output.failed_firms), settings.map.max_failure_rate
    if output.n_firms and failed / output.n_firms > allowed:
        raise ChecksFailedError(
            f"The map of {output.quarter}",
            f"has {failed} failed firms of {output.n_firms}, more than the tolerated {allowed:.0%}",
            "Fix the cause and run again: `ftm failures` lists the firms with their reasons. "
            "Finished firms are kept.",
        )


async def _find(folder: Path, sentences: QuarterSentences, context: ReduceContext) -> FoundThemes:
    total = n_steps(sentences, context.settings.themes)
    context.listener(StageStarted(FIND_STAGE, total, "steps"))
    started = asyncio.get_running_loop().time()
    told = 0

    def tell() -> None:
        """Report the steps that the worker has finished since the last call."""
        nonlocal told
        steps = folder / STEPS_FILE
        done = steps.stat().st_size if steps.exists() else 0
        if done > told:
            context.listener(StageAdvanced(FIND_STAGE, done - told))
            told = done

    async def keep_telling() -> None:
        while True:
            await asyncio.sleep(_STEPS_POLL_SECONDS)
            tell()

    work = asyncio.create_task(context.workers.call(find_themes, str(folder)))
    telling = asyncio.create_task(keep_telling())
    try:
        found = await _unless_stopped(work, context)
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
    tell()
    seconds = asyncio.get_running_loop().time() - started
    context.listener(StageFinished(FIND_STAGE, seconds))
    return found


async def _describe(
    theme_ids: Sequence[str], found: FoundThemes, context: ReduceContext
) -> list[ThemeText | Failure]:
    context.listener(StageStarted(descriptions.STAGE, len(theme_ids), "themes"))
    started = asyncio.get_running_loop().time()
    evidence = [
        ThemeEvidence(theme_id, theme.keywords, theme.leading_sentences)
        for theme_id, theme in zip(theme_ids, found.themes, strict=True)
    ]
    work = asyncio.create_task(
        describe_themes(
            evidence,
            context.client,
            llm=context.settings.llm,
            listener=context.listener,
        )
    )
    described = await _unless_stopped(work, context)
    seconds = asyncio.get_running_loop().time() - started
    context.listener(StageFinished(descriptions.STAGE, seconds))
    return described


async def _unless_stopped(work: asyncio.Task[_Result], context: ReduceContext) -> _Result:
    """Await ``work``, or cancel it and raise InterruptedRunError on a stop."""
    stop = asyncio.create_task(context.stop.wait())
    try:
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise InterruptedRunError(
                f"The reduce of {context.output.quarter}",
                "was asked to stop, and every answer so far is kept",
                "Run the same command again to resume.",
            )
        return await work
    finally:
        stop.cancel()
        work.cancel()
        await asyncio.gather(work, stop, return_exceptions=True)


def _theme_ids(quarter: Quarter, count: int) -> list[str]:
    return [f"theme_{quarter}_{number:03d}" for number in range(1, count + 1)]


@dataclass(frozen=True)
class _ThemeTables:
    """What the theme tables of a quarter are written from."""

    context: ReduceContext
    sentences: QuarterSentences
    topics: pa.Table
    found: FoundThemes
    theme_ids: Sequence[str]
    described: Sequence[ThemeText]
    calls: dict[CallKey, dict[str, Any]]

    def write(self) -> TopicThemes:
        """Write themes, directions, contributions and exposures; returns the themes of topics."""
        quarter, ids = str(self.context.output.quarter), pa.array(self.theme_ids, pa.string())
        contributions = exposures.find_contributions(
            self.sentences, self.found.assignment, self.topics
        )
        rows = self._theme_rows(np.bincount(contributions.themes, minlength=len(self.theme_ids)))
        directions = [
            {"theme_id": theme_id, "direction": direction, "quarter": quarter}
            for theme_id, direction in zip(
                self.theme_ids, self.found.directions.tolist(), strict=True
            )
        ]
        written = {
            "themes": pa.Table.from_pylist(rows, schemas.THEMES),
            "theme_directions": pa.Table.from_pylist(directions, schemas.THEME_DIRECTIONS),
            "theme_contributions": exposures.contribution_table(
                contributions, self.topics, ids, quarter
            ),
            "theme_exposures": exposures.exposure_table(
                self.sentences, self.found.assignment, self.calls, ids, quarter
            ),
        }
        for name, table in written.items():
            self._write_table(TABLES[name], table)
        return self._topic_themes(contributions, rows)

    def _write_table(self, spec: TableSpec, table: pa.Table) -> None:
        storage, output = self.context.storage, self.context.output
        key = spec.key(output.quarter)
        where = storage.describe(key)
        stamped = schemas.stamp(table, spec.schema, run_id=output.run_id, where=where)
        tables.write_table(storage, key, stamped)

    def sentence_themes(self) -> SentenceThemes:
        """The theme of each sentence that is in one, by id."""
        themes = self.found.assignment.themes
        placed = np.flatnonzero(themes >= 0)
        ids = self.sentences.table["sentence_id"].take(self.sentences.kept[placed])
        theme_ids = pa.array(self.theme_ids, pa.string()).take(pa.array(themes[placed]))
        return SentenceThemes(ids.combine_chunks(), theme_ids)

    def _theme_rows(self, n_topics: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
        return [
            {
                "theme_id": theme_id,
                "name": described.name,
                "label": theme.label,
                "description": described.description,
                "keywords": list(theme.keywords),
                "kind": theme.kind,
                "group_id": theme.group,
                "group_name": theme.group_name,
                "n_firms": theme.n_firms,
                "n_topics": topics,
                "n_sentences": theme.n_sentences,
                "quarter": str(self.context.output.quarter),
            }
            for theme_id, theme, described, topics in zip(
                self.theme_ids, self.found.themes, self.described, n_topics.tolist(), strict=True
            )
        ]

    def _topic_themes(
        self,
        contributions: exposures.Contributions,
        rows: Sequence[dict[str, Any]],
    ) -> TopicThemes:
        names = self.topics["topic_id"].to_pylist()
        own = exposures.theme_of_topics(contributions, len(names))
        by_topic: dict[str, list[tuple[str, int]]] = {}
        for theme, topic, count in zip(
            contributions.themes.tolist(),
            contributions.topics.tolist(),
            contributions.n_sentences.tolist(),
            strict=True,
        ):
            by_topic.setdefault(names[topic], []).append((self.theme_ids[theme], count))
        return TopicThemes(
            themes={row["theme_id"]: row for row in rows},
            own={
                name: self.theme_ids[theme]
                for name, theme in zip(names, own.tolist(), strict=True)
                if theme >= 0
            },
            contributions=by_topic,
        )


def _state_of(output: MapOutput, outcome: ReduceOutcome) -> ReduceState:
    """What says that all tables of the quarter are complete and what they were made from."""
    return ReduceState(
        run_id=output.run_id,
        map_output=output.fingerprint,
        n_topics=outcome.n_topics,
        n_topics_in_themes=outcome.n_topics_in_themes,
        n_themes=outcome.n_themes,
        timestamp=utc_now(),
    )


def _standing_outcome(store: QuarterStore, output: MapOutput) -> ReduceOutcome | None:
    """The earlier outcome when the themes were made from this very map output."""
    try:
        state = store.reduce_state
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
