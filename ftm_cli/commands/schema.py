"""`ftm schema`: the JSON Schema of what a command prints with --json."""

from __future__ import annotations

from typing import Annotated

import typer


def schema_command(
    command: Annotated[
        str | None,
        typer.Argument(metavar="COMMAND", help="Command; lists them when left out."),
    ] = None,
) -> None:
    """Print the JSON Schema of the result of a command.

    The result has the same shape on every target.

    Examples:

        ftm schema

        ftm schema run
    """
    from ftm_cli.console import print_json
    from ftm_cli.results.schemas import SCHEMAS, json_schema
    from ftm_core.contracts.errors import InputError

    if command is None:
        for name, model in SCHEMAS.items():
            typer.echo(f"{name:<18} {(model.__doc__ or '').splitlines()[0]}")
        return
    if command not in SCHEMAS:
        raise InputError(
            f"The command {command}", "has no schema", f"Use one of {', '.join(SCHEMAS)}."
        )
    print_json(json_schema(command))
