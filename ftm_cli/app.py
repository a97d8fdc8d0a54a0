"""The root of `ftm`: global options, the commands, and the one place where errors are shown."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from ftm_cli.command_list import PHASES, LazyCommands

DEBUG_VARIABLE = "FTM_DEBUG"


class ErrorRenderingGroup(TyperGroup):
    """The commands, built as they are needed; shows errors and ends with their exit codes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands: Any = LazyCommands()

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Parse and run; wrong usage is plain text, one line each, where no terminal reads it."""
        if not (sys.stderr is not None and sys.stderr.isatty()):
            self.rich_markup_mode = None
        return super().main(*arguments, **options)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Plain text for the list of commands: Rich would triple the time until it shows."""
        super(TyperGroup, self).format_help(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands by phase, each with its first sentence in full."""
        for phase, entries in PHASES.items():
            with formatter.section(phase):
                formatter.write_dl([(name, entry.summary) for name, entry in entries.items()])

    def invoke(self, ctx: Any) -> Any:
        """Run the command; no traceback unless ``--debug``."""
        from ftm_core.contracts.errors import ExitCode, FtmError

        try:
            return super().invoke(ctx)
        except FtmError as error:
            _traceback_if_debug()
            from ftm_cli.console import print_error

            print_error(error)
            raise typer.Exit(int(error.exit_code)) from None
        except (typer.Exit, typer.Abort, TyperException, KeyboardInterrupt):
            # Wrong usage among them: Typer shows it and ends with 2.
            raise
        except Exception as error:  # noqa: BLE001 - the last word on any fault is one message
            _traceback_if_debug()
            from ftm_cli.console import print_error, say
            from ftm_core.contracts.extras import missing_extra

            if missing := missing_extra(error):
                print_error(missing)
                raise typer.Exit(int(missing.exit_code)) from None
            say(f"unexpected error {type(error).__name__}: {error}", style="bold red")
            say("  This is a bug in ftm. Run the command again with `ftm --debug ...` to see it.")
            raise typer.Exit(int(ExitCode.UNEXPECTED)) from None


def _traceback_if_debug() -> None:
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exc()


app = typer.Typer(
    name="ftm",
    cls=ErrorRenderingGroup,
    help="Find what earnings calls talk about: firm topics and cross-firm themes, by quarter.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from ftm_core.version import version_text

        typer.echo(f"ftm {version_text()}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[
        bool, typer.Option("--debug", envvar=DEBUG_VARIABLE, help="Show tracebacks and debug logs.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and the commit.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Find what earnings calls talk about: firm topics and cross-firm themes, by quarter."""
    from ftm_cli.console import start_logging
    from ftm_core.memory import give_memory_back

    give_memory_back()
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"
    start_logging(debug=debug)


def main() -> None:
    """Entry point of the `ftm` script."""
    from ftm_cli.streams import flush_streams, guard_streams
    from ftm_core.instruction_set import use_one_instruction_set

    guard_streams()
    use_one_instruction_set()
    try:
        app()
    finally:
        _end(flush_streams)


def _end(flush: Callable[[], None]) -> None:
    """Write the rest of the output; a full disk is reported like any other error."""
    from ftm_core.contracts.errors import FtmError

    try:
        flush()
    except FtmError as error:
        from ftm_cli.console import print_error

        print_error(error)
        sys.exit(int(error.exit_code))
