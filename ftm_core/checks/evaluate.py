"""Evaluate a finished quarter: every check of the pipeline's promises, with its value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from ftm_core.checks import sql_checks
from ftm_core.checks.answer_evidence import AnswerEvidence
from ftm_core.checks.files import check_tables, check_transcripts
from ftm_core.checks.result import GROUPS, Check, EvaluationReport, Samples
from ftm_core.checks.texts import check_theme_texts, check_topic_texts
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import Settings
from ftm_core.data.catalog import TABLES
from ftm_core.data.database import QuarterDatabase
from ftm_core.data.finished import FinishedQuarter
from ftm_core.data.quarter_store import QuarterStore
from ftm_core.llm.answers import AnswerStore
from ftm_core.quality.measure import measure_quality
from ftm_core.quality.quality_report import QualityReport
from ftm_core.quality.theme_recovery import own_key
from ftm_core.storage import Storage
from ftm_core.themes.downstream_tables import failed_wholly

CHECKED_TABLES = tuple(TABLES)
_TOPIC_SAMPLE = "SELECT firm_name, topic_id, representation, summary FROM firm_topics LIMIT 10"
_THEME_SAMPLE = "SELECT theme_id, name, description, n_firms, n_topics FROM themes LIMIT 5"
_CONTRIBUTION_SAMPLE = (
    "SELECT theme_id, firm_name, permno, gvkey, earnings_call_date FROM theme_contributions LIMIT 5"
)


def evaluate(
    storage: Storage,
    quarter: Quarter,
    settings: Settings,
    quality: QualityReport | None = None,
    *,
    answers: AnswerStore | None = None,
    own_checks: Path | None = None,
) -> EvaluationReport:
    """Check a quarter against its input, its cached responses, its schemas and the design's rules.

    Of ``settings`` only the tolerance for failed firms and the thresholds of quality count: the
    rows are checked against the settings that their run recorded. ``own_checks`` is a folder of
    further SQL checks. Every file is read once and then queried by DuckDB in bounded memory;
    quality is measured where all checks passed, and the cached responses are read, unless
    ``quality`` and ``answers`` hold those already. Raises
    InputError when the quarter is not finished or a record of it is unreadable, StorageError when
    storage fails.
    """
    custom = [] if own_checks is None else sql_checks.checks_in(own_checks)
    store = QuarterStore(storage, quarter)
    finished = store.finished
    transcripts, same_input = check_transcripts(store)
    sources, of_files = check_tables(store, CHECKED_TABLES)
    sources["transcripts"] = transcripts
    kept = AnswerStore.open(storage, quarter) if answers is None else answers
    evidence = AnswerEvidence(finished, kept)
    with QuarterDatabase(storage, sources.get) as database:
        _add_records(database, finished)
        sql_checks.prepare(database)
        parameters = _parameters(finished, settings)
        checks = [
            same_input,
            *of_files,
            *check_topic_texts(store, sources, evidence),
            *check_theme_texts(database.query("SELECT * FROM themes").to_pylist(), evidence),
            *(
                sql_checks.run_check(check, database, parameters)
                for check in [*sql_checks.built_in_checks(), *custom]
            ),
        ]
        samples = Samples(
            topics=tuple(database.query(_TOPIC_SAMPLE).to_pylist()),
            themes=tuple(database.query(_THEME_SAMPLE).to_pylist()),
            contributions=tuple(database.query(_CONTRIBUTION_SAMPLE).to_pylist()),
        )
    checks.sort(key=lambda check: (GROUPS.index(check.group), check.id))
    return EvaluationReport(
        quarter=str(quarter),
        data=storage.uri,
        run_id=finished.identity.run_id,
        checks=tuple(checks),
        warnings=_warnings(storage, quarter, settings, quality, checks),
        samples=samples,
    )


def _warnings(
    storage: Storage,
    quarter: Quarter,
    settings: Settings,
    quality: QualityReport | None,
    checks: list[Check],
) -> Any:
    """Measures beyond their thresholds; None where a check failed."""
    if not all(check.passed for check in checks):
        return None
    if quality is None:
        key = own_key(quarter, QuarterStore(storage, quarter).manifest.source)
        quality = measure_quality(storage, quarter, settings.quality, key)
    return quality.warnings


def _parameters(finished: FinishedQuarter, settings: Settings) -> dict[str, Any]:
    quarter, themes = finished.quarter, finished.settings["themes"]
    return {
        "quarter": str(quarter),
        "first_day": quarter.first_day,
        "last_day": quarter.last_day,
        "min_firms": themes["min_firms"],
        "max_firm_dominance": themes["max_firm_dominance"],
        "max_failure_rate": settings.map.max_failure_rate,
        "n_ingested": finished.manifest.n_sentences,
    }


def _add_records(database: QuarterDatabase, finished: FinishedQuarter) -> None:
    """The plan, what was completed and what failed, as tables."""
    output = finished.output
    completed = [firm for point in output.checkpoints for firm in point.completed_firm_ids]
    for name, firms in (
        ("planned", finished.planned_firms),
        ("completed", completed),
        ("failed_firms", sorted(failed_wholly(output))),
    ):
        database.add(name, pa.table({"firm_id": pa.array(firms, pa.string())}))
    database.add(
        "failures",
        pa.table(
            {
                "number": pa.array(range(len(output.failures)), pa.int64()),
                "firm_id": pa.array([one.firm_id for one in output.failures], pa.string()),
                "topic_id": pa.array([one.topic_id for one in output.failures], pa.string()),
                "error_type": pa.array([one.error_type for one in output.failures], pa.string()),
                "error_message": pa.array(
                    [one.error_message for one in output.failures], pa.string()
                ),
            }
        ),
    )
