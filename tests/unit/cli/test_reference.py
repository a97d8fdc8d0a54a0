"""docs/cli.md is what the commands themselves say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_reference_is_current(tmp_path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    command = next(line for line in makefile.splitlines() if "utils docs" in line)
    title = command.split('--title "')[1].split('"')[0]
    written = tmp_path / "cli.md"

    subprocess.run(
        [sys.executable, "-m", "typer", "ftm_cli.app", "utils", "docs", "--name", "ftm",
         "--title", title, "--output", str(written)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )  # fmt: skip

    current = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert current == written.read_text(encoding="utf-8"), "run `make docs`"
