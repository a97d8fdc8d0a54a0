"""Samples keep each group's share, and are the same each time."""

from __future__ import annotations

from collections import Counter

from ftm_core.report.sampling import sample_by_group

NAMES = [f"F{number}_0" for number in range(1000)]
GROUPS = ["large" if number < 900 else "small" for number in range(998)] + ["one", "two"]


def test_what_fits_is_kept_whole() -> None:
    assert sample_by_group(NAMES[:5], GROUPS[:5], 5) == [0, 1, 2, 3, 4]


def test_each_group_keeps_its_share_and_one_at_least() -> None:
    chosen = sample_by_group(NAMES, GROUPS, 100)
    assert Counter(GROUPS[place] for place in chosen) == {
        "large": 90, "small": 9, "one": 1, "two": 1,
    }  # fmt: skip
    assert chosen == sorted(set(chosen))
    # Not simply the first of each group.
    assert chosen[-12] > 100
    assert max(place for place in chosen if place < 900) > 800


def test_order_of_names_has_no_effect() -> None:
    chosen = {NAMES[place] for place in sample_by_group(NAMES, GROUPS, 100)}
    reverse = sample_by_group(NAMES[::-1], GROUPS[::-1], 100)
    assert {NAMES[::-1][place] for place in reverse} == chosen
