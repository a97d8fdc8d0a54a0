"""How far long work is: bars in a terminal, plain lines elsewhere, rate and time left in both."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

from ftm_cli.console import say, stderr
from ftm_core.contracts.events import (
    Event,
    Listener,
    Note,
    StageAdvanced,
    StageFinished,
    StageStarted,
)

# Without a terminal, one line in this many seconds shows that work continues.
PLAIN_LINE_SECONDS = 30.0


class _Rate(ProgressColumn):
    """Units per second, or per minute when slower than one a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        rate = f"{speed:.1f}/s" if speed >= 1 else f"{speed * 60:.1f}/min"
        return Text(rate, style="cyan")


# Units, and share of the work, that must be done before the time left is shown: the first
# firms of a run wait for models to load and for one another, and say little of the rest.
_FEWEST_FOR_ESTIMATE = 4
_SHARE_FOR_ESTIMATE = 0.05
# The rate is that of the last so many seconds, looked at this often.
_PACE_SECONDS = 300.0
_MARK_SECONDS = 5.0


def can_estimate(done: float, to_do: float) -> bool:
    """Whether enough was done since the start to estimate the time left within a factor of two."""
    return done >= max(_FEWEST_FOR_ESTIMATE, _SHARE_FOR_ESTIMATE * to_do)


class Pace:
    """How fast a stage advances now, which may be much slower than it began.

    What an earlier run left in the cache is done at once; what follows is not.
    """

    def __init__(self) -> None:
        self._marks: deque[tuple[float, float]] = deque([(0.0, 0.0)])

    def rate(self, elapsed: float, done: float) -> float:
        """Units a second over the last five minutes, or since the stage began.

        ``elapsed`` are seconds since then, and ``done`` is what was done in them.
        """
        while len(self._marks) > 1 and self._marks[1][0] <= elapsed - _PACE_SECONDS:
            self._marks.popleft()
        since, before = self._marks[0]
        if elapsed >= self._marks[-1][0] + _MARK_SECONDS:
            self._marks.append((elapsed, done))
        return (done - before) / (elapsed - since) if elapsed > since else 0.0


class _TimeLeft(ProgressColumn):
    """The time left, once enough is done to estimate it."""

    def __init__(self, table_column: Column | None = None) -> None:
        super().__init__(table_column)
        self._paces: dict[int, Pace] = {}

    def render(self, task: Task) -> Text:
        before = task.fields.get("before", 0)
        done, to_do = task.completed - before, (task.total or 0) - before
        rate = self._paces.setdefault(task.id, Pace()).rate(task.elapsed or 0.0, done)
        if not task.total or task.finished or not rate or not can_estimate(done, to_do):
            return Text("")
        return Text(f"{_minutes((to_do - done) / rate)} left", style="cyan")


def progress_columns() -> tuple[ProgressColumn, ...]:
    """Columns of the bars. On a narrow terminal the bar alone shrinks, so a task takes one line."""

    def whole() -> Column:
        return Column(no_wrap=True)

    return (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(table_column=whole()),
        TextColumn("{task.fields[unit]}"),
        _Rate(table_column=whole()),
        TimeElapsedColumn(table_column=whole()),
        _TimeLeft(table_column=whole()),
    )


@contextmanager
def progress_listener() -> Iterator[Listener]:
    """A listener that draws bars with rate and time left, or plain lines without a terminal."""
    if not stderr.is_terminal:
        with _PlainLines() as lines:
            yield lines
        return
    with Progress(
        *progress_columns(), console=stderr, speed_estimate_period=_PACE_SECONDS
    ) as progress:
        yield _Bars(progress)


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, Any] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, StageStarted):
            self._tasks[event.stage] = self._progress.add_task(
                event.stage,
                total=event.total,
                completed=event.done,
                unit=event.unit,
                before=event.done,
            )
        elif isinstance(event, StageAdvanced) and event.stage in self._tasks:
            self._progress.advance(self._tasks[event.stage], event.amount)
        elif isinstance(event, StageFinished) and event.stage in self._tasks:
            self._progress.stop_task(self._tasks[event.stage])
        elif isinstance(event, Note):
            style = "yellow" if event.level == "warning" else ""
            self._progress.console.print(Text(event.text, style=style))


@contextmanager
def paused(listener: Listener) -> Iterator[None]:
    """Stop drawing bars within the block, so that a question can be asked."""
    progress = listener._progress if isinstance(listener, _Bars) else None
    if progress is not None:
        progress.stop()
    try:
        yield
    finally:
        if progress is not None:
            progress.start()


@dataclass
class _OpenStage:
    started: StageStarted
    began: float
    pace: Pace = field(default_factory=Pace)
    done: int = 0


class _PlainLines:
    """Lines for logs: what starts and ends, and every so often how far each open stage is."""

    def __init__(self, every: float = PLAIN_LINE_SECONDS) -> None:
        self._every = every
        self._stages: dict[str, _OpenStage] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._clock = threading.Thread(target=self._tell_regularly, daemon=True)

    def __enter__(self) -> _PlainLines:
        self._clock.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        self._clock.join()

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._take(event)

    def _take(self, event: Event) -> None:
        if isinstance(event, StageStarted):
            self._stages[event.stage] = _OpenStage(event, time.monotonic())
            unit = event.unit.removesuffix("s") if event.total == 1 else event.unit
            total = f", {event.total:,} {unit}" if event.total is not None else ""
            already = f", {event.done} done before" if event.done else ""
            say(f"{event.stage}: started{total}{already}")
        elif isinstance(event, StageAdvanced) and event.stage in self._stages:
            self._stages[event.stage].done += event.amount
        elif isinstance(event, StageFinished):
            self._stages.pop(event.stage, None)
            how = "finished in" if event.is_complete else "stopped after"
            say(f"{event.stage}: {how} {event.seconds:.1f} s")
        elif isinstance(event, Note):
            say(event.text)

    def _tell_regularly(self) -> None:
        while not self._over.wait(self._every):
            with self._lock:
                for stage in self._stages:
                    say(self._line(stage, time.monotonic()))

    def _line(self, stage: str, now: float) -> str:
        open_stage = self._stages[stage]
        started, done, elapsed = open_stage.started, open_stage.done, now - open_stage.began
        if started.total is None:
            return (
                f"{stage}: {started.done + done} {started.unit}, {_minutes(elapsed)} since it began"
            )
        text = f"{stage}: {started.done + done}/{started.total} {started.unit}"
        rate = open_stage.pace.rate(elapsed, done)
        if not rate or not can_estimate(done, started.total - started.done):
            return f"{text}, {_minutes(elapsed)} since it began"
        left = max(0, started.total - started.done - done) / rate
        return f"{text}, {rate * 60:.1f} a minute, about {_minutes(left)} left"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
