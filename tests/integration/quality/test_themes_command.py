"""`ftm themes` as an operator runs it over two quarters."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import ftm_core
from ftm_cli.app import app
from ftm_core.contracts import keys
from ftm_core.contracts.quarters import Quarter
from ftm_core.storage.local import LocalStorage
from tests.fakes.small_quarter import (
    SmallQuarter,
    build_small_quarter,
    edit_json,
    edit_table,
)

NEXT = Quarter(2023, 2)
PLOT_FILES = {"html": b"<!DOCTYPE html>", "svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}


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


def test_themes_of_one_quarter_alone_are_refused(small_quarter: SmallQuarter) -> None:
    data = ("--data", small_quarter.storage.uri)
    for asked, reported in (
        (("--all",), "has themes in 2023Q1 alone"),
        (("--quarters", "2023Q1,2023Q3"), "has no themes of 2023Q3"),
        ((), "needs two quarters or more"),
    ):
        shown = ftm("themes", *asked, *data)
        assert shown.exit_code == 2
        assert reported in " ".join(shown.stderr.split())


def test_themes_plot_in_every_format(two_quarters: SmallQuarter) -> None:
    """Three quarters, the last a year later and given as a list; the same file each time."""
    build_small_quarter(two_quarters.storage, of=Quarter(2024, 2))
    asked = ("themes", "--quarters", "2023Q1,2023Q2,2024Q2", "--data", two_quarters.storage.uri)
    for kind, begin in PLOT_FILES.items():
        shown = ftm(*asked, "--plot", f"plots/themes.{kind}", "--theme", "panel_2023Q1_001")
        assert shown.exit_code == 0, shown.output
        assert "panel_2023Q1_001" in shown.stdout
        content = Path(f"plots/themes.{kind}").read_bytes()
        assert content.startswith(begin)
        ftm(*asked, "--plot", f"again.{kind}", "--theme", "theme_2023Q2_001")
        assert Path(f"again.{kind}").read_bytes() == content
    page = Path("plots/themes.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert not re.search(r'<script|<img|src=|href="(?!#)|url\((?!#)', page)
    assert page.count("<td>panel_2023Q1_001</td>") == 3


def test_themes_plot_values_are_those_of_the_panel(two_quarters: SmallQuarter) -> None:
    """The second theme was turned round in the second quarter: it is not there."""
    asked = ("themes", "--all", "--data", two_quarters.storage.uri, "--plot", "x.svg", "--json")
    plot = json.loads(ftm(*asked, "--theme", "panel_2023Q1_002").stdout)["plot"]
    assert plot["path"] == str(Path("x.svg").resolve())
    (value,) = plot["values"]
    expected = ftm_core.open_panel(two_quarters.storage.uri).by_quarter()
    (row,) = expected[expected["panel_theme_id"] == "panel_2023Q1_002"].to_dict("records")
    assert value == row
    largest = json.loads(ftm(*asked).stdout)["plot"]["values"]
    assert {value["panel_theme_id"] for value in largest} == {"panel_2023Q1_001"}
    assert json.loads(ftm(*asked[:4], "--json").stdout)["plot"] is None


def test_themes_plot_wrong_option_is_explained(two_quarters: SmallQuarter) -> None:
    data = ("--data", two_quarters.storage.uri)
    for options, reported in (
        (("--plot", "x.gif"), "End its name with one of .html, .svg, .png, .pdf"),
        (("--plot", "x.svg", "--theme", "unicorns"), "neither the ID of a theme"),
        (("--plot", "x.svg", "--theme", "a"), "Name one of them by its ID: panel_"),
        (("--theme", "malware"), "Add --plot FILE"),
    ):
        shown = ftm("themes", "--all", *options, *data)
        assert shown.exit_code == 2
        assert reported in " ".join(shown.stderr.split())
    shown = ftm("themes", "--all", "--plot", "x.svg", "--theme", "Malware", *data)
    assert "Cyber" in shown.stdout
    assert "panel_2023Q2_002" in shown.stdout


def test_themes_skips_and_names_a_quarter_without_run(
    small_quarter: SmallQuarter,
) -> None:
    build_small_quarter(small_quarter.storage, of=Quarter(2023, 3))
    options = ("themes", "--quarters", "2023Q1..2023Q3", "--data", small_quarter.storage.uri)
    shown = ftm(*options, "--json")

    assert shown.exit_code == 0, shown.output
    assert "2023Q2: skipped, because there are no themes." in shown.stderr
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


def test_themes_plot_without_any_theme_is_refused(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "data")
    for quarter in (Quarter(2023, 1), NEXT):
        build_small_quarter(storage, of=quarter, with_themes=False)
    shown = ftm("themes", "--all", "--plot", "x.svg")
    assert shown.exit_code == 2
    assert "has no subject that could be plotted" in " ".join(shown.stderr.split())
    assert not Path("x.svg").exists()
