"""`ftm themes` as an operator runs it over two quarters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ftm_cli.app import app
from ftm_core.contracts import keys
from ftm_core.contracts.quarters import Quarter
from tests.fakes.small_quarter import (
    SmallQuarter,
    build_small_quarter,
    edit_json,
    edit_table,
)

NEXT = Quarter(2023, 2)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("FTM_DATA", raising=False)


@pytest.fixture
def two_quarters(small_quarter: SmallQuarter) -> SmallQuarter:
    """The second quarter keeps the first theme with two firms more, and has a new one."""
    later = build_small_quarter(small_quarter.storage, of=NEXT)

    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first, second = rows
        new = {"name": "Cyber", "description": "Attacks.", "keywords": ["malware"]}
        renamed = {"name": "Another name", "n_firms": first["n_firms"] + 2}
        return [{**first, **renamed}, {**second, **new}]

    def turn(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first, second = rows
        return [first, {**second, "direction": [-value for value in second["direction"]]}]

    edit_table(later.storage, keys.themes(NEXT), change)
    edit_table(later.storage, keys.theme_directions(NEXT), turn)
    return later


def ftm(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_themes_are_followed_with_their_growth(two_quarters: SmallQuarter) -> None:
    options = ("themes", "--quarters", "2023Q1..2023Q2", "--threshold", "0.6", "--data")
    shown = ftm(*options, two_quarters.storage.uri)
    assert shown.exit_code == 0, shown.output
    assert "1 continued, 0 merged, 1 gone, 0 split, 1 born" in " ".join(shown.stderr.split())
    assert "+2" in shown.stdout
    (step,) = json.loads(ftm(*options, two_quarters.storage.uri, "--json").stdout)["steps"]
    assert [link["kind"] for link in step["links"]] == ["continued", "gone", "born"]
    continued = step["links"][0]
    assert continued["growth"] == 2
    assert continued["after"]["name"] == continued["before"]["name"] != "Another name"


def test_a_quarter_that_was_not_run_is_named(two_quarters: SmallQuarter) -> None:
    data = two_quarters.storage.uri
    shown = ftm("themes", "--quarters", "2023Q1..2023Q3", "--data", data)
    assert shown.exit_code == 2
    assert "quarter 2023Q3" in " ".join(shown.stderr.split())


def test_themes_skips_and_names_a_quarter_without_run(
    small_quarter: SmallQuarter,
) -> None:
    build_small_quarter(small_quarter.storage, of=Quarter(2023, 3))
    options = ("themes", "--quarters", "2023Q1..2023Q3", "--data", small_quarter.storage.uri)
    shown = ftm(*options, "--json")

    assert shown.exit_code == 0, shown.output
    assert "2023Q2: skipped, because there is no run." in shown.stderr
    found = json.loads(shown.stdout)
    assert (found["quarters"], found["skipped"]) == (["2023Q1", "2023Q3"], ["2023Q2"])
    (step,) = found["steps"]
    assert (step["earlier"], step["later"]) == ("2023Q1", "2023Q3")
    assert {link["kind"] for link in step["links"]} == {"continued"}


def test_themes_made_from_other_topics_are_refused(two_quarters: SmallQuarter) -> None:
    def age(state: dict[str, Any]) -> None:
        state["map_output"] = "of an earlier map"

    edit_json(two_quarters.storage, keys.reduce_state(NEXT), age)
    shown = ftm("themes", "--quarters", "2023Q1..2023Q2", "--data", two_quarters.storage.uri)
    assert shown.exit_code == 2
    assert "2023Q2" in shown.stderr
    assert "is not finished" in " ".join(shown.stderr.split())
