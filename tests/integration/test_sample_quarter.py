"""A user runs the sample quarter with the bundled models and inspects the output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

FIRMS = 8


def ftm(*arguments: str, data: Path) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, with no settings of this machine."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LLM_", "FTM_", "MAP_"))}
    return subprocess.run(
        [sys.executable, "-m", "ftm_cli", *arguments, "--data", str(data)],
        env=kept,
        cwd=data.parent,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "data"
    ingested = ftm("ingest", "sample", "--quarter", "2023Q1", data=folder)
    assert ingested.returncode == 0, ingested.stderr
    ran = ftm("run", "--quarter", "2023Q1", "--max-firms", str(FIRMS), "--json", data=folder)
    assert ran.returncode == 0, ran.stderr
    (folder.parent / "outcome.json").write_text(ran.stdout)
    return folder


def test_run_prints_one_json_document_with_counts_of_the_files(data: Path) -> None:
    (outcome,) = json.loads((data.parent / "outcome.json").read_text())["quarters"]

    topics = pd.concat(
        pd.read_parquet(file) for file in data.glob("intermediate/firm-topics/quarter=2023Q1/*")
    )
    themes = pd.read_parquet(data / "processed/themes/quarter=2023Q1/themes.parquet")
    assert outcome["firms"]["finished"] == FIRMS
    assert outcome["topics"] == len(topics) > FIRMS
    assert outcome["themes"] == len(themes) > 0


def test_every_check_of_evaluate_passes(data: Path) -> None:
    evaluated = ftm("evaluate", "--json", data=data)

    (report,) = json.loads(evaluated.stdout)["quarters"]
    failed = [check for check in report["checks"] if not check["passed"]]
    assert failed == []
    assert evaluated.returncode == 0, evaluated.stderr


def test_run_of_a_finished_quarter_does_nothing_and_says_so(data: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*") if path.is_file()}

    again = ftm("run", "--quarter", "2023Q1", "--max-firms", str(FIRMS), data=data)

    assert again.returncode == 0
    assert "nothing to do" in again.stderr
    after = {path: path.stat().st_mtime_ns for path in data.rglob("*") if path.is_file()}
    assert after == before


def test_fault_5_run_with_other_settings_is_refused(data: Path) -> None:
    refused = ftm("run", "--quarter", "2023Q1", "--max-firms", str(FIRMS - 1), data=data)

    assert refused.returncode == 2
    assert "max_firms" in refused.stderr
    assert "--restart" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_planted_key_is_read_by_no_part_of_the_pipeline() -> None:
    root = Path(__file__).parents[2]
    readers = [
        path
        for folder in ("ftm_core", "ftm_cli")
        for path in (root / folder).rglob("*.py")
        if "planted_themes" in path.read_text(encoding="utf-8")
        and "quality" not in path.relative_to(root).as_posix()
    ]
    assert readers == []
