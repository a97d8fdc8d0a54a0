"""The link rules: valid on the day, of the right type, and one alone by the stated order."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftm_core.contracts.errors import InputError
from ftm_core.transcripts.identifiers import (
    UNLINKED,
    Identifiers,
    Link,
    normal_gvkey,
    resolve,
    resolve_firm,
)

TODAY = dt.date(2024, 6, 30)
CALL = dt.date(2023, 2, 15)
GOOD = Link("000001", 10001, dt.date(2010, 1, 1), None, "LC", "P")


def permno(*links: Link, day: dt.date = CALL) -> int | None:
    return resolve(links, day, today=TODAY).identifiers.permno


@pytest.mark.parametrize(
    ("start", "end", "valid"),
    [
        (CALL, CALL, True),
        (None, None, True),
        (CALL + dt.timedelta(days=1), None, False),
        (None, CALL - dt.timedelta(days=1), False),
        (None, dt.date(9999, 12, 31), True),
        (dt.date(2023, 3, 1), dt.date(2023, 1, 1), False),
    ],
)
def test_fault_21_link_is_valid_on_its_first_and_last_day(
    start: dt.date | None, end: dt.date | None, valid: bool
) -> None:
    link = dataclasses.replace(GOOD, start=start, end=end)

    assert (permno(link) is not None) is valid


@pytest.mark.parametrize("end", [None, dt.date(9999, 12, 31)])
def test_fault_21_an_open_end_means_today_and_no_later_day(end: dt.date | None) -> None:
    link = dataclasses.replace(GOOD, end=end)

    assert permno(link, day=TODAY) == 10001
    assert permno(link, day=TODAY + dt.timedelta(days=1)) is None


@pytest.mark.parametrize(
    ("kind", "primary", "usable"),
    [
        ("LC", "P", True),
        ("LU", "C", True),
        ("LD", "P", False),
        ("NR", "P", False),
        ("LC", "J", False),
        ("LC", "N", False),
        ("", "P", False),
        ("LC", "", False),
        (None, None, True),
    ],
)
def test_fault_21_only_lu_and_lc_links_with_p_or_c_give_permnos(
    kind: str | None, primary: str | None, usable: bool
) -> None:
    found = resolve([dataclasses.replace(GOOD, kind=kind, primary=primary)], CALL, today=TODAY)

    assert (found.identifiers.permno is not None) is usable
    # The gvkey holds by itself.
    assert found.identifiers.gvkey == "000001"


ORDER = [
    (Link("000009", 9, dt.date(2001, 1, 1), None, "LU", "P"), "a permno before none"),
    (Link("000009", 8, dt.date(2001, 1, 1), None, "LC", "P"), "LC before LU"),
    (Link("000009", 7, dt.date(2005, 1, 1), None, "LC", "P"), "the later start"),
    (
        Link("000009", 6, dt.date(2005, 1, 1), None, "LC", "P", dt.date(2004, 1, 1)),
        "the later start of the gvkey",
    ),
    (
        Link("000008", 6, dt.date(2005, 1, 1), None, "LC", "P", dt.date(2004, 1, 1)),
        "the smaller gvkey",
    ),
    (
        Link("000008", 5, dt.date(2005, 1, 1), None, "LC", "P", dt.date(2004, 1, 1)),
        "the smaller permno",
    ),
]


@pytest.mark.parametrize("place", range(1, len(ORDER)))
def test_several_valid_links_are_resolved_by_the_stated_order(place: int) -> None:
    worse, better = ORDER[place - 1][0], ORDER[place][0]

    for links in ([worse, better], [better, worse]):
        found = resolve(links, CALL, today=TODAY)
        assert found.identifiers == Identifiers(better.gvkey, better.permno, better.start)
        assert found.ambiguous


def test_a_primary_mark_by_compustat_comes_before_one_by_crsp() -> None:
    by_crsp = Link("000001", 1, dt.date(2020, 1, 1), None, "LC", "C")

    assert permno(by_crsp, dataclasses.replace(GOOD, kind="LU")) == 10001


def test_fault_22_link_date_is_the_first_day_of_the_chosen_link() -> None:
    assert resolve([GOOD], CALL, today=TODAY).identifiers.link_date == dt.date(2010, 1, 1)
    lapsed = dataclasses.replace(GOOD, end=dt.date(2011, 1, 1))
    assert resolve([lapsed], CALL, today=TODAY).identifiers == Identifiers("000001")


def test_the_latest_call_with_a_permno_decides_for_the_firm() -> None:
    early = Link("000001", 1, None, dt.date(2023, 1, 31), "LC", "P")
    late = Link("000001", 2, dt.date(2023, 2, 1), dt.date(2023, 2, 28), "LC", "P")
    days = [dt.date(2023, 1, 10), dt.date(2023, 2, 10), dt.date(2023, 3, 10)]

    found = resolve_firm([early, late], days, today=TODAY)

    assert found.identifiers.permno == 2
    assert found.ambiguous
    assert resolve_firm([], days, today=TODAY) == UNLINKED


_links = st.builds(
    Link,
    gvkey=st.sampled_from([None, "000001", "000002"]),
    permno=st.sampled_from([None, 1, 2, 3]),
    start=st.none() | st.dates(dt.date(2022, 1, 1), dt.date(2024, 1, 1)),
    end=st.none() | st.dates(dt.date(2022, 1, 1), dt.date(2024, 1, 1)),
    kind=st.sampled_from(["LC", "LU", "LD"]),
    primary=st.sampled_from(["P", "C", "J"]),
    gvkey_start=st.none() | st.just(dt.date(2023, 1, 1)),
    gvkey_end=st.none() | st.just(dt.date(2023, 6, 1)),
)


@given(st.lists(_links, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_the_source_never_decides(links: list[Link], chance: object) -> None:
    shuffled = list(links)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    assert resolve(links, CALL, today=TODAY) == resolve(shuffled * 2, CALL, today=TODAY)


@pytest.mark.parametrize(
    ("text", "expected"), [("1690", "001690"), (" 001690 ", "001690"), ("1690.0", "001690")]
)
def test_gvkeys_are_written_as_six_digits(text: str, expected: str) -> None:
    assert normal_gvkey(text, where="row 1") == expected


@pytest.mark.parametrize("text", ["", "1690A", "1690.5", "1234567", "-1"])
def test_what_is_no_gvkey_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="row 1"):
        normal_gvkey(text, where="row 1")
