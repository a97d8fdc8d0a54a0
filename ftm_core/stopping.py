"""Signals that end a process as an orderly stop, from a job's first moment to its last."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any, Self, TypeVar

from ftm_core.contracts.errors import InterruptedRunError
from ftm_core.contracts.events import Listener, Note

_Result = TypeVar("_Result")
# A lost terminal (SIGHUP) and a used-up CPU time (SIGXCPU) end a process as SIGTERM does. SIGQUIT
# is left alone: with it an operator ends a process that does not stop.
_NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU)


class StopSignals:
    """Catches SIGTERM (Spot gives 120 s, Batch 30 s), SIGINT, SIGHUP and SIGXCPU in the block.

    SIGHUP stays ignored where it is, as under nohup.

    While ``run`` is at work a signal sets its event; before, it raises InterruptedRunError where
    the program stands, so that a job stopped while it loads is retried too; after, it is dropped,
    since everything is done. A second Ctrl-C ends at once.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._is_over = False
        self._n_interrupts = 0
        self._was_stopped = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Python lets the main thread alone set handlers; elsewhere nobody would be signalled.
        if threading.current_thread() is threading.main_thread():
            for number in _NUMBERS:
                if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                    continue
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def run(self, work: Callable[[], Coroutine[Any, Any, _Result]], stop: asyncio.Event) -> _Result:
        """Run ``work`` to its end; a signal sets ``stop``, which ``work`` must heed.

        May be called again for the next piece of work; raises InterruptedRunError instead when a
        signal came between the two.
        """
        if self._was_stopped:
            raise InterruptedRunError(
                "The run", "was stopped by a signal", "Run the same command again."
            )
        self._is_over = False

        async def attached() -> _Result:
            self._stop, self._loop = stop, asyncio.get_running_loop()
            return await work()

        try:
            return asyncio.run(attached())
        finally:
            self._is_over = True

    def _handle(self, number: int, _: FrameType | None) -> None:
        self._was_stopped = True
        if self._is_over:
            return
        name = signal.Signals(number).name
        if self._loop is None or self._stop is None:
            raise InterruptedRunError(
                "The run",
                f"was stopped by {name} before its work began",
                "Run the same command again.",
            )
        if number == signal.SIGINT:
            self._n_interrupts += 1
            if self._n_interrupts > 1:
                raise KeyboardInterrupt
        # The loop may be closing: then the work is over, and there is nothing left to stop.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ask, name)

    def _ask(self, name: str) -> None:
        assert self._stop is not None
        if self._stop.is_set():
            return
        # Before anything is printed: the terminal that would show it may be what was lost.
        self._stop.set()
        with contextlib.suppress(OSError):
            self._listener(Note(f"{name}: saving what is finished", "warning"))


@contextlib.contextmanager
def block_signals() -> Iterator[None]:
    """Hold stop signals back; a process started in the block never sees them at all.

    A mask outlives ``exec``, where a handler does not, so that a Ctrl-C to the whole group leaves
    alone even a child that is still loading. Source: sigprocmask(2), signal(7).
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _NUMBERS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
