"""Ordering rows outside memory: order, and nothing on stdout but results."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path

from ftm_core.transcripts.rows import Component
from ftm_core.transcripts.staging import Staging


def make_component(firm: int, call: int, position: int) -> Component:
    return Component(
        firm_id=f"F{firm}",
        firm_name="Firm",
        ticker=None,
        permno=None,
        gvkey=None,
        link_date=None,
        transcript_id=f"C{call}",
        earnings_call_date=dt.date(2023, 1, 15),
        position=position,
        text=f"{firm} {call} {position}",
        speaker_type="CEO",
    )


def test_rows_come_back_by_firm_call_and_position(tmp_path: Path) -> None:
    places = [(firm, call, at) for firm in range(9) for call in range(3) for at in range(150)]
    shuffled = random.Random(1).sample(places, len(places))
    with Staging(tmp_path) as staging:
        for number, place in enumerate(shuffled):
            staging.add("2023Q1", "calls.csv", number, make_component(*place))
        assert staging.sort() == 9
        found = {
            firm_id: [(row.transcript_id, row.position, row.number) for row in rows]
            for _, firm_id, rows in staging.firms()
        }
    numbers = {place: number for number, place in enumerate(shuffled)}
    assert list(found) == [f"F{firm}" for firm in range(9)]
    for firm in range(9):
        assert found[f"F{firm}"] == [
            (f"C{call}", at, numbers[firm, call, at]) for call in range(3) for at in range(150)
        ]


def test_the_database_draws_no_bar_on_stdout(tmp_path: Path) -> None:
    with Staging(tmp_path) as staging, staging._database() as connection:
        [(drawn,)] = connection.execute("SELECT current_setting('enable_progress_bar')").fetchall()
    assert drawn is False
