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

DEBUG_VARIABLE = "FTM_DEBUG"

# In the order in which an operator needs them.
PHASES = {
    "Prepare": ("pin-profile", "config", "models", "validate", "build", "deploy"),
    "Bring transcripts in": ("ingest",),
    "Run": ("vllm", "scale-up", "run", "step", "cancel", "smoke", "scale-down"),
    "Watch": ("monitor", "logs", "runs", "failures", "doctor"),
    "Use the results": (
        "evaluate", "quality", "themes", "browse", "report", "package", "export", "schema",
    ),
    "Clear away": ("destroy",),
}  # fmt: skip


class ErrorRenderingGroup(TyperGroup):
    """Shows an FtmError as where, what and what next, and ends with its exit code."""

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
        for phase, names in PHASES.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(phase):
                formatter.write_dl(
                    [(name, found.get_short_help_str(200)) for name, found in commands if found]
                )

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


def _register() -> None:
    from ftm_cli.commands.browse import browse_command
    from ftm_cli.commands.build import build_command
    from ftm_cli.commands.cancel import cancel_command
    from ftm_cli.commands.config import config_command
    from ftm_cli.commands.deploy import deploy_command
    from ftm_cli.commands.destroy import destroy_command
    from ftm_cli.commands.doctor import doctor_command
    from ftm_cli.commands.evaluate import evaluate_command
    from ftm_cli.commands.export import export_command
    from ftm_cli.commands.failures import failures_command
    from ftm_cli.commands.logs import logs_command
    from ftm_cli.commands.monitor import monitor_command
    from ftm_cli.commands.package import package_command
    from ftm_cli.commands.pin_profile import pin_profile_command
    from ftm_cli.commands.quality import quality_command
    from ftm_cli.commands.report import report_command
    from ftm_cli.commands.run import run_command
    from ftm_cli.commands.runs import runs_command
    from ftm_cli.commands.schema import schema_command
    from ftm_cli.commands.smoke import smoke_command
    from ftm_cli.commands.step import step_app
    from ftm_cli.commands.themes import themes_command
    from ftm_cli.commands.validate import validate_command
    from ftm_cli.commands.vllm import scale_down_command, scale_up_command

    _register_groups()
    app.command("pin-profile")(pin_profile_command)
    app.command("config")(config_command)
    app.command("validate")(validate_command)
    app.command("build")(build_command)
    app.command("deploy")(deploy_command)
    app.command("destroy")(destroy_command)
    app.command("scale-up")(scale_up_command)
    app.command("scale-down")(scale_down_command)
    app.command("run")(run_command)
    app.add_typer(step_app, name="step", help="One step of a run, as a job of any scheduler.")
    app.command("cancel")(cancel_command)
    app.command("smoke")(smoke_command)
    app.command("runs")(runs_command)
    app.command("monitor")(monitor_command)
    app.command("logs")(logs_command)
    app.command("doctor")(doctor_command)
    app.command("evaluate")(evaluate_command)
    app.command("quality")(quality_command)
    app.command("themes")(themes_command)
    app.command("browse")(browse_command)
    app.command("report")(report_command)
    app.command("failures")(failures_command)
    app.command("package")(package_command)
    app.command("export")(export_command)
    app.command("schema")(schema_command)


def _register_groups() -> None:
    from ftm_cli.commands.ingest import ingest_app
    from ftm_cli.commands.ingest_wrds import wrds_command
    from ftm_cli.commands.merge_identifiers import merge_identifiers_command
    from ftm_cli.commands.models import models_app
    from ftm_cli.commands.vllm import vllm_app

    ingest_app.command("wrds")(wrds_command)
    ingest_app.command("merge-identifiers")(merge_identifiers_command)
    app.add_typer(ingest_app, name="ingest", help="Bring a quarter's transcripts in.")
    app.add_typer(models_app, name="models", help="Model files on this machine: fetch.")
    app.add_typer(vllm_app, name="vllm", help="The LLM server on GPU instances: scale, status.")


_register()


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
