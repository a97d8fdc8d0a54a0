"""`ftm ingest`: where a source goes, what is printed where, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ftm_cli.app import app
from tests.fakes.transcript_corpora import sentence_row, stored_rows, write_corpus


def ftm_ingest(*words: object) -> Result:
    return CliRunner().invoke(app, ["ingest", *(str(word) for word in words)])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.mark.parametrize("options_first", [False, True])
def test_a_source_needs_no_subcommand(tmp_path: Path, data: Path, options_first: bool) -> None:
    source = write_corpus(tmp_path / "calls.csv", [sentence_row(1), sentence_row(2)])
    options = ["--quarter", "2023Q1", "--data", data]
    result = ftm_ingest(*options, source) if options_first else ftm_ingest(source, *options)
    assert result.exit_code == 0
    assert "Transcripts of 2023Q1" in result.stdout
    assert len(stored_rows(data)) == 2


def test_the_sample_corpus_is_ingested_by_name(data: Path) -> None:
    result = ftm_ingest("sample", "--quarter", "2023Q1", "--data", data, "--json")
    facts = json.loads(result.stdout)
    assert (result.exit_code, facts["source"], facts["rejected_rows"]) == (0, "sample", 0)
    assert facts["firms"] >= 24


def test_json_is_alone_on_stdout_and_rejects_are_on_stderr(tmp_path: Path, data: Path) -> None:
    rows = [sentence_row(1), *(sentence_row(2, raw_text="", position=at) for at in range(30))]
    source = write_corpus(tmp_path / "calls.csv", rows)
    refused = ftm_ingest(source, "-q", "2023Q1", "--data", data, "--json")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--accept-rejects" in refused.stderr
    result = ftm_ingest(source, "-q", "2023Q1", "--data", data, "--json", "--accept-rejects")
    facts = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (facts["rows"], facts["rejected_rows"], facts["sentences"]) == (31, 30, 1)
    assert facts["rejects"][0] == {
        "file": "calls.csv",
        "row": 3,
        "field": "raw_text",
        "value": "",
        "reason": "the text is empty",
    }
    assert "Rejected rows (20 of 30)" in result.stderr
    assert "rejects.csv" in result.stderr.replace("\n", "")
    assert Path(facts["rejects_file"]).is_file()


def test_the_same_source_again_says_that_nothing_is_to_do(tmp_path: Path, data: Path) -> None:
    source = write_corpus(tmp_path / "calls.csv", [sentence_row(1)])
    ftm_ingest(source, "-q", "2023Q1", "--data", data)
    again = ftm_ingest(source, "-q", "2023Q1", "--data", data)
    assert again.exit_code == 0
    assert "nothing to do" in again.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.csv", "-q", "2023Q1"], "does not exist"),
        (["sample", "-q", "2023Q9"], "not a calendar quarter"),
        (["sample", "-q", "1999Q1"], "The sample 1999Q1 does not exist"),
        (["sample", "-q", "2023Q1", "--layout", "excel"], "The layout excel is not known"),
        (["sample", "-q", "2023Q1", "--column", "permno"], "ours=theirs"),
        (["sample", "-q", "2023Q1", "--column", "permno=lpermno"], "lacks lpermno"),
    ],
)
def test_wrong_input_ends_with_2_and_a_remedy(data: Path, words: list[str], message: str) -> None:
    result = ftm_ingest(*words, "--data", data)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""
    assert not data.exists()


def test_strict_shows_the_rejected_rows_and_ends_with_2(tmp_path: Path, data: Path) -> None:
    source = write_corpus(tmp_path / "calls.csv", [sentence_row(1), sentence_row(2, firm_id="")])
    result = ftm_ingest(source, "-q", "2023Q1", "--data", data, "--strict")
    assert result.exit_code == 2
    assert "Rejected rows (1 of 1)" in result.stderr
    assert not data.exists()


def test_help_shows_options_of_a_source_and_the_other_sources() -> None:
    text = ftm_ingest("--help").stdout
    assert "ftm ingest sample --quarter 2023Q1" in text
    assert "--layout" in text
    assert "wrds" in text
    assert "files" not in text.split("Other sources")[-1]
