"""Directions that several fits agree on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftm_core.themes.theme_directions import Directions, agreed

DIMENSIONS = 32


def fits_of(subjects: list[set[int]], seed: int = 5) -> list[Directions]:
    """Per fit a direction for each of its subjects (axes), none exact."""
    chance = np.random.default_rng(seed)
    fits = []
    for own in subjects:
        rows = np.eye(DIMENSIONS, dtype=np.float32)[sorted(own)]
        rows = rows + chance.normal(0, 0.03, rows.shape).astype(np.float32)
        fits.append(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    return fits


def subjects_of(directions: Directions) -> list[int]:
    return sorted(np.abs(directions).argmax(axis=1).tolist())


def test_agreed_directions_of_one_fit_alone_are_left_out() -> None:
    """Subjects 1 and 2 are in two fits each, subjects 3 and 4 in one."""
    found = agreed(fits_of([{1, 2}, {1, 3}, {2, 4}]))
    assert subjects_of(found) == [1, 2]
    assert np.linalg.norm(found, axis=1) == pytest.approx(1.0)


def test_agreed_twice_in_one_fit_is_no_agreement() -> None:
    """A fit that splits a subject in two has still found it once."""
    (twice,) = fits_of([{1}])
    (other,) = fits_of([{2}])
    assert len(agreed([np.concatenate([twice, twice]), other])) == 0


@pytest.mark.parametrize("n_fits", [1, 3])
def test_agreed_without_directions_is_empty(n_fits: int) -> None:
    """A fit whose sample is too small for clusters finds none."""
    empty = [np.zeros((0, DIMENSIONS), np.float32)] * n_fits
    assert agreed(empty).shape == (0, DIMENSIONS)


@given(st.lists(st.sets(st.integers(0, DIMENSIONS - 1), max_size=8), min_size=1, max_size=6))
def test_agreed_is_what_two_fits_have(subjects: list[set[int]]) -> None:
    """Whatever the fits have found, a subject stays exactly when two of them have it."""
    shared = [one for one in range(DIMENSIONS) if sum(one in own for own in subjects) > 1]
    assert subjects_of(agreed(fits_of(subjects))) == shared
