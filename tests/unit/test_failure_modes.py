"""docs/failure-modes.md lists every fault that a test is named after, and where its tests are."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (\d+) \|.*\| ([^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"def (test_\w*fault_\d\w*)\(")
LISTED = {
    int(number): set(re.findall(r"`([^`]+)`", files))
    for number, files in ROW.findall((ROOT / "docs/failure-modes.md").read_text(encoding="utf-8"))
}


def files_by_fault() -> dict[int, set[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    for path in (ROOT / "tests").rglob("test_*.py"):
        for name in TEST.findall(path.read_text(encoding="utf-8")):
            for number in re.findall(r"fault_(\d+)", name):
                found[int(number)].add(str(path.relative_to(ROOT / "tests")))
    return found


def test_failure_modes_are_numbered_without_a_gap() -> None:
    assert list(LISTED) == list(range(1, 28))


def test_failure_modes_list_every_fault_in_a_test_name() -> None:
    assert set(files_by_fault()) == set(LISTED)


@pytest.mark.parametrize("number", sorted(LISTED))
def test_failure_mode_names_files_with_its_tests(number: int) -> None:
    assert LISTED[number]
    assert LISTED[number] <= files_by_fault()[number]
