"""The contract of a target: where a run happens, and what every command may ask of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ftm_cli.operations.following import Monitor
from ftm_cli.operations.smoke import SmokeTest
from ftm_cli.results.runs import Check, Finding, PlannedBatch, RunRecord, RunResult
from ftm_cli.targets.names import TargetName
from ftm_core.contracts.errors import FtmError
from ftm_core.contracts.events import Listener
from ftm_core.contracts.quarters import Quarter
from ftm_core.storage import Storage


@dataclass(frozen=True)
class RunOptions:
    """How a run was asked for on the command line.

    ``settings`` maps ``group.name`` to values that override settings. ``scale`` and ``instances``
    are for AWS alone.
    """

    restart: bool = False
    max_firms: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    scale: str = "auto"
    instances: int = 1
    run_name: str | None = None
    save_scripts: Path | None = None
    # Quarters that run at once, where each has machines of its own.
    at_once: int = 2
    # Start the runs and return.
    detach: bool = False


@dataclass(frozen=True)
class RunEstimate:
    """Expected seconds and US dollars of what is left of a run; None where it is unknown."""

    seconds: float | None
    usd: float | None
    basis: str


@dataclass(frozen=True)
class QuarterPlan:
    """What a run of one quarter will do. ``native`` is the target's own plan."""

    target: TargetName
    quarter: Quarter
    data: str
    run: str
    restart: bool
    batches: tuple[PlannedBatch, ...]
    estimate: RunEstimate
    # Settings, models and code that decide rows; None where only the deployed jobs know them.
    inputs: Mapping[str, Any] | None = field(default=None, repr=False)
    native: object = field(default=None, repr=False)

    @property
    def firms(self) -> int:
        """All firms of the plan."""
        return sum(batch.firms for batch in self.batches)

    @property
    def firms_finished(self) -> int:
        """Firms that an earlier run finished."""
        return sum(batch.finished for batch in self.batches)


@dataclass(frozen=True)
class QuarterOutcome:
    """The result of one quarter's run, and the error that ended it."""

    result: RunResult
    error: FtmError | None = None


class Target(Protocol):
    """Where work runs. Every method but ``execute`` and ``smoke`` only reads."""

    # Options of `ftm run` that have a meaning on this target, besides those of every target.
    run_flags: frozenset[str]
    # Whether a run is charged for, so that `ftm run` asks before it starts.
    costs_money: bool
    smoke_steps: tuple[str, ...]
    smoke_criteria: tuple[str, ...]

    @property
    def name(self) -> TargetName:
        """Which target this is."""

    @property
    def data(self) -> str:
        """URI of the data location."""

    @property
    def location(self) -> str:
        """Where the target and its data are, for people."""

    def storage(self) -> Storage:
        """Storage of the data location."""

    def preflight(self, quarter: Quarter | None, listener: Listener) -> Sequence[Check]:
        """Check everything that a run needs."""

    def plan(self, quarter: Quarter, options: RunOptions) -> QuarterPlan:
        """Plan a run; raises InputError when the quarter has no transcripts."""

    def execute(
        self, plans: Sequence[QuarterPlan], options: RunOptions, listener: Listener
    ) -> list[QuarterOutcome]:
        """Run the planned quarters to their end; the target handles stop signals meanwhile.

        A quarter that fails does not keep the next from running; its error is in its outcome. A
        stop signal ends the call, with InterruptedRunError in the outcome of the quarter at work.
        """

    def observe(self, run: str | None) -> Monitor:
        """A monitor of one run, or of the latest."""

    def raise_if_failed(self, monitor: Monitor) -> None:
        """Raise the error that fits the end of a monitored run; nothing when it succeeded."""

    def history(self, limit: int) -> Sequence[RunRecord]:
        """Runs, newest first."""

    def diagnose(self, run: str | None) -> Iterator[Finding]:
        """Findings about why a run failed or does not progress."""

    def smoke_options(self, *, restart: bool) -> RunOptions:
        """How the smoke test runs."""

    def smoke(self, plan: QuarterPlan, test: SmokeTest, listener: Listener) -> None:
        """Carry out the smoke test; raises the error of the step that failed."""


@runtime_checkable
class SupportsDetach(Protocol):
    """A target whose runs outlive the command that starts them."""

    def start(
        self, plans: Sequence[QuarterPlan], options: RunOptions, listener: Listener
    ) -> list[RunResult]:
        """Start the runs and return at once."""


@runtime_checkable
class SupportsScripts(Protocol):
    """A target whose runs are scripts that can be read, saved and edited."""

    def scripts(self, plans: Sequence[QuarterPlan], options: RunOptions) -> dict[str, str]:
        """Name and text of every script."""

    def save_scripts(self, plans: Sequence[QuarterPlan], options: RunOptions) -> Path:
        """Write the scripts into their folder."""


@runtime_checkable
class SupportsCancel(Protocol):
    """A target whose runs can be stopped from here."""

    def cancel(self, run: str, listener: Listener) -> int:
        """Stop a run, which saves what is finished; returns how many jobs were stopped."""


@dataclass(frozen=True)
class LogLine:
    """One line of a job's log. ``time`` is None where the log does not record it."""

    time: dt.datetime | None
    stream: str
    message: str


@runtime_checkable
class SupportsLogs(Protocol):
    """A target whose jobs write logs that can be read from here."""

    def logs(
        self, source: str, since: dt.timedelta, pattern: str | None, *, follow: bool
    ) -> Iterator[LogLine | None]:
        """Lines of ``source``; with ``follow`` without end, None after each batch of lines."""
