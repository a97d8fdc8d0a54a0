"""`ftm themes` as an operator runs it over two quarters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ftm_cli.app import app
from ftm_core.contracts import keys, schemas
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.schemas import table_from_rows
from ftm_core.storage.tables import write_table
from tests.fakes.small_quarter import QUARTER, SmallQuarter, read_rows

NEXT = Quarter(2023, 2)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("FTM_DATA", raising=False)


@pytest.fixture
def two_quarters(small_quarter: SmallQuarter) -> str:
    """The second quarter keeps the first theme with two firms more, and has a new one."""
    first, second = read_rows(small_quarter.storage, keys.themes(QUARTER))
    kept = {**first, "theme_id": "theme_2023Q2_001", "n_firms": first["n_firms"] + 2}
    new = {
        **second, "theme_id": "theme_2023Q2_002", "name": "Cyber", "description": "Attacks.",
        "keywords": ["malware"],
    }  # fmt: skip
    rows = [{**row, "quarter": "2023Q2"} for row in (kept, new)]
    table = table_from_rows(rows, schemas.THEMES, run_id="other", where="themes")
    write_table(small_quarter.storage, keys.themes(NEXT), table)
    return small_quarter.storage.uri


def ftm(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_themes_are_followed_with_their_growth(two_quarters: str) -> None:
    options = ("themes", "--quarters", "2023Q1..2023Q2", "--threshold", "0.6", "--data")
    shown = ftm(*options, two_quarters)
    assert shown.exit_code == 0, shown.output
    assert "1 continued, 0 merged, 1 gone, 1 born" in " ".join(shown.stderr.split())
    assert "+2" in shown.stdout
    (step,) = json.loads(ftm(*options, two_quarters, "--json").stdout)["steps"]
    assert [link["kind"] for link in step["links"]] == ["continued", "gone", "born"]
    assert step["links"][0]["growth"] == 2


def test_a_quarter_that_was_not_run_is_named(two_quarters: str) -> None:
    shown = ftm("themes", "--quarters", "2023Q1..2023Q3", "--data", two_quarters)
    assert shown.exit_code == 2
    assert "quarter 2023Q3" in " ".join(shown.stderr.split())
