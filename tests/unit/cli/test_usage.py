"""Wrong usage is reported as such, with exit code 2, and never as a bug in ftm."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from ftm_cli.app import app


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "nonsense"),
        (["run", "--quarter", "2023Q1", "--workers", "0"], "greater than or equal to 1"),
        (["run", "--quarter", "2023Q1", "--workers", "many"], "--workers"),
        (["run"], "--quarter"),
        (["evaluate", "--nonsense"], "--nonsense"),
        (["ingest", "wrds", "--quarter", "2023Q1", "--connect-timeout", "1"], "equal to 5"),
    ],
)
def test_wrong_usage_ends_with_2_and_names_what_is_wrong(
    arguments: list[str], message: str
) -> None:
    ended = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "NO_COLOR": "1"})

    assert ended.exit_code == 2
    assert message in ended.output
    assert "bug in ftm" not in ended.output
