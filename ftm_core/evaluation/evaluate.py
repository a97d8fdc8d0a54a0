"""Evaluate a finished quarter: every check of the pipeline's promises, with its figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import Settings
from ftm_core.data.finished import open_finished
from ftm_core.evaluation.evidence import Evidence
from ftm_core.evaluation.input_checks import check_counts, read_input
from ftm_core.evaluation.map_checks import MapChecks
from ftm_core.evaluation.reader import CheckedReader
from ftm_core.evaluation.report import EvaluationReport, Samples
from ftm_core.evaluation.sentiment_checks import check_sentiment
from ftm_core.evaluation.table_checks import check_tables
from ftm_core.evaluation.theme_checks import ThemeChecks
from ftm_core.quality.figures import QualityReport
from ftm_core.quality.measure import measure_quality
from ftm_core.quality.recovery import own_key
from ftm_core.storage import Storage

SAMPLE_ROWS = 5
_THEME_COLUMNS = ("theme_id", "name", "description", "n_firms", "n_topics")
_CONTRIBUTION_COLUMNS = ("theme_id", "firm_name", "permno", "gvkey", "earnings_call_date")


def evaluate(
    storage: Storage,
    quarter: Quarter,
    settings: Settings,
    quality: QualityReport | None = None,
) -> EvaluationReport:
    """Check a quarter against its input, its kept answers, its schemas and the design's rules.

    Of ``settings`` only the tolerance for failed firms and the thresholds of quality count: the
    rows are judged by the settings that their run recorded. Reads every table part by part, and
    once more to measure quality where all checks passed, unless ``quality`` holds that already.
    Raises InputError when the quarter is not finished or a record of it is unreadable, StorageError
    when storage fails.
    """
    finished = open_finished(storage, quarter)
    reader = CheckedReader(storage, finished.identity.run_id)
    evidence = Evidence(finished)
    given, same_input = read_input(finished)
    map_checks = MapChecks(finished, reader, evidence)
    of_map = map_checks.run(given)
    facts = map_checks.facts
    theme_checks = ThemeChecks(finished, reader, facts)
    of_themes = theme_checks.run(evidence)
    contributions = theme_checks.contributions
    theme_of = {row["topic_id"]: row["theme_id"] for row in contributions}
    of_tables = check_tables(finished, reader, given, facts, theme_of)
    of_sentiment = check_sentiment(
        finished, reader, given, facts, theme_checks.themes, contributions
    )
    counts = check_counts(finished, given, facts.sentences, settings.map.max_failure_rate)
    checks = (
        *reader.checks(),
        same_input,
        *counts,
        *of_map,
        *of_themes,
        *of_tables,
        *of_sentiment,
    )
    warnings = None
    if all(check.passed for check in checks):
        if quality is None:
            key = own_key(quarter, finished.manifest.source)
            quality = measure_quality(storage, quarter, settings.quality, key)
        warnings = quality.warnings
    return EvaluationReport(
        quarter=str(quarter),
        data=storage.uri,
        run_id=finished.identity.run_id,
        checks=checks,
        warnings=warnings,
        samples=Samples(
            topics=tuple(facts.samples),
            themes=_first(theme_checks.themes, _THEME_COLUMNS),
            contributions=_first(contributions, _CONTRIBUTION_COLUMNS),
        ),
    )


def _first(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> tuple[dict[str, Any], ...]:
    return tuple({name: row[name] for name in columns} for row in rows[:SAMPLE_ROWS])
