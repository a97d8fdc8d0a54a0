"""The terminal: progress and messages on stderr, results on stdout, JSON alone when asked for."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import typer
from rich.console import Console, ConsoleDimensions
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
)
from rich.table import Column, Table
from rich.text import Text

from ftm_core.contracts.errors import DeclinedError, FtmError
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
# Wider than any row: what reads a pipe wants one line for each row.
_PIPE_WIDTH = 20_000
# A column of free text is readable down to this width; below, rows are printed as records.
_LEAST_TEXT_WIDTH = 30


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 theme", "1,200 themes"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class _Terminal(Console):
    """A console that is a terminal only where a person reads it; FORCE_COLOR does not make one."""

    @property
    def is_terminal(self) -> bool:
        """Whether the stream itself is a terminal."""
        try:
            return bool(self.file.isatty())
        except ValueError:
            return False

    @property
    def size(self) -> ConsoleDimensions:
        """The terminal's size; without one, lines are never wrapped."""
        return super().size if self.is_terminal else ConsoleDimensions(_PIPE_WIDTH, 25)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        Console.size.fset(self, new_size)  # type: ignore[attr-defined]


stdout = _Terminal()
stderr = _Terminal(stderr=True)


def print_json(value: Any) -> None:
    """Print one JSON document on stdout, and nothing else."""
    # Where the terminal's encoding lacks a letter, JSON's own escapes stand for it.
    is_utf8 = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")
    text = json.dumps(value, indent=2, default=str, ensure_ascii=not is_utf8)
    sys.stdout.write(text + "\n")


def print_error(error: FtmError) -> None:
    """Print what is wrong, and below it what to do next, on stderr."""
    stderr.print(Text.assemble(("error: ", "bold red"), error.sentence))
    stderr.print(Text(f"  {error.hint}"))


def say(text: str, *, style: str = "") -> None:
    """One line on stderr."""
    stderr.print(Text(text, style=style))


def confirm(question: str) -> bool:
    """Ask on stderr; an end of the input, a closed one or Ctrl-C is a no, said as such."""
    return bool(_answer(question, typer.confirm))


def ask_text(question: str) -> str:
    """Ask for a text on stderr; empty at an end of the input, a closed one or Ctrl-C."""
    return str(_answer(question, typer.prompt) or "").strip()


def _answer(question: str, ask: Callable[..., Any]) -> Any:
    """The answer, or None where there can be none."""
    # Python has no stdin where a shell closed it (`<&-`).
    if sys.stdin is None:
        say(f"{question} No: the standard input is closed.")
        return None
    try:
        # Python's own input() writes the question's last blank to stdout, which is for results.
        with redirect_stdout(sys.stderr):
            return ask(question, err=True)
    except typer.Abort:
        say("")
        return None


def confirm_or_decline(question: str, *, what: str) -> None:
    """Ask on stderr; raises DeclinedError (exit code 4) unless the answer is yes."""
    answer = _answer(question, typer.confirm)
    if not answer:
        raise DeclinedError(
            f"The command `{what}`",
            f"was not confirmed: {'you declined' if answer is False else 'nobody answered'}, so "
            "nothing was changed",
            "Run the command again when you are ready; --yes answers without asking.",
        )


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    console: Console | None = None,
) -> None:
    """A table on stdout (or the given console); cells are text, never markup.

    On a terminal too narrow for it, each row becomes a record with one line per column.
    """
    out = console or stdout
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not out.is_terminal:
        cells = [[" ".join(cell.split("\n")) for cell in row] for row in cells]
    out.print(Text(title, style="italic"))
    if _fits(columns, cells, out.width):
        out.print(_table(columns, cells, out.width))
    else:
        for record in cells:
            out.print(_record(columns, record))


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Characters that each column needs when nothing is wrapped."""
    return [
        max((Text(cell).cell_len for cell in (name, *(row[i] for row in rows))), default=0)
        for i, name in enumerate(columns)
    ]


def _fits(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> bool:
    """Whether all columns but the widest fit whole, with room left to read that one."""
    widths = _widths(columns, rows)
    # Two blanks and a rule for each column, and the last rule.
    natural = sum(widths) + 3 * len(widths) + 1
    others = natural - max(widths, default=0)
    return natural <= width or width - others >= _LEAST_TEXT_WIDTH


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Table:
    widths = _widths(columns, rows)
    table = Table(header_style="bold", expand=False)
    for name, needed in zip(columns, widths, strict=True):
        table.add_column(name, overflow="fold", no_wrap=needed < max(widths) and needed < width)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _record(columns: Sequence[str], row: Sequence[str]) -> Table:
    record = Table.grid(padding=(0, 2))
    record.add_column(style="bold", no_wrap=True)
    record.add_column(overflow="fold")
    for name, cell in zip(columns, row, strict=True):
        if cell:
            record.add_row(name, Text(cell))
    record.add_row("", "")
    return record


def start_logging(*, debug: bool) -> None:
    """Send log lines to stderr: warnings, recovery of the LLM server, all with ``--debug``."""
    handler: logging.Handler
    if stderr.is_terminal:
        handler = RichHandler(
            console=stderr, show_path=False, show_level=False, markup=False, rich_tracebacks=False
        )
        line = "%(message)s"
    else:
        handler, line = logging.StreamHandler(), "[%(asctime)s] %(message)s"
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format=line,
        datefmt="%X",
        handlers=[handler],
    )
    logging.getLogger("ftm").setLevel(logging.DEBUG if debug else logging.INFO)
    # With --debug our own steps are wanted, not each request of each library.
    for name in ("httpx", "httpcore", "urllib3", "numba", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # These log with a traceback what they raise as well: botocore each failed refresh of a login,
    # python-terraform each exit code but 0, which Terraform also uses for a plan with changes.
    for name in ("botocore", "python_terraform"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


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


def can_estimate(done: float, to_do: float) -> bool:
    """Whether enough was done since the start to estimate the time left within a factor of two."""
    return done >= max(_FEWEST_FOR_ESTIMATE, _SHARE_FOR_ESTIMATE * to_do)


class _TimeLeft(ProgressColumn):
    """The time left, once enough is done to estimate it."""

    def render(self, task: Task) -> Text:
        before = task.fields.get("before", 0)
        done, to_do = task.completed - before, (task.total or 0) - before
        if not task.total or not task.elapsed or task.finished or not can_estimate(done, to_do):
            return Text("")
        return Text(f"{_minutes(task.elapsed / done * (to_do - done))} left", style="cyan")


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
    with Progress(*progress_columns(), console=stderr, speed_estimate_period=120) as progress:
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


class _PlainLines:
    """Lines for logs: what starts and ends, and every so often how far each open stage is."""

    def __init__(self, every: float = PLAIN_LINE_SECONDS) -> None:
        self._every = every
        self._stages: dict[str, StageStarted] = {}
        self._done: dict[str, int] = {}
        self._began: dict[str, float] = {}
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
            self._stages[event.stage] = event
            self._done[event.stage] = 0
            self._began[event.stage] = time.monotonic()
            unit = event.unit.removesuffix("s") if event.total == 1 else event.unit
            total = f", {event.total:,} {unit}" if event.total is not None else ""
            already = f", {event.done} done before" if event.done else ""
            say(f"{event.stage}: started{total}{already}")
        elif isinstance(event, StageAdvanced) and event.stage in self._stages:
            self._done[event.stage] += event.amount
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
        started, done = self._stages[stage], self._done[stage]
        elapsed = now - self._began[stage]
        rate = done / max(elapsed, 1e-9)
        if started.total is None:
            return (
                f"{stage}: {started.done + done} {started.unit}, {_minutes(elapsed)} since it began"
            )
        text = f"{stage}: {started.done + done}/{started.total} {started.unit}"
        if not can_estimate(done, started.total - started.done):
            return f"{text}, {_minutes(elapsed)} since it began"
        left = max(0, started.total - started.done - done) / rate
        return f"{text}, {rate * 60:.1f} a minute, about {_minutes(left)} left"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
