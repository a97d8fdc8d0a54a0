"""One piece of work that many callers wait for, whichever of them is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

_Result = TypeVar("_Result")


class SharedTask(Generic[_Result]):
    """Runs a coroutine once for all who join it; a cancelled caller leaves it to the others.

    The work is a task of its own, so that cancelling the caller who began it costs the others
    nothing. When the last waiting caller is cancelled, the work is cancelled too.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[_Result] | None = None
        self._waiting = 0

    @property
    def running(self) -> bool:
        """Whether the work is under way."""
        return self._task is not None and not self._task.done()

    @property
    def waiting(self) -> int:
        """Callers now waiting for the work."""
        return self._waiting

    async def join(self, work: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
        """Wait for the work under way, or begin ``work``; raises what the work raises."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(work())
            self._task.add_done_callback(_retrieve)
        task = self._task
        self._waiting += 1
        try:
            return await asyncio.shield(task)
        finally:
            self._waiting -= 1
            if self._waiting == 0:
                # Forget it before it has ended: whoever joins next must not get its cancellation.
                self._task = None
                if not task.done():
                    task.cancel()


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Mark a failure as seen; every caller may have been cancelled before it came."""
    if not task.cancelled():
        task.exception()
