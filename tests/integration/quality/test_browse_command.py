"""`ftm browse` from themes to sentences, as an operator reads a quarter."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ftm_cli.app import app
from tests.fakes.small_quarter import SmallQuarter, build_small_quarter


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("FTM_DATA", raising=False)


def browse(quarter: SmallQuarter, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["browse", *arguments, "--data", quarter.storage.uri])


def test_themes_lead_to_topics_and_topics_to_sentences(finished_quarter: SmallQuarter) -> None:
    listed = browse(finished_quarter)
    assert listed.exit_code == 0, listed.output
    assert "  theme_2023Q1_001  Pricing in the quarter  (6 firms, 7 topics, " in listed.stdout
    of_theme = browse(finished_quarter, "theme_2023Q1_001")
    assert "Companies show how pricing changed over the year." in of_theme.stdout
    assert "F1_0  Firm 1  (3 sentences)" in of_theme.stdout
    assert "F1_1" not in of_theme.stdout
    of_topic = browse(finished_quarter, "--topic", "F1_0")
    assert "theme: theme_2023Q1_001" in of_topic.stdout
    spoken = [line for line in of_topic.stdout.splitlines() if line.startswith("[")]
    # Most representative first: the hand-made topics have the last sentence first.
    assert [line.split()[0] for line in spoken] == ["[3]", "[2]", "[1]"]
    # A long line is whole.
    assert spoken[2] == (
        "[1] CEO: At Firm 1 we have been able to raise the prices of most of our products by four "
        "percent."
    )
    assert "\x1b" not in listed.stdout + of_theme.stdout + of_topic.stdout


@pytest.mark.parametrize(
    "arguments", [("theme_2023Q1_999",), ("--topic", "F1_9"), ("theme_2023Q1_001", "--topic", "x")]
)
def test_what_is_not_there_is_refused_by_name(
    finished_quarter: SmallQuarter, arguments: tuple[str, ...]
) -> None:
    refused = browse(finished_quarter, *arguments)
    assert refused.exit_code == 2
    assert refused.stdout == ""
    assert "error" in refused.stderr


def test_a_quarter_without_themes_says_so(tmp_path: Path) -> None:
    from ftm_core.storage.local import LocalStorage

    quarter = build_small_quarter(LocalStorage(tmp_path / "data"), with_themes=False)
    shown = browse(quarter)
    assert shown.exit_code == 0
    assert shown.stdout == "2023Q1 has no themes.\n"
