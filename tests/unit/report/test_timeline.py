"""Themes that continue one another make one chain through the quarters."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ftm_core.contracts.quarters import Quarter
from ftm_core.quality.linking import Theme
from ftm_core.report.timeline import MOST_QUARTERS, read_timeline, timeline_around
from ftm_core.storage.local import LocalStorage
from tests.fakes.small_quarter import build_small_quarter


def theme(name: str, n_firms: int, *direction: float) -> Theme:
    return Theme(name.lower(), name, "", (), n_firms, np.array(direction, np.float32))


def freight(n_firms: int) -> Theme:
    return theme("Freight", n_firms, 1, 0, 0)


def pricing(n_firms: int) -> Theme:
    return theme("Pricing", n_firms, 0, 1, 0)


def cyber(n_firms: int) -> Theme:
    return theme("Cyber", n_firms, 0, 0, 1)


def test_chain_runs_from_first_to_last_quarter_of_a_theme() -> None:
    first, second, fourth = Quarter(2023, 1), Quarter(2023, 2), Quarter(2023, 4)
    themes = {
        first: [freight(9), pricing(4)],
        second: [pricing(6), cyber(3)],
        # The third quarter was not run.
        fourth: [pricing(5), cyber(2), freight(2)],
    }
    timeline = timeline_around(second, themes, 0.3)
    assert timeline is not None
    assert timeline.quarters == ("2023Q1", "2023Q2", "2023Q4")
    assert [(chain.name, chain.n_firms, chain.growth) for chain in timeline.chains] == [
        ("Freight", (9, None, None), None),
        ("Pricing", (4, 6, 5), 1),
        ("Cyber", (None, 3, 2), -1),
        # A theme that comes back after a quarter without it is a new one.
        ("Freight", (None, None, 2), None),
    ]


def test_theme_that_split_starts_a_chain_of_its_own() -> None:
    whole = theme("Costs", 8, 1, 0)
    trucks = theme("Trucks", 5, 1, 0)
    wages = theme("Wages", 4, 0.8, 0.6)
    themes = {Quarter(2023, 1): [whole], Quarter(2023, 2): [trucks, wages]}
    timeline = timeline_around(Quarter(2023, 2), themes, 0.3)
    assert timeline is not None
    assert [link.kind for link in timeline.steps[0].links] == ["continued", "split"]
    assert [chain.n_firms for chain in timeline.chains] == [(8, 5), (None, 4)]


def test_many_quarters_are_cut_around_the_one_asked_for() -> None:
    quarters = [Quarter(2020, 1)]
    while len(quarters) < MOST_QUARTERS + 2:
        quarters.append(quarters[-1].next())
    themes = {quarter: [pricing(4)] for quarter in quarters}
    latest = timeline_around(quarters[-1], themes, 0.3)
    oldest = timeline_around(quarters[0], themes, 0.3)
    assert latest is not None
    assert oldest is not None
    assert latest.quarters == tuple(map(str, quarters[2:]))
    assert oldest.quarters == tuple(map(str, quarters[:MOST_QUARTERS]))
    assert latest.n_quarters_found == MOST_QUARTERS + 2


def test_quarter_that_is_not_finished_is_skipped(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    first, second, third = Quarter(2023, 1), Quarter(2023, 2), Quarter(2023, 3)
    build_small_quarter(storage, of=first)
    assert read_timeline(storage, first, 0.3) is None
    build_small_quarter(storage, of=second, until="reduce")
    build_small_quarter(storage, of=third)
    timeline = read_timeline(storage, first, 0.3)
    assert timeline is not None
    assert timeline.quarters == ("2023Q1", "2023Q3")
