"""Snapshots of a run on the terminal: one live screen, or plain lines where there is none."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ftm_cli.console import say, stdout
from ftm_cli.operations.aws.vllm import describe_phase
from ftm_cli.operations.costs import duration
from ftm_cli.operations.following import Trouble
from ftm_cli.operations.snapshots import Notice, Snapshot
from ftm_cli.streams import stdout_is_lost

# A plain line on each change, and after this many seconds without one.
QUIET_SECONDS = 60.0
_BAR_WIDTH = 24
_STYLES = {"SUCCEEDED": "bold green", "RUNNING": "bold cyan"}


def show(looks: Iterable[Snapshot | Trouble], *, poll: float) -> Snapshot | None:
    """Show each look as it comes; the last snapshot, also when a stop signal ends it."""
    screen: _Screen | _Lines = _Screen(stdout, poll) if stdout.is_terminal else _Lines()
    last: Snapshot | None = None
    with screen:
        try:
            for look in looks:
                if isinstance(look, Snapshot):
                    last = look
                screen.update(look)
                if stdout_is_lost():
                    return last
        except KeyboardInterrupt:
            return last
    return last


class _Screen:
    """A panel that is drawn over itself, and stays on the terminal at the end."""

    def __init__(self, console: Console, poll: float) -> None:
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="visible")
        self._poll = poll
        self._snapshot: Snapshot | None = None

    def __enter__(self) -> _Screen:
        self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._live.stop()

    def update(self, look: Snapshot | Trouble) -> None:
        """Draw anew."""
        trouble = None if isinstance(look, Snapshot) else look
        if isinstance(look, Snapshot):
            self._snapshot = look
        if self._snapshot is not None:
            self._live.update(_panel(self._snapshot, trouble, self._poll), refresh=True)


class _Lines:
    """One line for each change, each new warning and each trouble."""

    def __init__(self) -> None:
        self._told: tuple[object, ...] | None = None
        self._told_at = 0.0
        self._warnings: set[Notice] = set()
        self._trouble = ""

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *exc_info: object) -> None:
        return None

    def update(self, look: Snapshot | Trouble) -> None:
        """Print what is new."""
        if isinstance(look, Trouble):
            if look.text != self._trouble:
                say(f"{look.text}. {look.hint}" if look.hint else look.text, style="yellow")
            self._trouble = look.text
            return
        self._trouble = ""
        phase = look.vllm and look.vllm.phase
        facts = (look.state, look.states, look.batches, look.firms, phase, look.unread)
        if facts != self._told or look.seconds - self._told_at >= QUIET_SECONDS:
            self._told, self._told_at = facts, look.seconds
            print_line(look)
        for warning in look.warnings:
            if warning not in self._warnings:
                self._warnings.add(warning)
                stdout.print(Text(f"  {_warning_line(warning)}"), soft_wrap=True)


def print_line(look: Snapshot) -> None:
    """The whole snapshot as one line on stdout."""
    parts = [f"{_clock_time()} {look.run} {look.state}", *_facts(look)]
    stdout.print(Text("; ".join(parts)), soft_wrap=True)
    if look.error:
        stdout.print(Text(f"  {look.error}"), soft_wrap=True)


def _facts(look: Snapshot) -> Iterable[str]:
    if look.states:
        yield ", ".join(look.states)
    if look.batches:
        yield f"batches {_batches(look)}"
    if look.firms and look.firms.firms:
        yield f"firms {_firms(look)}"
    if look.target == "aws":
        yield f"vLLM {_vllm(look)}"
    if look.cost_usd is not None:
        yield f"about ${look.cost_usd:.2f} so far"
    if look.unread:
        yield f"not answering now: {', '.join(look.unread)}"


def _panel(look: Snapshot, trouble: Trouble | None, poll: float) -> RenderableType:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold", no_wrap=True)
    rows.add_column()
    rows.add_row("state", Text(", ".join(look.states) or _end_of(look)))
    if look.batches and look.batches.total:
        ended = look.batches.succeeded + look.batches.failed
        rows.add_row("batches", _with_bar(ended, look.batches.total, _batches(look)))
    else:
        rows.add_row("batches", "not planned yet" if look.is_running else "none")
    if look.firms and look.firms.firms:
        rows.add_row("firms", _with_bar(look.firms.finished, look.firms.firms, _firms(look)))
    if look.target == "aws":
        rows.add_row("vLLM", Text(_vllm(look)))
    if look.cost_usd is not None:
        rows.add_row("cost so far", Text(f"about ${look.cost_usd:.2f}; {look.prices_note}"))
    if look.unread:
        unread = f"{', '.join(look.unread)}: AWS does not tell now, last known values stand"
        rows.add_row("not answering", Text(unread, style="yellow"))
    body: list[RenderableType] = [rows]
    if look.error:
        body += ["", Text(look.error, style="red")]
    if look.warnings:
        body += ["", Text("recent warnings", style="bold")]
        body += [
            Text(_warning_line(item), style="yellow", no_wrap=True, overflow="ellipsis")
            for item in look.warnings
        ]
    if trouble is not None:
        body += ["", Text(trouble.text, style="bold yellow")]
        if trouble.hint:
            body.append(Text(trouble.hint, style="yellow"))
    title = Text.assemble(
        (look.run, "bold"),
        f"  {look.quarter}  " if not look.run.startswith(look.quarter) else "  ",
        (look.state, _STYLES.get(look.state, "bold red")),
        f"  {duration(look.seconds)}",
    )
    foot = f"{_clock_time()}, every {poll:g} s. Ctrl-C leaves the run running."
    return Panel(
        Group(*body),
        title=title,
        title_align="left",
        subtitle=Text(foot if look.is_running else _clock_time(), style="dim"),
        subtitle_align="left",
        # Room for the ^C that a terminal echoes: in a full line it would wrap and shift the screen.
        width=stdout.width - 3,
    )


def _with_bar(done: int, total: int, text: str) -> RenderableType:
    row = Table.grid(padding=(0, 2))
    row.add_column(width=_BAR_WIDTH)
    row.add_column()
    row.add_row(ProgressBar(total=total, completed=done, width=_BAR_WIDTH), Text(text))
    return row


def _end_of(look: Snapshot) -> str:
    if look.is_running:
        return "at work"
    return {
        "SUCCEEDED": "done",
        "UNFINISHED": "stopped before its end; nobody works on it",
    }.get(look.state, look.state.lower().replace("_", " "))


def _batches(look: Snapshot) -> str:
    assert look.batches is not None
    counts = look.batches
    parts = [f"{counts.succeeded} of {counts.total} done"]
    parts += [
        f"{number} {name}"
        for number, name in (
            (counts.running, "running"),
            (counts.pending, "waiting"),
            (counts.failed, "failed"),
        )
        if number
    ]
    return ", ".join(parts)


def _firms(look: Snapshot) -> str:
    assert look.firms is not None
    parts = [f"{look.firms.finished:,} of {look.firms.firms:,} done"]
    if look.firms.failed:
        parts.append(f"{look.firms.failed:,} with failures")
    if look.firms_per_minute and look.is_running:
        parts.append(f"{look.firms_per_minute:.1f} a minute")
    if look.seconds_left:
        parts.append(f"about {duration(look.seconds_left)} left")
    return ", ".join(parts)


def _vllm(look: Snapshot) -> str:
    if look.vllm is None:
        return "not deployed"
    wanted = max(look.vllm.desired_instances, look.vllm.desired_tasks)
    parts = [describe_phase(look.vllm)]
    if wanted:
        parts.append(f"{look.vllm.healthy_targets} of {wanted} healthy")
    if look.requests_per_second is not None and wanted:
        digits = 1 if look.requests_per_second >= 1 else 2
        parts.append(f"{look.requests_per_second:.{digits}f} requests/s")
    if look.vllm.trouble:
        parts.append(f"AWS says: {look.vllm.trouble}")
    return ", ".join(parts)


def _warning_line(item: Notice) -> str:
    time = item.time[11:19]
    return f"{time} {item.source.split('/')[0]}: {item.message}"


def _clock_time() -> str:
    return f"{dt.datetime.now(dt.UTC):%H:%M:%S} UTC"
