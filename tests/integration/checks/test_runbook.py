"""The runbook's own pandas snippets, unchanged but for their folders, on real output."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ftm_core.contracts import keys
from tests.fakes.needs import skip_or_fail
from tests.fakes.small_quarter import QUARTER, SmallQuarter, edit_table

_REPOSITORY = Path(__file__).parents[3]
RUNBOOK = Path(os.environ.get("FTM_RUNBOOK", _REPOSITORY.parent / "shared" / "runbook.md"))
_SNIPPET = re.compile(r'^python3 -c "\n.*?\n"$', re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def snippets() -> list[str]:
    """The shell commands of the runbook that run Python, as they are written there."""
    if not RUNBOOK.is_file():
        skip_or_fail(f"the runbook is not at {RUNBOOK}; FTM_RUNBOOK names another place")
    return _SNIPPET.findall(RUNBOOK.read_text(encoding="utf-8"))


@pytest.fixture
def copied_output(small_quarter: SmallQuarter, tmp_path: Path) -> Path:
    """The runbook's `aws s3 cp` of the quarter's output, into a folder for its `/tmp`."""
    target = tmp_path / "tmp"
    root = Path(small_quarter.storage.uri)
    shutil.copytree(root / keys.firm_topics_prefix(QUARTER), target / "map-output")
    for key in (keys.themes(QUARTER), keys.theme_contributions(QUARTER)):
        shutil.copy(root / key, target)
    return target


def run(snippet: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = snippet.replace("/tmp/", f"{folder}/").replace("python3 ", f"'{sys.executable}' ", 1)
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False
    )


def test_the_runbook_holds_three_snippets(snippets: list[str]) -> None:
    assert len(snippets) == 3


def test_the_map_output_is_read(snippets: list[str], copied_output: Path) -> None:
    done = run(snippets[0], copied_output)
    assert done.returncode == 0, done.stderr
    assert "Rows: 13" in done.stdout
    assert "Summary populated: 13/13" in done.stdout


def test_the_themes_are_read(snippets: list[str], copied_output: Path) -> None:
    done = run(snippets[1], copied_output)
    assert done.returncode == 0, done.stderr
    assert "=== THEMES ===\nCount: 2" in done.stdout
    assert "=== THEME CONTRIBUTIONS ===\nCount: 13" in done.stdout
    assert "theme_2023Q1_001" in done.stdout


def test_the_naming_quality_is_verified(snippets: list[str], copied_output: Path) -> None:
    done = run(snippets[2], copied_output)
    assert done.returncode == 0, done.stderr
    assert "Empty summaries: 0/13" in done.stdout
    assert "Summary equals representation: 0/13" in done.stdout
    assert "SUCCESS: All topics have valid LLM summaries" in done.stdout


def test_the_naming_snippet_refuses_what_evaluate_refuses(
    snippets: list[str], small_quarter: SmallQuarter, tmp_path: Path
) -> None:
    part = keys.firm_topics_part(QUARTER, keys.batch_id(QUARTER, 0), 0)
    edit_table(
        small_quarter.storage,
        part,
        lambda rows: [{**row, "naming_method": "keywords"} for row in rows],
    )
    folder = Path(small_quarter.storage.uri) / keys.firm_topics_prefix(QUARTER)
    shutil.copytree(folder, tmp_path / "tmp" / "map-output")
    done = run(snippets[2], tmp_path / "tmp")
    assert done.returncode == 1
    assert "Found non-LLM naming" in done.stderr
