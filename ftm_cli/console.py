"""The terminal: messages on stderr, results on stdout, JSON alone when asked for."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from typing import Any

import typer
from rich.console import Console, ConsoleDimensions
from rich.logging import RichHandler
from rich.table import Table
from rich.text import Text

from ftm_core.contracts.errors import DeclinedError, FtmError

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
