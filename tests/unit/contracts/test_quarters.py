"""Quarters: what is one, which days it has, which one follows."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftm_core.contracts.errors import ExitCode, InputError
from ftm_core.contracts.quarters import Quarter

QUARTERS = st.builds(Quarter, st.integers(1, 9998), st.integers(1, 4))


@given(QUARTERS)
def test_a_quarter_is_read_back_from_its_text(quarter: Quarter) -> None:
    assert Quarter.parse(str(quarter)) == quarter


@pytest.mark.parametrize(
    "text",
    [
        "", "2023", "2023Q0", "2023Q5", "2023q1", "23Q1", "2023-Q1", " 2023Q1", "2023Q1 ",
        "2023Q1\n", "2023Q12", "12023Q1", "0000Q1", "２０２３Q1", "2023Q١",
        "../2023Q1", "2023Q1/..",
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InputError) as caught:
        Quarter.parse(text)
    assert repr(text) in caught.value.where
    assert caught.value.exit_code == ExitCode.USAGE


@given(st.text(max_size=8))
def test_no_other_text_is_a_quarter(text: str) -> None:
    try:
        quarter = Quarter.parse(text)
    except InputError:
        return
    assert str(quarter) == text


@given(QUARTERS)
def test_quarters_join_without_gap_or_overlap(quarter: Quarter) -> None:
    assert quarter.next() > quarter
    assert quarter.next().first_day - quarter.last_day == dt.timedelta(days=1)
    assert 90 <= (quarter.last_day - quarter.first_day).days + 1 <= 92


@given(st.dates(dt.date(1, 1, 1), dt.date(9998, 12, 31)))
def test_each_day_is_in_the_quarter_of_its_month(day: dt.date) -> None:
    quarter = Quarter(day.year, (day.month - 1) // 3 + 1)

    assert quarter.contains(day)
    assert not quarter.next().contains(day)


def test_fault_21_the_last_day_belongs_to_the_quarter() -> None:
    assert Quarter(2023, 1).contains(dt.date(2023, 3, 31))
    assert not Quarter(2023, 1).contains(dt.date(2023, 4, 1))
    assert Quarter(2023, 4).next() == Quarter(2024, 1)
