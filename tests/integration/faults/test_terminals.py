"""Lost readers, hung-up terminals, pipes and narrow screens, with real pipes and ptys."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ftm_cli import console, progress
from ftm_core.contracts.events import StageAdvanced, StageFinished, StageStarted
from ftm_core.pipeline import _StageClock
from tests.fakes.small_quarter import SmallQuarter
from tests.integration.faults.conftest import Ftm, command, environment


def closed_pipe() -> int:
    """The writing end of a pipe whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize(
    "arguments",
    [("evaluate", "--json"), ("--help",)],
)
def test_output_closed_pipe_is_quiet(
    ftm: Ftm, finished_quarter: SmallQuarter, arguments: tuple[str, ...]
) -> None:
    """Class: lost standard streams. The reader of stdout goes before anything is written.

    The exit code is that of the command with a reader, and stderr holds no fault. Each command is
    tried in test_every_command.py.
    """
    variables = {"FTM_DATA": finished_quarter.storage.uri, **QUIET}
    usual = ftm(*arguments, variables=variables)
    writing = closed_pipe()
    lost = ftm(*arguments, variables=variables, stdout=writing)
    os.close(writing)
    assert lost.returncode == usual.returncode
    assert lost.stderr == usual.stderr
    assert "Broken" not in lost.stderr


QUIET = {"PYTHONWARNINGS": "ignore"}


def test_output_both_pipes_closed_keeps_the_code(ftm: Ftm) -> None:
    """Class: lost standard streams, further member: the reader of stderr has gone as well."""
    writing = closed_pipe()
    for arguments, code in ((("config",), 0), (("evaluate", "--data", "none"), 2)):
        assert ftm(*arguments, stdout=writing, stderr=writing).returncode == code
    os.close(writing)


def test_output_full_disk_is_named(ftm: Ftm) -> None:
    """Class: lost standard streams, further member: `> file` on a full disk (/dev/full)."""
    with Path("/dev/full").open("w") as full:
        ended = ftm("config", "--json", stdout=full)
    assert ended.returncode == 1
    assert "standard output" in ended.stderr
    assert "No space left" in ended.stderr
    assert "bug in ftm" not in ended.stderr


def test_output_pipe_has_one_line_per_path(ftm: Ftm, tmp_path: Path) -> None:
    """Class: piped output. A path of 200 characters stays on one line at any COLUMNS."""
    long = tmp_path / ("a" * 90) / ("b" * 90) / "none.csv"
    for variables in ({}, {"COLUMNS": "40"}):
        ended = ftm("ingest", str(long), "--quarter", "2023Q1", variables=variables)
        assert ended.returncode == 2
        assert any(str(long) in line for line in ended.stderr.splitlines()), ended.stderr


def test_output_pipe_has_no_color_when_forced(ftm: Ftm, finished_quarter: SmallQuarter) -> None:
    """Class: piped output, further members: FORCE_COLOR and TTY_COMPATIBLE of CI systems.

    Neither makes a terminal of a pipe: no escape codes, no bars drawn over themselves.
    """
    variables = {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}
    ended = ftm("evaluate", "--data", finished_quarter.storage.uri, variables=variables)
    assert "\x1b" not in ended.stdout + ended.stderr


def test_output_usage_error_is_not_wrapped(ftm: Ftm) -> None:
    """Class: piped output, further member: wrong usage, which Typer draws in a box of 80."""
    wrong = "x" * 120
    ended = ftm(wrong)
    assert ended.returncode == 2
    assert wrong in ended.stderr


def test_table_pipe_has_one_line_per_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Class: piped output. Long cells and cells with line breaks take one line."""
    rows = [("FICT01", "HTTP 500\n" + "word " * 60), ("FICT02", "short")]
    console.print_table("Failures", ("firm_id", "reason"), rows)
    lines = capsys.readouterr().out.splitlines()
    assert sum("FICT01" in line for line in lines) == 1
    assert ("word " * 60).strip() in "".join(lines)


def on_terminal(arguments: list[str], columns: int, variables: dict[str, str]) -> str:
    """Output of `ftm` on a pseudo-terminal of this width."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    inherited = environment({"TERM": "xterm", **variables})
    # A library in this process may have set them, and they outrank the terminal's own size.
    for name in {"COLUMNS", "LINES"} - variables.keys():
        inherited.pop(name, None)
    process = subprocess.Popen(
        command(*arguments), env=inherited,
        stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    output = b""
    while True:
        try:
            block = os.read(leader, 65536)
        except OSError:
            break
        if not block:
            break
        output += block
    process.wait(120)
    os.close(leader)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.decode())


def test_table_80_columns_is_readable(finished_quarter: SmallQuarter) -> None:
    """Class: tables wider than the screen. At 80 columns the reason is not cut into syllables.

    The recorded failures have seven columns: each failure becomes a record, with its reason in
    lines of more than 40 characters, and no line is wider than the screen.
    """
    shown = on_terminal(["failures", "--data", finished_quarter.storage.uri], 80, {})
    lines = [line.rstrip() for line in shown.replace("\r", "").split("\n")]
    assert max(map(len, lines)) <= 80
    assert "reason    The LLM server http://127.0.0.1:9/v1 refused the request (HTTP 400:" in lines
    assert "reason    made to fail" in lines


@pytest.mark.parametrize(("columns", "is_table"), [(60, False), (400, True)])
def test_table_follows_the_width(
    finished_quarter: SmallQuarter, columns: int, is_table: bool
) -> None:
    """Class: tables wider than the screen, further members: 60 columns, and 400."""
    shown = on_terminal(["failures", "--data", finished_quarter.storage.uri], columns, {})
    assert ("┃" in shown) == is_table
    assert max(len(line.rstrip()) for line in shown.replace("\r", "").split("\n")) <= columns


def test_progress_in_a_pipe_is_printed_regularly(capsys: pytest.CaptureFixture[str]) -> None:
    """Class: silence without a terminal. A line every 30 s (here 0.05 s) with rate and time left.

    The first version spoke only when something advanced: a stage that hangs said nothing.
    """
    assert progress.PLAIN_LINE_SECONDS == 30
    with progress._PlainLines(every=0.05) as listener:
        listener(StageStarted("map", 10, "firms"))
        listener(StageAdvanced("map", 4))
        deadline = time.monotonic() + 10
        reported = ""
        while reported.count("map: 4/10 firms") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
            reported += capsys.readouterr().err
        listener(StageFinished("map", 1.0))
    assert re.search(r"map: 4/10 firms, [\d.]+ a minute, about \d+ (s|min) left", reported)


def test_progress_of_a_stage_without_total_shows_time(capsys: pytest.CaptureFixture[str]) -> None:
    """Class: silence without a terminal, further members: no total known, nothing done yet."""
    lines = progress._PlainLines()
    lines(StageStarted("reduce", None, "steps"))
    lines(StageStarted("read", 7, "files"))
    reported = [lines._line(stage, time.monotonic() + 240) for stage in ("reduce", "read")]
    assert reported == [
        "reduce: 0 steps, 4 min since it began",
        "read: 0/7 files, 4 min since it began",
    ]
    capsys.readouterr()


def test_progress_stage_cut_short_is_not_finished(capsys: pytest.CaptureFixture[str]) -> None:
    """Class: silence without a terminal, further member: an end that was reported as a success.

    After SIGTERM the log said "reduce: finished in 97.5 s".
    """
    lines = progress._PlainLines()
    with pytest.raises(KeyboardInterrupt), _StageClock(lines).stage("reduce", None, "steps", 0):
        raise KeyboardInterrupt
    with _StageClock(lines).stage("map", 1, "firms", 0):
        pass
    result_ = re.sub(r"[\d.]+ s", "N s", capsys.readouterr().err).splitlines()
    assert result_ == [
        "reduce: started",
        "reduce: stopped after N s",
        "map: started, 1 firm",
        "map: finished in N s",
    ]


def test_question_declined_ends_with_4(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Class: exit codes. A no, an end of input and an empty answer all end with 4, not 1."""
    import ftm_cli.operations.aws.session as session_module
    from ftm_cli.app import app

    identity = session_module.Identity("123456789012", "arn:aws:iam::123456789012:user/ann")
    monkeypatch.setattr(session_module, "who_is", lambda profile, region: identity)
    monkeypatch.setattr(session_module, "region_of", lambda profile: "us-west-2")
    monkeypatch.chdir(tmp_path)
    for answer in ("n\n", "", "\n"):
        ended = CliRunner().invoke(app, ["pin-profile", "research"], input=answer)
        assert ended.exit_code == 4, ended.output
        assert ("you declined" if answer else "nobody answered") in ended.output
        assert not (tmp_path / "ftm.toml").exists()


def test_question_with_closed_stdin_is_declined(tmp_path: Path) -> None:
    """Class: exit codes. Schedulers start commands without a standard input (`<&-`)."""
    asking = (
        "from ftm_cli.console import confirm_or_decline\n"
        "from ftm_core.contracts.errors import DeclinedError\n"
        "try:\n    confirm_or_decline('Remove it?', what='removal')\n"
        "except DeclinedError as declined:\n    raise SystemExit(4) from declined\n"
    )
    ended = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-c", asking],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert (ended.returncode, ended.stdout) == (4, "")
    assert "Remove it? No: the standard input is closed." in ended.stderr


def test_json_stays_one_document(ftm: Ftm, finished_quarter: SmallQuarter) -> None:
    """Class: piped output. JSON on stdout is one document, also with colors forced."""
    data = finished_quarter.storage.uri
    ended = ftm("failures", "--json", "--data", data, variables={"FORCE_COLOR": "1"})
    assert json.loads(ended.stdout)["quarter"] == "2023Q1"
