"""How the containers' entry point ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftm_core.contracts.errors import ExitCode
from ftm_core.contracts.quarters import Quarter
from ftm_core.storage.local import LocalStorage
from ftm_core.transcripts.ingest import ingest
from ftm_core.transcripts.sources import sample_corpus
from ftm_core.worker import main


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        ([], {}, "takes one of"),
        (["mop"], {}, "takes one of"),
        (["map"], {}, "S3_BUCKET"),
        (["plan"], {"S3_BUCKET": "somewhere/else"}, "QUARTER"),
        (["plan"], {"S3_BUCKET": "x/y", "QUARTER": "2023Q5"}, "2023Q5"),
        (
            ["plan"],
            {"S3_BUCKET": "x/y", "QUARTER": "2023Q1", "RUN_NAME": "r", "LLM_TIMEOUT": "soon"},
            "llm.timeout",
        ),
    ],
)
def test_wrong_usage_ends_with_2_and_names_what_is_wrong(
    arguments: list[str],
    environment: dict[str, str],
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert main(arguments, environment) == ExitCode.USAGE
    assert said in caplog.text


def test_a_quarter_without_transcripts_ends_with_2(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    environment = {"S3_BUCKET": f"{tmp_path}/data", "QUARTER": "2023Q1", "RUN_NAME": "smoke-test-1"}

    assert main(["plan"], environment) == ExitCode.USAGE
    assert "no ingested transcripts" in caplog.text


def test_a_map_job_of_a_quarter_that_nobody_planned_ends_with_2(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    environment = {
        "S3_BUCKET": f"{tmp_path}/data",
        "QUARTER": "2023Q1",
        "RUN_NAME": "smoke-test-1",
        "BATCH_ID": "2023Q1_batch_0000",
    }

    assert main(["map"], environment) == ExitCode.USAGE
    assert "has no run" in caplog.text


def test_reduce_that_cannot_succeed_releases_the_quarter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    quarter = Quarter(2023, 1)
    ingest(sample_corpus(quarter), quarter, LocalStorage(tmp_path / "data"))
    first = {
        "S3_BUCKET": f"{tmp_path}/data",
        "QUARTER": str(quarter),
        "RUN_NAME": "2023Q1-first",
        "LLM_BASE_URL": "http://127.0.0.1:1/v1",
    }
    second = first | {"RUN_NAME": "2023Q1-second"}
    assert main(["plan"], first) == ExitCode.DONE
    assert main(["plan"], second) == ExitCode.USAGE
    assert "is leased to the run 2023Q1-first" in caplog.text

    assert main(["reduce"], first) == ExitCode.USAGE
    assert "is not finished" in caplog.text

    assert main(["plan"], second) == ExitCode.DONE
