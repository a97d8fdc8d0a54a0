"""The SQL of docs/how-to/event-study.md, run as it stands there on an exported quarter."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.compute as pc
import pytest

from ftm_core import open_quarter
from ftm_core.contracts.events import ignore
from ftm_core.themes.export import export_quarter
from tests.fakes.small_quarter import QUARTER, SmallQuarter

DOCUMENT = Path(__file__).parents[3] / "docs" / "how-to" / "event-study.md"
_SQL = re.compile(r"^```sql\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def results(
    finished_quarter: SmallQuarter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[duckdb.DuckDBPyConnection, list[list[Any]]]:
    """The database after every query of the document, and what each query gave."""
    monkeypatch.chdir(tmp_path)
    [exported, *_] = export_quarter(finished_quarter.storage, QUARTER, "duckdb", tmp_path, ignore)
    database = duckdb.connect(exported.path)
    queries = _SQL.findall(DOCUMENT.read_text(encoding="utf-8"))
    return database, [database.execute(query).fetchall() for query in queries]


def test_the_share_is_that_of_the_exposures(
    results: tuple[duckdb.DuckDBPyConnection, list[list[Any]]],
) -> None:
    """F3 held two calls. Three of a call's six sentences that are not small talk are on pricing."""
    database, _ = results
    found = database.execute(
        "SELECT firm_id, permno, event_date::VARCHAR, theme_id, theme_sentences, share_of_call "
        "FROM event_study_input WHERE firm_id IN ('F3', 'F6') "
        "ORDER BY theme_id, firm_id, event_date"
    ).fetchall()
    assert found == [
        ("F3", 10003, "2023-01-03", "theme_2023Q1_001", 3, 3 / 6),
        ("F3", 10003, "2023-03-31", "theme_2023Q1_001", 3, 3 / 6),
        ("F6", 10006, "2023-01-06", "theme_2023Q1_001", 3, 3 / 6),
        ("F3", 10003, "2023-01-03", "theme_2023Q1_002", 2, 2 / 6),
        ("F3", 10003, "2023-03-31", "theme_2023Q1_002", 2, 2 / 6),
        ("F6", 10006, "2023-01-06", "theme_2023Q1_002", 2, 2 / 6),
    ]


def test_a_call_without_a_theme_has_the_share_0(finished_quarter: SmallQuarter) -> None:
    """The document's join keeps calls that the exposures do not have."""
    database = duckdb.connect()
    for name in ("firms", "themes", "theme_exposures"):
        table = open_quarter(finished_quarter.storage.uri, str(QUARTER)).table(name)
        if name == "theme_exposures":
            table = table.filter(pc.not_equal(table["firm_id"], "F6"))
        database.register(name, table)
    for query in _SQL.findall(DOCUMENT.read_text(encoding="utf-8"))[:2]:
        database.execute(query)
    shares = database.execute(
        "SELECT theme_sentences, share_of_call FROM event_study_input WHERE firm_id = 'F6'"
    ).fetchall()
    assert shares == [(0, 0.0), (0, 0.0)]


def test_the_document_s_own_check_comes_out(
    results: tuple[duckdb.DuckDBPyConnection, list[list[Any]]],
) -> None:
    _, answers = results
    [(n_rows, n_distinct, largest_share, n_expected)] = answers[3]
    # Six calls of firms with permno (two of F3), two themes.
    assert n_rows == n_distinct == n_expected == 12
    assert largest_share <= 1


def test_firms_without_permno_or_output_are_not_in_the_input(
    results: tuple[duckdb.DuckDBPyConnection, list[list[Any]]],
) -> None:
    database, _ = results
    firms = database.execute("SELECT DISTINCT firm_id FROM event_study_input").fetchall()
    assert {firm for (firm,) in firms} == {"F1", "F2", "F3", "F4", "F6"}


def test_the_input_and_the_sentences_come_out(
    results: tuple[duckdb.DuckDBPyConnection, list[list[Any]]], tmp_path: Path
) -> None:
    _, answers = results
    assert len((tmp_path / "event_study_input.csv").read_text().splitlines()) == 13
    firm, theme, place, speaker, text = answers[4][0]
    assert (firm, theme, place, speaker) == ("Firm 1", "Freight in the quarter", 1, "CEO")
    assert " for ocean freight " in text
