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


@pytest.mark.parametrize("code", [HELP, "import ftm_core", "import ftm_core.contracts.settings"])
def test_startup_loads_no_heavy_package(code: str) -> None:
    report = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))"
    started = subprocess.run(
        [sys.executable, "-c", f"{report}; {code}"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )

    loaded = {name.split(".")[0] for name in started.stderr.split()}
    assert loaded & {"ftm_cli", "ftm_core"}
    assert not loaded & HEAVY
