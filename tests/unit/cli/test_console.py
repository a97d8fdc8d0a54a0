"""What a person reads in a pipe and on a terminal of 80 columns: questions, progress, findings."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from ftm_cli.console import confirm_or_decline
from ftm_cli.progress import progress_columns, progress_listener
from ftm_cli.results.runs import Check, Finding
from ftm_cli.views.diagnosis import show_checks, show_findings
from ftm_cli.views.history import show_runs
from ftm_core.contracts.errors import DeclinedError
from ftm_core.contracts.events import StageStarted

_WIDTH = 80


def test_question_without_an_answer_blames_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler has no terminal: it declined nothing."""
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(DeclinedError, match="not confirmed: nobody answered, so nothing"):
        confirm_or_decline("Apply it?", what="ftm deploy")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    with pytest.raises(DeclinedError, match="not confirmed: you declined, so nothing"):
        confirm_or_decline("Apply it?", what="ftm deploy")


@pytest.mark.parametrize(
    ("total", "unit", "line"),
    [
        (1, "tasks", "pull: started, 1 task"),
        (12_000, "firms", "pull: started, 12,000 firms"),
        (306, "kB", "pull: started, 306 kB"),
        (None, "steps", "pull: started"),
    ],
)
def test_start_of_a_stage_counts_its_units(
    total: int | None, unit: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_listener() as listener:
        listener(StageStarted("pull", total, unit))
    assert capsys.readouterr().err.splitlines() == [line]


def test_progress_takes_one_line_of_80_columns() -> None:
    """A line that wraps is drawn again below itself with each refresh."""
    screen = Console(file=io.StringIO(), width=_WIDTH, force_terminal=True)
    progress = Progress(*progress_columns(), console=screen)
    task = progress.add_task("terraform stepfunctions", total=26, unit="resources", before=0)
    progress.advance(task, 22)
    lines = screen.render_lines(progress.get_renderable())
    assert len(lines) == 1


def test_findings_in_a_pipe_have_no_padding(capsys: pytest.CaptureFixture[str]) -> None:
    show_findings([Finding("runs", "note", "there is no run", ("none listed",), "Start one.")])
    printed = capsys.readouterr().out.splitlines()
    assert printed == [line.rstrip() for line in printed]
    assert printed[-1].strip() == "Next: Start one."


def test_failed_check_in_a_pipe_is_two_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    show_checks([Check(name="bucket", passed=False, detail="is not named", next_step="Name it.")])
    assert "is not named. Next: Name it." in capsys.readouterr().out


def test_no_runs_says_how_to_start_one(capsys: pytest.CaptureFixture[str]) -> None:
    show_runs([])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "ftm run --quarter" in captured.err
