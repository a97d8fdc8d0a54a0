"""Checks as SQL files: how a file is read, and a user's own checks beside those of ftm."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftm_core.checks import sql_checks
from ftm_core.checks.evaluate import evaluate
from ftm_core.checks.result import GROUPS
from ftm_core.contracts.errors import InputError
from tests.fakes.small_quarter import QUARTER, SmallQuarter

OWN = """-- title: No firm of {quarter} has more than three topics
-- unit: firms
-- of: (SELECT DISTINCT firm_id FROM topics)
SELECT firm_id, count(*) AS n FROM topics WHERE quarter = $quarter
GROUP BY firm_id HAVING count(*) > 3 ORDER BY firm_id;
"""


def test_built_in_checks_have_title_group_and_value() -> None:
    checks = sql_checks.built_in_checks()

    assert len(checks) >= 26
    for check in checks:
        assert check.group in GROUPS
        assert check.of or check.value, check.id


def test_own_check_reports_violating_rows(finished_quarter: SmallQuarter, tmp_path: Path) -> None:
    """A query without a column "violation" shows its columns; the rows are counted."""
    (tmp_path / "topics-per-firm.sql").write_text(OWN)

    report = evaluate(
        finished_quarter.storage, QUARTER, finished_quarter.settings, own_checks=tmp_path
    )

    (failed,) = report.failed
    assert (failed.id, failed.group) == ("topics-per-firm", "custom")
    assert failed.title == "No firm of 2023Q1 has more than three topics"
    assert failed.value == "5 of 6 firms"
    assert failed.detail == "firm_id F3, n 4"


def test_own_check_that_passes_fails_nothing(
    finished_quarter: SmallQuarter, tmp_path: Path
) -> None:
    (tmp_path / "own.sql").write_text("SELECT * FROM topics WHERE n_sentences < 0")

    report = evaluate(
        finished_quarter.storage, QUARTER, finished_quarter.settings, own_checks=tmp_path
    )

    assert report.passed
    assert report.checks[-1].value == "0 rows violate it"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("naming-method", "SELECT 1", "named like a check of ftm"),
        ("own", "-- only a comment", "has 0 statements"),
        ("own", "SELECT 1;\nSELECT 2;\nSELECT 3;\n", "has 3 statements"),
        ("own", "-- group: else\nSELECT 1", "unknown group else"),
        ("own", "SELECT * FROM nowhere", "check own failed.* was refused by DuckDB"),
        ("own", "DROP TABLE topics", "check own"),
    ],
)
def test_own_check_that_cannot_run_is_named(
    finished_quarter: SmallQuarter, tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / f"{name}.sql").write_text(text)

    with pytest.raises(InputError, match=message):
        evaluate(finished_quarter.storage, QUARTER, finished_quarter.settings, own_checks=tmp_path)


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_own_checks_folder_without_files_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(InputError, match=folder):
        sql_checks.checks_in(tmp_path / folder)
