"""Themes of two quarters linked by their words."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftm_core.contracts.errors import InputError
from ftm_core.quality import linking
from ftm_core.quality.linking import Theme, link, parse_range, similarities


def theme(number: int, words: str, n_firms: int = 5, quarter: str = "2016Q3") -> Theme:
    return Theme(f"theme_{quarter}_{number:03d}", words, words, tuple(words.split()), n_firms)


def told(before: list[Theme], after: list[Theme], threshold: float = 0.3) -> list[str]:
    return [
        f"{found.kind} {found.before.name if found.before else '-'} > "
        f"{found.after.name if found.after else '-'}"
        for found in link(before, after, threshold)
    ]


def test_themes_continue_end_and_begin() -> None:
    before = [theme(1, "freight ocean"), theme(2, "hiring wages")]
    after = [theme(1, "cyber attack", quarter="2016Q4"), theme(2, "freight ocean", 9)]
    assert told(before, after) == [
        "continued freight ocean > freight ocean",
        "gone hiring wages > -",
        "born - > cyber attack",
    ]
    assert link(before, after, 0.3)[0].growth == 4
    assert link(before, after, 0.3)[0].similarity == pytest.approx(1.0)


def test_of_two_that_flow_into_one_the_less_similar_has_merged() -> None:
    before = [theme(1, "freight trucks"), theme(2, "freight ocean")]
    assert told(before, [theme(1, "freight ocean")]) == [
        "continued freight ocean > freight ocean",
        "merged freight trucks > freight ocean",
    ]
    assert told(before, [theme(1, "freight ocean")], threshold=0.9) == [
        "continued freight ocean > freight ocean",
        "gone freight trucks > -",
    ]


def test_of_two_that_come_from_one_the_less_similar_has_split_off() -> None:
    after = [theme(1, "freight trucks", quarter="2016Q4"), theme(2, "freight ocean")]
    assert told([theme(1, "freight ocean")], after) == [
        "continued freight ocean > freight ocean",
        "split freight ocean > freight trucks",
    ]
    assert told([theme(1, "freight ocean")], after, threshold=0.9) == [
        "continued freight ocean > freight ocean",
        "born - > freight trucks",
    ]


def test_the_assignment_is_the_best_in_total_not_the_first_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Greedy takes 0.9 and 0.1; the best total is 0.8 and 0.8.
    monkeypatch.setattr(
        linking, "similarities", lambda before, after: np.array([[0.9, 0.8], [0.8, 0.1]])
    )
    assert told([theme(1, "a"), theme(2, "b")], [theme(1, "c"), theme(2, "d")]) == [
        "continued a > d",
        "continued b > c",
    ]


def test_similarity_is_the_mean_of_keywords_and_texts() -> None:
    one = Theme("t1", "Freight", "ocean", ("freight", "ocean"), 2)
    other = Theme("t2", "Freight", "ocean", ("hiring",), 2)
    assert similarities([one], [other]).tolist() == [[0.5]]
    assert similarities([one], []).shape == (1, 0)


def test_a_quarter_without_themes_or_words_links_nothing() -> None:
    assert told([theme(1, "freight")], []) == ["gone freight > -"]
    assert told([], [theme(1, "freight")]) == ["born - > freight"]
    assert told([], []) == []
    assert told([theme(1, "the")], [theme(1, "and")]) == ["gone the > -", "born - > and"]


_WORDS = st.lists(
    st.sampled_from(["freight", "ocean", "hiring", "wages", "prices"]), min_size=1, max_size=3
)
_THEMES = st.lists(_WORDS, max_size=5).map(
    lambda lists: [theme(number, " ".join(words)) for number, words in enumerate(lists)]
)


@settings(max_examples=50, deadline=None)
@given(_THEMES, _THEMES, st.integers())
def test_every_theme_is_told_of_once_whatever_the_order(
    before: list[Theme], after: list[Theme], seed: int
) -> None:
    found = link(before, after, 0.3)
    earlier = [item.before.theme_id for item in found if item.before and item.kind != "split"]
    later = [item.after.theme_id for item in found if item.after and item.kind != "merged"]
    assert sorted(earlier) == [item.theme_id for item in before]
    assert sorted(later) == [item.theme_id for item in after]
    shuffled = random.Random(seed)
    assert found == link(
        shuffled.sample(before, len(before)), shuffled.sample(after, len(after)), 0.3
    )


def test_a_range_names_every_quarter_between() -> None:
    assert [str(quarter) for quarter in parse_range("2016Q3..2017Q1")] == [
        "2016Q3", "2016Q4", "2017Q1",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["2016Q3", "2017Q1..2016Q3", "2016Q3..2016Q5", "1000Q1..3000Q1"])
def test_what_is_no_range_forward_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_range(text)
