"""`ftm config`: every setting, its value and where the value came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ftm_cli.options import JsonOption

if TYPE_CHECKING:
    from ftm_core.contracts.settings import ResolvedSettings


def config_command(
    changed: Annotated[
        bool, typer.Option("--changed", help="Only settings that are not at their default.")
    ] = False,
    meanings: Annotated[
        bool, typer.Option("--meanings", help="Explain each setting instead of its origin.")
    ] = False,
    thresholds: Annotated[
        bool,
        typer.Option("--thresholds", help="Show the thresholds of `ftm quality` instead."),
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Show each setting with its origin: flag, environment, project file, model or default.

    On this machine these are the settings that a run would use, including those that fit the run
    to the local model. Set one by its environment variable or in ftm.toml.

    JSON: `ftm schema config`.

    Examples:

        ftm config --changed

        LLM_MAX_CONCURRENT=4 ftm config --json
    """
    from ftm_cli.console import print_json, say
    from ftm_cli.operations.aws.pin import read_pin
    from ftm_cli.results.setup import ConfigReport
    from ftm_cli.targets import chosen_target
    from ftm_cli.views.settings import show_settings, show_thresholds, without_secrets

    target = chosen_target(None)
    resolved = _resolved(target)
    shown = without_secrets(resolved.origins)
    if changed:
        shown = [item for item in shown if item.origin != "default"]
    pin = read_pin()
    if json_output:
        report = ConfigReport(
            target=target,
            pin=pin,
            settings=shown,
            thresholds=resolved.settings.quality.model_dump(),
        )
        print_json(report.as_json())
        return
    who = f"account {pin.account_id}, {pin.region}, profile {pin.profile}" if pin else "nothing"
    say(f"Target: {target}. Pinned: {who}.", style="dim")
    if thresholds:
        show_thresholds(resolved.settings.quality)
    else:
        show_settings(shown, meanings=meanings)


def _resolved(target: str) -> ResolvedSettings:
    from pathlib import Path

    from ftm_core.contracts.settings import PROJECT_FILE, resolve

    if target == "local":
        # A run on this machine fits the settings to its model; those are what is shown.
        from ftm_cli.operations.local_run import resolve_local

        return resolve_local({})
    return resolve(project_file=Path(PROJECT_FILE))
