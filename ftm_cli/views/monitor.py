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
from ftm_cli.operations.following import ConnectionNotice
from ftm_cli.operations.snapshots import Snapshot
from ftm_cli.results.runs import Notice
from ftm_cli.streams import stdout_is_lost

# A plain line on each change, and after this many seconds without one.
QUIET_SECONDS = 60.0
_BAR_WIDTH = 24
_STYLES = {"SUCCEEDED": "bold green", "RUNNING": "bold cyan"}


def show(snapshots: Iterable[Snapshot | ConnectionNotice], *, poll: float) -> Snapshot | None:
    """Show each snapshot as it comes; the last snapshot, also when a stop signal ends it."""
    screen: _Screen | _Lines = _Screen(stdout, poll) if stdout.is_terminal else _Lines()
    last: Snapshot | None = None
    with screen:
        try:
            for snapshot in snapshots:
                if isinstance(snapshot, Snapshot):
                    last = snapshot
                screen.update(snapshot)
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

    def update(self, snapshot: Snapshot | ConnectionNotice) -> None:
        """Draw again."""
        notice = None if isinstance(snapshot, Snapshot) else snapshot
        if isinstance(snapshot, Snapshot):
            self._snapshot = snapshot
        if self._snapshot is not None:
            self._live.update(_panel(self._snapshot, notice, self._poll), refresh=True)


class _Lines:
    """One line for each change, each new warning and each notice of the connection."""

    def __init__(self) -> None:
        self._printed: tuple[object, ...] | None = None
        self._printed_at = 0.0
        self._warnings: set[Notice] = set()
        self._notice = ""

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *exc_info: object) -> None:
        return None

    def update(self, snapshot: Snapshot | ConnectionNotice) -> None:
        """Print what is new."""
        if isinstance(snapshot, ConnectionNotice):
            if snapshot.text != self._notice:
                say(
                    f"{snapshot.text}. {snapshot.hint}" if snapshot.hint else snapshot.text,
                    style="yellow",
                )
            self._notice = snapshot.text
            return
        self._notice = ""
        phase = snapshot.vllm and snapshot.vllm.phase
        facts = (
            snapshot.state,
            snapshot.states,
            snapshot.batches,
            snapshot.firms,
            phase,
            snapshot.unread,
        )
        if facts != self._printed or snapshot.seconds - self._printed_at >= QUIET_SECONDS:
            self._printed, self._printed_at = facts, snapshot.seconds
            print_line(snapshot)
        for warning in snapshot.warnings:
            if warning not in self._warnings:
                self._warnings.add(warning)
                stdout.print(Text(f"  {_warning_line(warning)}"), soft_wrap=True)


def print_line(snapshot: Snapshot) -> None:
    """The whole snapshot as one line on stdout."""
    parts = [f"{_clock_time()} {snapshot.run} {snapshot.state}", *_facts(snapshot)]
    stdout.print(Text("; ".join(parts)), soft_wrap=True)
    if snapshot.error:
        stdout.print(Text(f"  {snapshot.error}"), soft_wrap=True)


def _facts(snapshot: Snapshot) -> Iterable[str]:
    if snapshot.states:
        yield ", ".join(snapshot.states)
    if snapshot.batches:
        yield f"batches {_batches(snapshot)}"
    if snapshot.firms and snapshot.firms.firms:
        yield f"firms {_firms(snapshot)}"
    if snapshot.target == "aws":
        yield f"vLLM {_vllm(snapshot)}"
    if snapshot.cost_usd is not None:
        yield f"about ${snapshot.cost_usd:.2f} so far"
    if snapshot.unread:
        yield f"not answering now: {', '.join(snapshot.unread)}"


def _panel(snapshot: Snapshot, notice: ConnectionNotice | None, poll: float) -> RenderableType:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold", no_wrap=True)
    rows.add_column()
    rows.add_row("state", Text(", ".join(snapshot.states) or _end_of(snapshot)))
    if snapshot.batches and snapshot.batches.total:
        ended = snapshot.batches.succeeded + snapshot.batches.failed
        rows.add_row("batches", _with_bar(ended, snapshot.batches.total, _batches(snapshot)))
    else:
        rows.add_row("batches", "not planned yet" if snapshot.is_running else "none")
    if snapshot.firms and snapshot.firms.firms:
        rows.add_row(
            "firms", _with_bar(snapshot.firms.finished, snapshot.firms.firms, _firms(snapshot))
        )
    if snapshot.target == "aws":
        rows.add_row("vLLM", Text(_vllm(snapshot)))
    if snapshot.cost_usd is not None:
        rows.add_row("cost so far", Text(f"about ${snapshot.cost_usd:.2f}; {snapshot.prices_note}"))
    if snapshot.unread:
        unread = f"{', '.join(snapshot.unread)}: not answered by AWS now, last known values shown"
        rows.add_row("not answering", Text(unread, style="yellow"))
    body: list[RenderableType] = [rows]
    if snapshot.error:
        body += ["", Text(snapshot.error, style="red")]
    if snapshot.warnings:
        body += ["", Text("recent warnings", style="bold")]
        body += [
            Text(_warning_line(item), style="yellow", no_wrap=True, overflow="ellipsis")
            for item in snapshot.warnings
        ]
    if notice is not None:
        body += ["", Text(notice.text, style="bold yellow")]
        if notice.hint:
            body.append(Text(notice.hint, style="yellow"))
    title = Text.assemble(
        (snapshot.run, "bold"),
        f"  {snapshot.quarter}  " if not snapshot.run.startswith(snapshot.quarter) else "  ",
        (snapshot.state, _STYLES.get(snapshot.state, "bold red")),
        f"  {duration(snapshot.seconds)}",
    )
    foot = f"{_clock_time()}, every {poll:g} s. Ctrl-C leaves the run running."
    return Panel(
        Group(*body),
        title=title,
        title_align="left",
        subtitle=Text(foot if snapshot.is_running else _clock_time(), style="dim"),
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


def _end_of(snapshot: Snapshot) -> str:
    if snapshot.is_running:
        return "at work"
    return {
        "SUCCEEDED": "done",
        "UNFINISHED": "stopped before its end; nobody works on it",
    }.get(snapshot.state, snapshot.state.lower().replace("_", " "))


def _batches(snapshot: Snapshot) -> str:
    assert snapshot.batches is not None
    counts = snapshot.batches
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


def _firms(snapshot: Snapshot) -> str:
    assert snapshot.firms is not None
    parts = [f"{snapshot.firms.finished:,} of {snapshot.firms.firms:,} done"]
    if snapshot.firms.failed:
        parts.append(f"{snapshot.firms.failed:,} with failures")
    if snapshot.firms_per_minute and snapshot.is_running:
        parts.append(f"{snapshot.firms_per_minute:.1f} a minute")
    if snapshot.seconds_left:
        parts.append(f"about {duration(snapshot.seconds_left)} left")
    return ", ".join(parts)


def _vllm(snapshot: Snapshot) -> str:
    if snapshot.vllm is None:
        return "not deployed"
    wanted = max(snapshot.vllm.desired_instances, snapshot.vllm.desired_tasks)
    parts = [describe_phase(snapshot.vllm)]
    if wanted:
        parts.append(f"{snapshot.vllm.healthy_targets} of {wanted} healthy")
    if snapshot.requests_per_second is not None and wanted:
        digits = 1 if snapshot.requests_per_second >= 1 else 2
        parts.append(f"{snapshot.requests_per_second:.{digits}f} requests/s")
    if snapshot.vllm.trouble:
        parts.append(f"AWS says: {snapshot.vllm.trouble}")
    return ", ".join(parts)


def _warning_line(item: Notice) -> str:
    time = item.time[11:19]
    return f"{time} {item.source.split('/')[0]}: {item.message}"


def _clock_time() -> str:
    return f"{dt.datetime.now(dt.UTC):%H:%M:%S} UTC"
