"""NPMI and diversity on figures worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftm_core.quality.coherence import Cooccurrence, diversity, npmi


def test_npmi_of_a_case_worked_by_hand() -> None:
    # p(x) = p(y) = 1/2, p(x, y) = 3/8: ln(1.5) / -ln(0.375) = 0.405465 / 0.980829.
    assert npmi(3, 4, 4, 8) == pytest.approx(0.413390, abs=1e-6)


def test_npmi_stands_at_its_limits() -> None:
    assert npmi(0, 4, 4, 8) == -1.0
    assert npmi(2, 2, 2, 8) == pytest.approx(1.0)
    assert npmi(2, 4, 4, 8) == pytest.approx(0.0)
    assert npmi(8, 8, 8, 8) == 1.0


@given(st.data())
def test_npmi_is_symmetric_and_within_bounds(data: st.DataObject) -> None:
    total = data.draw(st.integers(1, 500))
    first = data.draw(st.integers(1, total))
    second = data.draw(st.integers(1, total))
    both = data.draw(st.integers(max(0, first + second - total), min(first, second)))
    value = npmi(both, first, second, total)
    assert -1 - 1e-9 <= value <= 1 + 1e-9
    assert math.isclose(value, npmi(both, second, first, total))


def test_coherence_is_the_mean_over_the_pairs() -> None:
    counts = Cooccurrence(["freight", "ocean", "prices"])
    counts.add(["Ocean freight fell.", "Freight on the ocean."])
    counts.add(["Prices rose.", "Nothing else."])
    # freight and ocean always meet (1), prices meets neither (-1 twice).
    assert counts.coherence(["freight", "ocean", "prices"]) == pytest.approx(-1 / 3)


def test_a_pair_that_shares_a_word_and_a_word_never_said_are_left_out() -> None:
    counts = Cooccurrence(["freight", "ocean freight", "zebra", "rates"])
    counts.add(["Ocean freight rates fell.", "Rates of ocean freight.", "Other."])
    assert counts.coherence(["freight", "ocean freight"]) is None
    assert counts.coherence(["freight", "zebra"]) is None
    assert counts.coherence(["freight", "ocean freight", "rates", "zebra"]) == pytest.approx(1.0)


def test_a_keyword_of_two_words_may_span_a_stop_word() -> None:
    counts = Cooccurrence(["cost freight", "fell"])
    counts.add(["The cost of freight fell.", "Other."])
    assert counts.coherence(["cost freight", "fell"]) == pytest.approx(1.0)


def test_diversity_is_the_distinct_share() -> None:
    assert diversity([["freight", "cost"], ["prices", "cost"]]) == 0.75
    assert diversity([]) is None
