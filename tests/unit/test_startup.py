"""Starting ftm is fast: help and the library's entry load no heavy package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
HEAVY = {
    "bertopic", "boto3", "botocore", "duckdb", "gensim", "hdbscan", "pandas", "plotly", "pyarrow",
    "sentence_transformers", "sklearn", "torch", "transformers", "umap", "xllamacpp",
}  # fmt: skip
HELP = "import sys; sys.argv = ['ftm', '--help']; from ftm_cli.app import main; main()"


def modules_loaded_by(code: str) -> set[str]:
    report = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))"
    started = subprocess.run(
        [sys.executable, "-c", f"{report}; {code}"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )

    return set(started.stderr.split())


def test_help_imports_no_command_and_nothing_that_draws() -> None:
    """The list of commands is shown within 1.5 times what importing Typer and Rich takes."""
    loaded = modules_loaded_by(HELP)
    assert "ftm_cli.command_list" in loaded
    assert not {name for name in loaded if name.startswith("ftm_cli.commands.")}
    assert "rich.console" not in loaded


@pytest.mark.parametrize("code", [HELP, "import ftm_core", "import ftm_core.contracts.settings"])
def test_startup_loads_no_heavy_package(code: str) -> None:
    loaded = {name.split(".")[0] for name in modules_loaded_by(code)}
    assert loaded & {"ftm_cli", "ftm_core"}
    assert not loaded & HEAVY
