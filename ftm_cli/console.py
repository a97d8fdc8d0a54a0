"""The terminal: progress and messages on stderr, results on stdout, JSON alone when asked for."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from ftm_core.contracts.errors import FtmError
from ftm_core.contracts.events import (
    Event,
    Listener,
    Note,
    StageAdvanced,
    StageFinished,
    StageStarted,
)

stdout = Console()
stderr = Console(stderr=True)

# Without a terminal, a line on change is enough, and no more than one in this many seconds.
PLAIN_LINE_SECONDS = 15.0


def print_json(value: Any) -> None:
    """Print one JSON document on stdout, and nothing else."""
    sys.stdout.write(json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n")


def print_error(error: FtmError) -> None:
    """Tell where, what and what to do next on stderr."""
    stderr.print(Text.assemble(("error ", "bold red"), (error.where, "bold"), ": ", error.cause))
    stderr.print(Text(f"  {error.hint}"))


def say(text: str, *, style: str = "") -> None:
    """One line on stderr."""
    stderr.print(Text(text, style=style))


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    console: Console | None = None,
) -> None:
    """A table on stdout (or the given console); cells are text, never markup."""
    table = Table(title=title, title_justify="left", header_style="bold", expand=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    (console or stdout).print(table)


def start_logging(*, debug: bool) -> None:
    """Send log lines to stderr: warnings, recovery of the LLM server, all with ``--debug``."""
    handler = RichHandler(
        console=stderr, show_path=False, show_level=False, markup=False, rich_tracebacks=False
    )
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING, format="%(message)s", handlers=[handler]
    )
    logging.getLogger("ftm").setLevel(logging.DEBUG if debug else logging.INFO)
    # With --debug our own steps are wanted, not each request of each library.
    for name in ("httpx", "httpcore", "botocore", "urllib3", "numba", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It warns of each exit code but 0, which Terraform also uses to say that a plan has changes.
    logging.getLogger("python_terraform").setLevel(logging.ERROR)


class _Rate(ProgressColumn):
    """Units per second, or per minute when slower than one a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields.get("unit", "")
        if not speed:
            return Text("")
        if speed >= 1:
            return Text(f"{speed:.1f} {unit}/s", style="cyan")
        return Text(f"{speed * 60:.1f} {unit}/min", style="cyan")


@contextmanager
def progress_listener() -> Iterator[Listener]:
    """A listener that draws bars with rate and time left, or plain lines without a terminal."""
    if not stderr.is_terminal:
        yield _PlainLines()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        _Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr, speed_estimate_period=120) as progress:
        yield _Bars(progress)


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, Any] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, StageStarted):
            self._tasks[event.stage] = self._progress.add_task(
                event.stage, total=event.total, completed=event.done, unit=event.unit
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


class _PlainLines:
    def __init__(self) -> None:
        self._stages: dict[str, StageStarted] = {}
        self._done: dict[str, int] = {}
        self._began: dict[str, float] = {}
        self._spoke = 0.0

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        if isinstance(event, StageStarted):
            self._stages[event.stage] = event
            self._done[event.stage] = 0
            self._began[event.stage] = self._spoke = now
            total = f" of {event.total} {event.unit}" if event.total is not None else ""
            already = f", {event.done} done before" if event.done else ""
            say(f"{event.stage}: started{total}{already}")
        elif isinstance(event, StageAdvanced) and event.stage in self._stages:
            self._done[event.stage] += event.amount
            if now - self._spoke >= PLAIN_LINE_SECONDS:
                self._spoke = now
                say(self._line(event.stage, now))
        elif isinstance(event, StageFinished):
            say(f"{event.stage}: finished in {event.seconds:.1f} s")
        elif isinstance(event, Note):
            say(event.text)

    def _line(self, stage: str, now: float) -> str:
        started, done = self._stages[stage], self._done[stage]
        rate = done / max(now - self._began[stage], 1e-9)
        text = f"{stage}: {started.done + done}"
        if started.total is None:
            return f"{text} {started.unit}"
        left = (started.total - started.done - done) / rate if rate else 0.0
        return (
            f"{text}/{started.total} {started.unit}, {rate * 60:.1f} a minute, "
            f"about {left / 60:.0f} min left"
        )
