"""How long AWS is waited for, and stop signals as exceptions, so that cleaning up always runs."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from ftm_core.contracts.errors import InputError, InterruptedRunError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Waits:
    """Seconds between polls, for a first instance, until vLLM must answer, and for a new login."""

    poll: float = 10.0
    capacity: float = 900.0
    ready: float = 2700.0
    login: float = 1800.0

    @classmethod
    def from_environment(cls) -> Waits:
        """Defaults, or FTM_POLL_SECONDS, FTM_CAPACITY_WAIT, FTM_READY_WAIT and FTM_LOGIN_WAIT."""
        return cls(
            _seconds("FTM_POLL_SECONDS", cls.poll),
            _seconds("FTM_CAPACITY_WAIT", cls.capacity),
            _seconds("FTM_READY_WAIT", cls.ready),
            _seconds("FTM_LOGIN_WAIT", cls.login),
        )


@dataclass(frozen=True)
class Clock:
    """Time as operations see it; tests bring their own."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class StopSignal(KeyboardInterrupt):
    """A stop signal arrived; not an Exception, since botocore would retry those."""

    def interruption(
        self, what: str = "stopped this command", hint: str = ""
    ) -> InterruptedRunError:
        """The error shown to the operator."""
        hint = hint or "Run the same command again: it resumes from what is finished."
        return InterruptedRunError(str(self), what, hint)


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Within the block Ctrl-C, SIGTERM or a lost terminal raises StopSignal, once.

    It leaves the block as InterruptedRunError. Further signals are ignored, so that a second
    Ctrl-C cannot stop the cleaning up.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise StopSignal(signal.Signals(number).name)

    with _handled_by(stop):
        try:
            yield
        except StopSignal as error:
            raise error.interruption() from error


@contextlib.contextmanager
def ignore_signals() -> Iterator[None]:
    """Within the block no signal stops what must be finished, such as scaling down."""
    with _handled_by(signal.SIG_IGN):
        yield


@contextlib.contextmanager
def _handled_by(handler: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Under nohup SIGHUP is ignored, and must stay so.
    numbers = [
        number
        for number in _SIGNALS
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
    ]
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _seconds(name: str, default: float) -> float:
    text = os.environ.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 86400:
        raise InputError(
            f"The environment variable {name}",
            f"holds {text!r}, which is not a number of seconds",
            f"Set {name} to a number of seconds above 0 and below 86400.",
        )
    return value
