"""`ftm config`: every setting, its value and where the value came from."""

from __future__ import annotations

from typing import Annotated

import typer

from ftm_cli.options import JsonOption


def config_command(
    changed: Annotated[
        bool, typer.Option("--changed", help="Only settings that are not at their default.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Show each setting with its origin: flag, environment, project file, model or default.

    On this machine these are the settings that a run would use, the local model's own included.

    JSON: {target, pin, settings: [{name, value, origin, environment_variable, help}]}.

    Examples:

        ftm config --changed

        LLM_MAX_CONCURRENT=4 ftm config --json
    """
    import dataclasses
    from pathlib import Path

    from ftm_cli.console import print_json, print_table, say
    from ftm_cli.operations.aws.pin import read_pin
    from ftm_cli.targets import chosen_target
    from ftm_core.contracts.settings import PROJECT_FILE, resolve
    from ftm_core.llm.addresses import without_password

    if chosen_target(None) == "local":
        # A run on this machine fits the settings to its model; those are what is shown.
        from ftm_cli.operations.local_run import resolve_local

        origins = resolve_local({}).origins
    else:
        origins = resolve(project_file=Path(PROJECT_FILE)).origins
    if changed:
        origins = tuple(item for item in origins if item.origin != "default")
    # A secret is shown to be there, and no more.
    shown = [
        dataclasses.replace(item, value="(set)")
        if item.name == "llm.api_key" and item.value
        else dataclasses.replace(item, value=without_password(item.value))
        if item.name == "llm.base_url"
        else item
        for item in origins
    ]
    pin = read_pin()
    if json_output:
        print_json(
            {
                "target": chosen_target(None),
                "pin": dataclasses.asdict(pin) if pin else None,
                "settings": [dataclasses.asdict(item) for item in shown],
            }
        )
        return
    rows = [
        (item.name, item.value, item.origin, item.environment_variable, item.help) for item in shown
    ]
    print_table("Settings", ("setting", "value", "from", "variable", "meaning"), rows)
    who = f"account {pin.account_id}, {pin.region}, profile {pin.profile}" if pin else "nothing"
    say(f"Target: {chosen_target(None)}. Pinned: {who}.")
