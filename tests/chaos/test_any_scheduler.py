"""The how-to for any scheduler, run as it is written with GNU parallel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.conftest import Reference
from tests.fakes.chaos_runs import FIRMS, Place, assert_same_rows, rows_of
from tests.fakes.needs import skip_or_fail

ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs" / "how-to" / "any-scheduler.md"


@pytest.mark.models
def test_how_to_with_gnu_parallel_gives_the_rows(place: Place, reference: Reference) -> None:
    if shutil.which("parallel") is None:
        skip_or_fail("GNU parallel is not installed (scripts/install-test-tools installs it)")
    script = re.search(r"```bash\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)
    assert script is not None
    commands = script[1].replace("step plan", f"step plan --max-firms {FIRMS}")
    binaries = place.folder / "bin"
    binaries.mkdir()
    ftm = binaries / "ftm"
    ftm.write_text(f'#!/bin/sh\nexec {sys.executable} -m ftm_cli "$@"\n')
    ftm.chmod(0o755)
    environment = place.environment | {
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "BATCH_SIZE": "4",
        "MAP_WORKERS": "1",
        "HOME": str(place.folder),
    }
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=place.folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stderr
    assert_same_rows(rows_of(place.storage), reference.rows)
