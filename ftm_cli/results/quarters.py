"""Results of the commands that write, measure and read the data of a quarter."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from ftm_cli.results.base import FORBID, Result, RootResult
from ftm_core.checks.result import Check
from ftm_core.quality.quality_report import Measure
from ftm_core.themes.downstream_tables import DownstreamReport
from ftm_core.themes.export import ExportedTable


class SampleRows(Result):
    """The first rows of three tables."""

    topics: list[dict[str, Any]]
    themes: list[dict[str, Any]]
    contributions: list[dict[str, Any]]


class EvaluatedQuarter(Result):
    """The checks of one quarter."""

    quarter: str
    data: str
    run_id: str
    passed: bool
    n_passed: int
    n_failed: int
    checks: list[Check]
    warnings: list[Measure] | None = Field(
        description="Measures beyond their thresholds; null where a check failed."
    )
    samples: SampleRows


class EvaluateReport(Result):
    """JSON of `ftm evaluate`."""

    passed: bool
    quarters: list[EvaluatedQuarter]


class QualityReportResult(Result):
    """JSON of `ftm quality`."""

    quarter: str
    data: str
    run_id: str
    n_warnings: int
    measures: list[Measure]
    recovery: dict[str, Any] | None = Field(description="Comparison with labels, where given.")


class RecordedFailureResult(Result):
    """One recorded failure of a firm, a topic or a theme."""

    batch_id: str
    firm_id: str
    error_type: str
    error_message: str
    attempts: int
    timestamp: str
    topic_id: str | None


class FailuresResult(Result):
    """JSON of `ftm failures`."""

    quarter: str
    n_firms: int
    n_failed_firms: int
    n_failures: int
    failures: list[RecordedFailureResult]


class LinkedTheme(Result):
    """One theme of a link."""

    theme_id: str
    name: str
    description: str
    keywords: list[str]
    n_firms: int


class ThemeLink(Result):
    """What became of one theme from a quarter to the next."""

    kind: Literal["continued", "merged", "gone", "split", "born"]
    before: LinkedTheme | None
    after: LinkedTheme | None
    similarity: float | None
    growth: int | None = Field(description="Change in firms, of continued themes alone.")


class ThemeStep(Result):
    """All links from one quarter to the next."""

    earlier: str
    later: str
    links: list[ThemeLink]


class PlottedValue(Result):
    """Exposure to one theme of the panel in one quarter."""

    panel_theme_id: str
    panel_theme_name: str
    theme_id: str
    quarter: str
    n_calls: int
    n_firms: int = Field(description="Firms with a sentence in the theme.")
    mean_share: float = Field(description="Mean over all calls of the quarter, 0 to 1.")


class ThemesPlot(Result):
    """What `ftm themes --plot` drew."""

    path: str
    values: list[PlottedValue]


class ThemesReport(Result):
    """JSON of `ftm themes`."""

    quarters: list[str]
    skipped: list[str] = Field(description="Quarters of the range that have no themes.")
    threshold: float
    steps: list[ThemeStep]
    plot: ThemesPlot | None = Field(description="Null without --plot.")


class BrowsedTheme(Result):
    """One theme of the list."""

    theme_id: str
    name: str
    label: str
    description: str
    keywords: list[str]
    kind: str
    group_id: int
    group_name: str
    n_firms: int
    n_topics: int
    n_sentences: int


class BrowsedTopic(Result):
    """One topic of a theme."""

    topic_id: str
    firm_id: str
    firm_name: str
    earnings_call_date: dt.date
    theme_id: str | None
    keywords: list[str]
    summary: str
    n_sentences: int


class BrowsedSentence(Result):
    """One sentence of a topic."""

    sentence_id: str
    position: int
    speaker_type: str
    raw_text: str


class BrowseReport(Result):
    """JSON of `ftm browse`: all themes, one theme with its topics, or one topic with sentences."""

    quarter: str
    themes: list[BrowsedTheme]
    topics: list[BrowsedTopic]
    sentences: list[BrowsedSentence]


class ExportReport(Result):
    """JSON of `ftm export`."""

    quarter: str = Field(description="`panel` for a panel.")
    format: str
    tables: list[ExportedTable]


class ReportPage(Result):
    """One page that was written."""

    quarter: str
    path: str
    bytes: int
    themes: int
    topics: int
    topics_on_map: int
    checks_failed: int
    quality_warnings: int


class ReportReport(Result):
    """JSON of `ftm report`."""

    quarters: list[ReportPage]


@dataclass(frozen=True, config=FORBID)
class PackagedQuarter(DownstreamReport):
    """What was written of one quarter, and what was left out of sentiment-ready and why."""

    quarter: str


class PackageReport(RootResult[PackagedQuarter]):
    """JSON of `ftm package`."""
