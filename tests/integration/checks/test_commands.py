"""`ftm evaluate`, `failures`, `package` and `export` as an operator runs them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from ftm_cli.app import app
from ftm_core.contracts import keys
from ftm_core.data import lease
from ftm_core.storage.local import LocalStorage
from tests.fakes.small_quarter import (
    QUARTER,
    SmallQuarter,
    build_small_quarter,
    edit_table,
    read_rows,
)

TABLES = [
    "firms", "sentences", "topics", "themes", "theme_contributions", "theme_exposures",
    "theme_directions", "themes_for_sentiment",
]  # fmt: skip
SENTIMENT = keys.sentiment_ready(QUARTER)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without settings or data of its own, a terminal wide enough for the tables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    # The small quarter has two failed firms of seven.
    monkeypatch.setenv("MAX_FAILURE_RATE", "0.5")
    monkeypatch.delenv("FTM_DATA", raising=False)


def ftm(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_evaluate_shows_every_check_and_the_sample_rows(finished_quarter: SmallQuarter) -> None:
    shown = ftm("evaluate", "--quarter", "2023Q1", "--data", finished_quarter.storage.uri)
    assert shown.exit_code == 0, shown.output
    assert "naming-method" in shown.stdout
    assert "49 written + 7 of failed firms = 56" in shown.stdout
    assert "Firm 1 showed investors" in shown.stdout
    assert "theme_2023Q1_002" in shown.stdout
    assert "FAIL" not in shown.stdout
    assert "checks passed" in shown.stderr


def test_evaluate_warns_by_the_thresholds_of_quality(
    finished_quarter: SmallQuarter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ftm.toml").write_text("[quality]\nmin_coverage = 0.99\n")
    monkeypatch.chdir(tmp_path)
    shown = ftm("evaluate", "--quarter", "2023Q1", "--data", finished_quarter.storage.uri)
    assert shown.exit_code == 0, shown.output
    assert "warning: coverage is 0.833, wanted at least 0.99" in " ".join(shown.stderr.split())


def test_evaluate_takes_the_latest_quarter_and_json_stands_alone(
    finished_quarter: SmallQuarter,
) -> None:
    shown = ftm("evaluate", "--json", "--data", finished_quarter.storage.uri)
    assert shown.exit_code == 0, shown.output
    (report,) = json.loads(shown.stdout)["quarters"]
    assert (report["quarter"], report["passed"], report["n_failed"]) == ("2023Q1", True, 0)


@pytest.mark.parametrize("as_json", [False, True])
def test_fault_11_evaluate_ends_with_3_and_names_what_failed(
    small_quarter: SmallQuarter, as_json: bool
) -> None:
    part = keys.firm_topics_part(QUARTER, keys.batch_id(QUARTER, 0), 0)
    for key in (part, keys.processed_table("topics", QUARTER)):
        edit_table(
            small_quarter.storage,
            key,
            lambda rows: [{**rows[0], "naming_method": "keywords"}, *rows[1:]],
        )
    shown = ftm("evaluate", "--data", small_quarter.storage.uri, *(["--json"] if as_json else []))
    assert shown.exit_code == 3
    assert "checks: naming-method" in shown.stderr
    if as_json:
        (report,) = json.loads(shown.stdout)["quarters"]
        failed = [check for check in report["checks"] if not check["passed"]]
        assert [(check["id"], check["detail"]) for check in failed] == [
            ("naming-method", "F1_0 has 'keywords'")
        ]
    else:
        assert "12 of 13 topics" in shown.stdout


def test_evaluate_of_an_unfinished_quarter_ends_with_2(tmp_path: Path) -> None:
    quarter = build_small_quarter(LocalStorage(tmp_path / "data"), until="reduce")
    shown = ftm("evaluate", "--quarter", "2023Q1", "--data", quarter.storage.uri)
    assert shown.exit_code == 2
    assert shown.stdout == ""
    assert "ftm run --quarter 2023Q1" in shown.stderr


@pytest.mark.parametrize("command", ["evaluate", "failures", "package", "export"])
def test_an_empty_folder_ends_with_2_and_says_what_to_run(command: str, tmp_path: Path) -> None:
    shown = ftm(command, "--data", str(tmp_path / "nothing"))
    assert shown.exit_code == 2
    assert "ftm run" in shown.stderr
    assert not (tmp_path / "nothing").exists()


def test_failures_lists_firms_and_topics_with_reasons(finished_quarter: SmallQuarter) -> None:
    shown = ftm("failures", "--data", finished_quarter.storage.uri)
    assert shown.exit_code == 0, shown.output
    assert "made to fail" in shown.stdout
    assert "F6_1" in shown.stdout
    assert "2 of 7 firms failed, 2 failures recorded" in shown.stderr


def test_fault_10_failures_as_json_hide_nothing(finished_quarter: SmallQuarter) -> None:
    shown = ftm("failures", "--json", "-q", "2023Q1", "--data", finished_quarter.storage.uri)
    report = json.loads(shown.stdout)
    assert (report["n_firms"], report["n_failed_firms"], report["n_failures"]) == (7, 2, 2)
    found = [(f["batch_id"], f["firm_id"], f["topic_id"]) for f in report["failures"]]
    assert found == [("2023Q1_batch_0001", "F6", "F6_1"), ("2023Q1_batch_0002", "F7", None)]
    assert "not this one" in report["failures"][0]["error_message"]


def test_failures_of_an_unfinished_quarter_are_shown(tmp_path: Path) -> None:
    quarter = build_small_quarter(LocalStorage(tmp_path / "data"), until="reduce")
    shown = ftm("failures", "--json", "--data", quarter.storage.uri)
    assert json.loads(shown.stdout)["n_failures"] == 2


def test_package_restores_tables_and_lists_firms_without_permno(
    small_quarter: SmallQuarter,
) -> None:
    before = read_rows(small_quarter.storage, SENTIMENT)
    identity = lease.read_identity(small_quarter.storage, QUARTER)
    small_quarter.storage.delete(SENTIMENT)
    shown = ftm("package", "--json", "--data", small_quarter.storage.uri)
    assert shown.exit_code == 0, shown.output
    report = json.loads(shown.stdout)
    assert report["firms_without_permno"] == ["F5"]
    assert (report["n_sentiment_rows"], report["n_rows_without_permno"]) == (11, 2)
    assert read_rows(small_quarter.storage, SENTIMENT) == before
    after = lease.read_identity(small_quarter.storage, QUARTER)
    assert identity is not None
    assert after is not None
    assert (after.run_id, after.owner) == (identity.run_id, None)
    assert after.finished is not None


def test_fault_7_package_is_refused_while_a_run_has_the_lease(
    small_quarter: SmallQuarter,
) -> None:
    identity = lease.read_identity(small_quarter.storage, QUARTER)
    assert identity is not None
    owner = lease.this_process("2023Q1-20230601-130000")
    lease.acquire(small_quarter.storage, QUARTER, identity.inputs, owner)
    shown = ftm("package", "--data", small_quarter.storage.uri)
    assert shown.exit_code == 2
    assert "2023Q1-20230601-130000" in shown.stderr


def export(quarter: SmallQuarter, kind: str, folder: Path) -> dict[str, Any]:
    shown = ftm(
        "export", "--format", kind, "--output", str(folder), "--data", quarter.storage.uri, "--json"
    )
    assert shown.exit_code == 0, shown.output
    report: dict[str, Any] = json.loads(shown.stdout)
    assert [table["table"] for table in report["tables"]] == TABLES
    assert [table["n_rows"] for table in report["tables"]] == [7, 49, 13, 2, 13, 14, 2, 11]
    return report


def test_export_to_parquet_keeps_schema_and_stamp(
    finished_quarter: SmallQuarter, tmp_path: Path
) -> None:
    export(finished_quarter, "parquet", tmp_path / "out")
    with finished_quarter.storage.open_input(SENTIMENT) as source:
        original = pq.read_table(source)
    exported = pq.read_table(tmp_path / "out" / "themes_for_sentiment.parquet")
    assert exported.equals(original, check_metadata=True)


def test_export_to_csv_nests_sentences_as_json(
    finished_quarter: SmallQuarter, tmp_path: Path
) -> None:
    export(finished_quarter, "csv", tmp_path / "out")
    with (tmp_path / "out" / "themes_for_sentiment.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    first = read_rows(finished_quarter.storage, SENTIMENT)[0]
    assert json.loads(rows[0]["sentences"]) == first["sentences"]
    assert rows[0]["earnings_call_date"] == "2023-01-01"
    with (tmp_path / "out" / "firms.csv").open(newline="", encoding="utf-8") as file:
        unlinked = [row for row in csv.DictReader(file) if row["firm_id"] == "F5"]
    assert [row["permno"] for row in unlinked] == [""]


def test_export_to_json_lines(finished_quarter: SmallQuarter, tmp_path: Path) -> None:
    export(finished_quarter, "jsonl", tmp_path / "out")
    lines = (tmp_path / "out" / "topics.jsonl").read_text(encoding="utf-8").splitlines()
    first = json.loads(lines[0])
    assert first["theme_id"] == "theme_2023Q1_001"
    assert first["sentence_ids"] == ["F1_T11_0003", "F1_T11_0002", "F1_T11_0001"]
    assert first["earnings_call_date"] == "2023-01-01"


def test_an_export_replaces_the_one_before(finished_quarter: SmallQuarter, tmp_path: Path) -> None:
    for _ in range(2):
        export(finished_quarter, "duckdb", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["ftm_2023Q1.duckdb"]


def test_export_of_an_empty_table(tmp_path: Path) -> None:
    quarter = build_small_quarter(LocalStorage(tmp_path / "data"), with_themes=False)
    for kind in ("csv", "jsonl", "parquet", "duckdb"):
        shown = ftm("export", "-f", kind, "-o", "out", "--data", quarter.storage.uri, "--json")
        assert shown.exit_code == 0, shown.output
        tables = {table["table"]: table["n_rows"] for table in json.loads(shown.stdout)["tables"]}
        assert (tables["themes"], tables["themes_for_sentiment"]) == (0, 0)


def test_an_export_into_a_file_is_refused(finished_quarter: SmallQuarter, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    shown = ftm("export", "-o", "taken", "--data", finished_quarter.storage.uri)
    assert shown.exit_code == 2
    assert "is a file, not a folder" in shown.stderr
    assert "bug in ftm" not in shown.stderr


@pytest.mark.parametrize("command", ["evaluate", "failures", "package", "export"])
def test_help_gives_two_examples(command: str) -> None:
    shown = ftm(command, "--help")
    assert shown.exit_code == 0
    assert shown.stdout.count(f"ftm {command}") >= 2
