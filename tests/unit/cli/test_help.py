"""The list of commands: each once, by the phase in which it is needed."""

from __future__ import annotations

from typer.main import get_command
from typer.testing import CliRunner

from ftm_cli.app import PHASES, app


def test_every_command_stands_in_one_phase() -> None:
    placed = [name for names in PHASES.values() for name in names]

    assert sorted(placed) == sorted(get_command(app).commands)  # type: ignore[attr-defined]


def test_help_shows_each_command_with_its_first_sentence_in_full() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).output

    lines = [line.split()[0] for line in shown.splitlines() if line.startswith("  ")]
    assert all(name in lines for names in PHASES.values() for name in names)
    assert "..." not in shown.partition("Options:")[2]
