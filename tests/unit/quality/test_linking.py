"""Themes of two quarters linked by their directions."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.quality.linking import Theme, link, link_in_turn


def theme(number: int, name: str, direction: list[float], n_firms: int = 5) -> Theme:
    unit = np.array(direction, np.float32) / np.linalg.norm(direction)
    return Theme(f"theme_{number:03d}", name, "", (name,), n_firms, unit)


def outcome(before: list[Theme], after: list[Theme], threshold: float = 0.6) -> list[str]:
    return [
        f"{found.kind} {found.before.name if found.before else '-'} > "
        f"{found.after.name if found.after else '-'}"
        for found in link(before, after, threshold)
    ]


FREIGHT = theme(1, "freight", [1, 0, 0], 5)
WAGES = theme(2, "wages", [0, 1, 0])
CYBER = theme(3, "cyber", [0, 0, 1])


def test_themes_continue_end_and_are_born() -> None:
    after = [CYBER, theme(4, "ocean", [0.9, 0.1, 0], 9)]
    assert outcome([FREIGHT, WAGES], after) == [
        "continued freight > ocean",
        "gone wages > -",
        "born - > cyber",
    ]
    continued = link([FREIGHT, WAGES], after, 0.6)[0]
    assert continued.growth == 4
    assert continued.similarity == pytest.approx(0.994, abs=0.001)


def test_of_two_that_flow_into_one_the_less_similar_has_merged() -> None:
    trucks = theme(2, "trucks", [0.8, 0.6, 0])
    assert outcome([trucks, FREIGHT], [FREIGHT]) == [
        "continued freight > freight",
        "merged trucks > freight",
    ]
    assert outcome([trucks, FREIGHT], [FREIGHT], threshold=0.9) == [
        "continued freight > freight",
        "gone trucks > -",
    ]


def test_less_similar_of_two_successors_has_split_off() -> None:
    trucks = theme(2, "trucks", [0.8, 0.6, 0])
    assert outcome([FREIGHT], [trucks, FREIGHT]) == [
        "continued freight > freight",
        "split freight > trucks",
    ]
    assert outcome([FREIGHT], [trucks, FREIGHT], threshold=0.9) == [
        "continued freight > freight",
        "born - > trucks",
    ]


def test_a_theme_that_continues_keeps_its_name() -> None:
    """Over any number of quarters, and also where it later splits."""
    ocean, sea = theme(7, "ocean", [0.9, 0.1, 0]), theme(8, "sea", [0.8, 0.3, 0])
    steps = link_in_turn(
        {Quarter(2023, 1): [FREIGHT], Quarter(2023, 2): [ocean], Quarter(2023, 3): [sea, CYBER]},
        0.6,
    )
    assert [link.after.name for step in steps for link in step.links if link.after] == [
        "freight", "freight", "cyber",
    ]  # fmt: skip
    assert steps[1].links[0].before == steps[0].links[0].after


def test_a_quarter_without_themes_links_nothing() -> None:
    assert outcome([FREIGHT], []) == ["gone freight > -"]
    assert outcome([], [FREIGHT]) == ["born - > freight"]
    assert outcome([], []) == []


def test_themes_of_two_embedding_models_are_refused() -> None:
    with pytest.raises(InputError, match="different embedding models"):
        link([FREIGHT], [theme(1, "freight", [1, 0])], 0.6)


_THEMES = st.lists(
    st.lists(st.integers(-3, 3), min_size=3, max_size=3).filter(any), max_size=5
).map(lambda rows: [theme(number, str(number), row) for number, row in enumerate(rows)])


@settings(max_examples=50, deadline=None)
@given(_THEMES, _THEMES, st.integers())
def test_every_theme_is_linked_once_in_any_order(
    before: list[Theme], after: list[Theme], seed: int
) -> None:
    found = link(before, after, 0.6)
    earlier = [item.before.theme_id for item in found if item.before and item.kind != "split"]
    later = [item.after.theme_id for item in found if item.after and item.kind != "merged"]
    assert sorted(earlier) == [item.theme_id for item in before]
    assert sorted(later) == [item.theme_id for item in after]
    shuffled = random.Random(seed)
    assert found == link(
        shuffled.sample(before, len(before)), shuffled.sample(after, len(after)), 0.6
    )
