"""Virtual time: sleeping costs nothing, and the earliest sleeper moves the clock."""

from __future__ import annotations

import asyncio
import datetime as dt

# Turns of the event loop after which every task that could continue has done so.
_TURNS = 60


class VirtualTime:
    """A clock (seconds) that stands still while any task can run."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._targets: list[float] = []

    def clock(self) -> float:
        return self.seconds

    def now(self) -> dt.datetime:
        return dt.datetime(2023, 2, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=self.seconds)

    async def sleep(self, seconds: float) -> None:
        target = self.seconds + seconds
        self._targets.append(target)
        try:
            while self.seconds < target:
                for _ in range(_TURNS):
                    await asyncio.sleep(0)
                if target == min(self._targets):
                    self.seconds = max(self.seconds, target)
        finally:
            self._targets.remove(target)
