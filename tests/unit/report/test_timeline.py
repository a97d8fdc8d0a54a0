"""Themes that continue one another make one chain through the quarters."""

from __future__ import annotations

from pathlib import Path

from ftm_core.contracts import keys, schemas
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.schemas import table_from_rows
from ftm_core.report.timeline import MOST_QUARTERS, read_timeline
from ftm_core.storage.local import LocalStorage
from ftm_core.storage.tables import write_table

FREIGHT = ("Freight", "ocean freight containers", ["freight", "ocean"])
PRICING = ("Pricing", "raising list prices", ["prices", "margin"])
CYBER = ("Cyber", "malware attacks", ["malware", "breach"])


def put(
    storage: LocalStorage, quarter: Quarter, *themes: tuple[tuple[str, str, list[str]], int]
) -> None:
    rows = [
        {
            "theme_id": f"theme_{quarter}_{place:03d}", "name": name, "description": description,
            "keywords": keywords, "n_topics": n_firms, "n_firms": n_firms, "quarter": str(quarter),
        }
        for place, ((name, description, keywords), n_firms) in enumerate(themes, 1)
    ]  # fmt: skip
    table = table_from_rows(rows, schemas.THEMES, run_id="run", where="themes")
    write_table(storage, keys.themes(quarter), table)


def test_chains_run_from_the_first_quarter_of_a_theme_to_its_last(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    first, second, fourth = Quarter(2023, 1), Quarter(2023, 2), Quarter(2023, 4)
    put(storage, first, (FREIGHT, 9), (PRICING, 4))
    assert read_timeline(storage, first, 0.3) is None
    put(storage, second, (PRICING, 6), (CYBER, 3))
    put(storage, fourth, (PRICING, 5), (CYBER, 2), (FREIGHT, 2))
    timeline = read_timeline(storage, second, 0.3)
    assert timeline is not None
    # A quarter that was not run is passed over.
    assert timeline.quarters == ("2023Q1", "2023Q2", "2023Q4")
    assert [(chain.name, chain.n_firms, chain.growth) for chain in timeline.chains] == [
        ("Freight", (9, None, None), None),
        ("Pricing", (4, 6, 5), 1),
        ("Cyber", (None, 3, 2), -1),
        # A theme that comes back after a quarter without it is a new one.
        ("Freight", (None, None, 2), None),
    ]


def test_many_quarters_are_cut_around_the_one_asked_for(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    quarter = Quarter(2020, 1)
    quarters = []
    for _ in range(MOST_QUARTERS + 2):
        put(storage, quarter, (PRICING, 4))
        quarters.append(str(quarter))
        quarter = quarter.next()
    latest = read_timeline(storage, Quarter.parse(quarters[-1]), 0.3)
    oldest = read_timeline(storage, Quarter.parse(quarters[0]), 0.3)
    assert latest is not None
    assert oldest is not None
    assert latest.quarters == tuple(quarters[2:])
    assert oldest.quarters == tuple(quarters[:MOST_QUARTERS])
    assert latest.n_quarters_found == MOST_QUARTERS + 2
