"""Tests that lack a tool: named where they are skipped, failing where all tests must run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fakes.needs import skip_or_fail

TESTS = Path(__file__).parents[1]
# Ways to leave a test out that would hold in CI too.
_SKIPS = re.compile(r"pytest\.skip\(|mark\.skip|skipif|importorskip|xfail")


def test_lack_of_a_tool_fails_where_ci_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("true", "1"):
        monkeypatch.setenv("CI", value)
        with pytest.raises(pytest.fail.Exception, match="needs a tool"):
            skip_or_fail("needs a tool")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="needs a tool"):
        skip_or_fail("needs a tool")


def test_tests_are_left_out_in_one_place_alone() -> None:
    """Every test that can be skipped goes through skip_or_fail."""
    allowed = {TESTS / "fakes" / "needs.py", Path(__file__)}
    found = [
        file.relative_to(TESTS).as_posix()
        for file in TESTS.rglob("*.py")
        if file not in allowed and _SKIPS.search(file.read_text(encoding="utf-8"))
    ]
    assert found == []
