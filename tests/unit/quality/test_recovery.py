"""Themes against a key small enough to count by hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.quality.theme_recovery import compare, purity, read_key, sample_key

KEY = {
    ("T", number): theme
    for number, theme in enumerate(["fx", "fx", "fx", "hiring", "hiring", "other", "energy"])
}


def places(*groups: str | None) -> dict[tuple[str, int], str | None]:
    return {("T", number): group for number, group in enumerate(groups)}


def test_measures_against_labels_equal_those_counted_by_hand() -> None:
    themes = places("a", "a", "b", "b", "b", "b", None)
    found = compare(KEY, themes, themes)
    # a: 2 of 2 fx; b: 2 of 4 hiring.
    assert found.purity == pytest.approx(4 / 6)
    assert found.recovered == ("fx", "hiring")
    assert found.missed == ("energy",)
    assert (found.n_planted, found.n_planted_in_theme) == (6, 5)
    # Pairs of five: 2 agree in both, 4 and 4 in one, 10 in all: (2 - 1.6) / (4 - 1.6).
    assert found.ari == pytest.approx(0.4 / 2.4)


def test_purity_is_given_with_and_without_unlabeled_sentences() -> None:
    key = {("T", number): label for number, label in enumerate(["fx"] * 4 + ["other"] * 2)}
    found = compare(key, places(*"aaaaaa"), places(*"aaaaaa"))
    assert found.purity == pytest.approx(4 / 6)
    assert found.planted_purity == 1.0
    assert (found.pure, found.pure_of_all) == (("fx",), ())


def test_small_pure_theme_does_not_make_up_for_a_mixed_one() -> None:
    key = {("T", n): label for n, label in enumerate(["fx"] * 4 + ["hiring"] * 2 + ["energy"])}
    found = compare(key, places(*"aaabaac"), places(*"aaabaac"))
    assert found.pure == ("energy",)
    assert found.not_pure == ("fx", "hiring")


def test_themes_as_planted_are_perfect() -> None:
    found = compare(KEY, places("a", "a", "a", "b", "b", None, "c"), places(*"aaabbcd"))
    assert (found.purity, found.ari, found.ami, found.ari_all) == (1.0, 1.0, 1.0, 1.0)
    assert found.share_recovered == 1.0


def test_one_theme_of_everything_has_chance_corrected_index_zero() -> None:
    found = compare(KEY, places(*"aaaaaaa"), places(*"aaaaaaa"))
    assert found.ari == pytest.approx(0.0)
    assert found.share_recovered == pytest.approx(1 / 3)


def test_without_themes_there_is_nothing_to_compare() -> None:
    found = compare(KEY, places(*[None] * 7), places(*[None] * 7))
    assert (found.purity, found.ari, found.share_recovered) == (None, None, 0.0)


@given(
    st.dictionaries(
        st.text(max_size=3),
        st.dictionaries(st.sampled_from("abc"), st.integers(1, 9), min_size=1).map(Counter),
        min_size=1,
    )
)
def test_purity_is_a_share_no_smaller_than_one_label_for_all(
    groups: dict[str, Counter[str]],
) -> None:
    total = sum(groups.values(), Counter[str]())
    value = purity(groups)
    assert value is not None
    assert max(total.values()) / total.total() <= value <= 1


def test_a_key_of_another_quarter_is_refused() -> None:
    with pytest.raises(InputError, match="names no sentence"):
        compare({("other", 0): "fx"}, places("a"), places("a"))


@pytest.mark.parametrize(
    "text", ["transcript_id,position\nT,1\n", "transcript_id,position,planted_theme\nT,x,fx\n"]
)
def test_a_damaged_key_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"key\.csv"):
        read_key(path)


def test_the_sample_has_a_key_and_other_quarters_none() -> None:
    key = sample_key(Quarter(2023, 1))
    assert key is not None
    assert len(key) == 1861
    assert key["FICTIONAL-2023Q1-01", 8] == "inventory"
    assert sample_key(Quarter(2020, 1)) is None
