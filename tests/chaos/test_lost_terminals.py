"""Runs whose terminal or reader goes away: what is finished is saved, and the exit code is 75."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable

import pytest

from tests.chaos.conftest import NewPlace
from tests.fakes.chaos_llm import SUMMARY, FakeLlm
from tests.fakes.chaos_runs import Place, Q

# SIGHUP may be ignored where the tests run, as under nohup; here it must be as at login.
DEFAULT_HUP = ["env", "--default-signal=HUP,INT"]


def run_command(place: Place) -> list[str]:
    return [
        sys.executable, "-m", "ftm_cli", "run", "--quarter", str(Q), "--data", str(place.data),
        "--max-firms", str(place.firms), "--workers", "1",
    ]  # fmt: skip


def wait_for(condition: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.models
def test_run_lost_terminal_saves_what_is_finished(place: Place, llm: FakeLlm) -> None:
    """Class: signals that end a process. The terminal of a run is closed (SIGHUP by the kernel).

    Its stderr is that terminal, so every later line fails with EIO: still the firms that were
    finished are in the checkpoint, and the exit code is 75.
    """
    llm.hold(SUMMARY, after=12)
    before = len(llm.log())
    leader, follower = pty.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [*DEFAULT_HUP, *run_command(place)], env=place.environment, cwd=place.folder,
        stdin=follower, stdout=follower, stderr=follower,
        start_new_session=True, preexec_fn=take_terminal,  # noqa: PLW1509
    )  # fmt: skip
    os.close(follower)
    wait_for(lambda: len(llm.asked(before, SUMMARY)) >= 16)
    os.close(leader)
    llm.reset()
    assert process.wait(60) == 75
    assert 0 < place.n_completed() < place.firms


@pytest.mark.models
def test_run_into_tee_with_ctrl_c_ends_with_75(place: Place, llm: FakeLlm) -> None:
    """Class: lost standard streams. Ctrl-C reaches `ftm run 2>&1 | tee log` as a whole group.

    tee dies first, the pipe has no reader, and the note about saving cannot be written.
    """
    llm.hold(SUMMARY, after=12)
    before = len(llm.log())
    reading, writing = os.pipe()
    tee = subprocess.Popen(
        ["env", "--default-signal=INT", "tee", str(place.folder / "log")],
        stdin=reading, stdout=subprocess.DEVNULL, process_group=0,
    )  # fmt: skip
    os.close(reading)
    process = subprocess.Popen(
        [*DEFAULT_HUP, *run_command(place)], env=place.environment, cwd=place.folder,
        stdin=subprocess.DEVNULL, stdout=writing, stderr=writing, process_group=tee.pid,
    )  # fmt: skip
    os.close(writing)
    wait_for(lambda: len(llm.asked(before, SUMMARY)) >= 16)
    os.killpg(tee.pid, signal.SIGINT)
    assert tee.wait(10) != 0
    llm.reset()
    assert process.wait(60) == 75
    assert 0 < place.n_completed() < place.firms


@pytest.mark.models
def test_run_under_nohup_ignores_hangups(new_place: NewPlace, llm: FakeLlm) -> None:
    """Class: signals that end a process, further members: SIGHUP under nohup, and SIGXCPU.

    An ignored SIGHUP stays ignored; the end of the allowed CPU time saves as SIGTERM does.
    """
    place = new_place("nohup")
    llm.hold(SUMMARY, after=12)
    before = len(llm.log())
    process = subprocess.Popen(
        ["env", "--ignore-signal=HUP", *run_command(place)], env=place.environment,
        cwd=place.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(lambda: len(llm.asked(before, SUMMARY)) >= 16)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGXCPU)
    llm.reset()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "SIGXCPU: saving what is finished" in errors
    assert "SIGHUP" not in errors
    assert 0 < place.n_completed() < place.firms
