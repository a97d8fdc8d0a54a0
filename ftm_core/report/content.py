"""Collect the content of the report of a finished quarter."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ftm_core.checks.evaluate import evaluate
from ftm_core.checks.result import EvaluationReport
from ftm_core.contracts.events import Listener, StageFinished, StageStarted
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import Manifest, RunIdentity, Timings
from ftm_core.contracts.settings import Settings
from ftm_core.data.failures import FailuresReport, collect_failures
from ftm_core.data.quarter_store import QuarterStore
from ftm_core.llm.answers import AnswerStore
from ftm_core.quality.measure import measure_quality
from ftm_core.quality.quality_report import QualityReport
from ftm_core.quality.theme_recovery import own_key
from ftm_core.report.heatmap import Heatmap, heatmap
from ftm_core.report.quarter_tables import QuarterTables
from ftm_core.report.theme_entries import ThemeEntry, ThemeGroup, theme_entries, theme_groups
from ftm_core.report.timeline import Timeline, read_timeline
from ftm_core.report.topic_map import VectorsOf, topic_map
from ftm_core.report.topic_vectors import vectors_of
from ftm_core.storage import Storage


@dataclass(frozen=True)
class LlmUse:
    """Answers kept for the quarter, over all its runs, and their tokens."""

    n_answers: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class QuarterViews:
    """What the page draws of the quarter's tables; ``topic_map`` is plain values."""

    n_calls: int
    themes: tuple[ThemeEntry, ...]
    groups: tuple[ThemeGroup, ...]
    topic_map: dict[str, Any]
    heatmap: Heatmap


@dataclass(frozen=True)
class ReportContent:
    """The content of the page; ``timings`` is None when the run left none."""

    data: str
    identity: RunIdentity
    manifest: Manifest
    evaluation: EvaluationReport
    quality: QualityReport
    failures: FailuresReport
    timings: Timings | None
    llm: LlmUse
    views: QuarterViews
    timeline: Timeline | None

    @property
    def seconds(self) -> float | None:
        """From the run's begin to its end, breaks between resumed runs included."""
        if self.identity.finished is None:
            return None
        began = dt.datetime.fromisoformat(self.identity.started)
        return (dt.datetime.fromisoformat(self.identity.finished) - began).total_seconds()


def collect(
    storage: Storage, quarter: Quarter, settings: Settings, listener: Listener
) -> ReportContent:
    """Read, check and measure a finished quarter.

    Raises InputError when it is not finished or one of its tables or records is unreadable.
    """
    store = QuarterStore(storage, quarter)
    finished = store.finished
    with _stage(listener, "measure its quality"):
        key = own_key(quarter, finished.manifest.source)
        quality = measure_quality(storage, quarter, settings.quality, key)
    with _stage(listener, "check the quarter"):
        answers = AnswerStore.open(storage, quarter)
        evaluation = evaluate(storage, quarter, settings, quality, answers=answers)
    with _stage(listener, "lay out themes and topics"):
        tables = QuarterTables(store)
        views = quarter_views(
            tables,
            lambda topic_ids: vectors_of(storage, finished.output, topic_ids),
            finished.settings["themes"]["flattened_directions"],
        )
    return ReportContent(
        data=storage.uri,
        identity=finished.identity,
        manifest=finished.manifest,
        evaluation=evaluation,
        quality=quality,
        failures=collect_failures(storage, quarter),
        timings=QuarterStore(storage, quarter).timings,
        llm=LlmUse(*answers.usage()),
        views=views,
        timeline=read_timeline(storage, quarter, settings.quality.link_threshold),
    )


def quarter_views(
    tables: QuarterTables, vectors_of: VectorsOf, flattened_directions: int
) -> QuarterViews:
    """What the page draws, sampled where there is too much for a page."""
    return QuarterViews(
        n_calls=tables.firms.num_rows,
        themes=tuple(theme_entries(tables)),
        groups=tuple(theme_groups(tables)),
        topic_map=topic_map(tables, vectors_of, flattened_directions),
        heatmap=heatmap(tables),
    )


@contextlib.contextmanager
def _stage(listener: Listener, name: str) -> Iterator[None]:
    listener(StageStarted(name, None, "steps"))
    started = time.monotonic()
    yield
    listener(StageFinished(name, time.monotonic() - started))
