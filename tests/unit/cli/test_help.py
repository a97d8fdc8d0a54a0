"""The list of commands: each once, by the phase in which it is needed."""

from __future__ import annotations

import pkgutil

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from ftm_cli import commands
from ftm_cli.app import app
from ftm_cli.command_list import PHASES

ENTRIES = {name: entry for phase in PHASES.values() for name, entry in phase.items()}


def test_every_module_of_commands_stands_in_a_phase() -> None:
    """A command that no phase names would not exist."""
    listed = {entry.source.partition(":")[0].rpartition(".")[2] for entry in ENTRIES.values()}
    # These are registered in the group `ingest`.
    within_groups = {"ingest_wrds", "merge_identifiers"}
    modules = {module.name for module in pkgutil.iter_modules(commands.__path__)}
    assert modules == listed | within_groups


@pytest.mark.parametrize("name", ENTRIES)
def test_summary_is_the_first_sentence_of_the_help(name: str) -> None:
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    assert command.name == name
    assert command.get_short_help_str(200) == ENTRIES[name].summary


def test_help_shows_each_command_with_its_first_sentence_in_full() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).output

    lines = [line.split()[0] for line in shown.splitlines() if line.startswith("  ")]
    assert all(name in lines for name in ENTRIES)
    assert "..." not in shown.partition("Options:")[2]
