"""How a run stands at one moment, here or on AWS, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from ftm_cli.results.runs import BatchCounts, Notice
from ftm_cli.results.setup import VllmStatus
from ftm_core.contracts.records import RunIdentity
from ftm_core.data.progress import Progress


@dataclass(frozen=True)
class Snapshot:
    """The state of a run at one poll. Of what ``unread`` names, the last known values are used."""

    target: str
    run: str
    quarter: str
    data: str
    state: str
    started: str
    seconds: float
    error: str | None = None
    states: tuple[str, ...] = ()
    batches: BatchCounts | None = None
    firms: Progress | None = None
    firms_per_minute: float | None = None
    vllm: VllmStatus | None = None
    requests_per_second: float | None = None
    warnings: tuple[Notice, ...] = ()
    cost_usd: float | None = None
    prices_note: str = ""
    unread: tuple[str, ...] = ()

    @property
    def is_running(self) -> bool:
        """Whether there is more to come."""
        return self.state == "RUNNING"

    @property
    def seconds_left(self) -> float | None:
        """Time until the last firm at the present rate; the themes come after that."""
        if not self.firms or not self.firms_per_minute or not self.is_running:
            return None
        left = self.firms.firms - self.firms.finished - self.firms.failed
        return max(0, left) / self.firms_per_minute * 60


class FirmRate:
    """Firms a minute: between polls, and before two polls differ the average of a fresh run."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def measure(
        self, seconds: float, finished: int, identity: RunIdentity | None, run: str
    ) -> float | None:
        """The rate at ``seconds`` after the start of the run; None while it cannot be known.

        Of a resumed run nobody knows how many firms had been finished before it.
        """
        if self._first is None or finished < self._first[1]:
            self._first = (seconds, finished)
        since, before = self._first
        if finished > before and seconds > since:
            return (finished - before) / (seconds - since) * 60
        is_fresh = identity is not None and identity.run_id.startswith(f"{run}-")
        if is_fresh and finished and seconds > 0:
            return finished / seconds * 60
        return None
