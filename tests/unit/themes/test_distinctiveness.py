"""Themes with words of their own are separated from ways of speaking, at any size."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftm_core.themes.distinctiveness import distinctiveness

ARMY = ("The army ordered {n} trucks.", "Aerospace grew in region {n}.", "Our defense site {n}.")
PLEASED = (
    "We are pleased with progress in region {n}.",
    "Progress at site {n} is good and we are pleased.",
)


def sentences(patterns: tuple[str, ...], size: int) -> list[str]:
    return [patterns[n % len(patterns)].format(n=n) for n in range(size)]


def test_synonyms_that_share_no_word_count_together() -> None:
    """A third of the sentences says army, a third aerospace, a third defense: none says all."""
    texts = sentences(ARMY, 30) + sentences(PLEASED, 30)
    labels = np.repeat([0, -1], 30)
    assert distinctiveness(texts, labels, 1)[0] == pytest.approx(1.0)


def test_a_way_of_speaking_scores_below_a_subject() -> None:
    """Half of the sentences that say pleased belong to no theme, so the word says little."""
    texts = sentences(ARMY, 30) + sentences(PLEASED, 60)
    labels = np.concatenate([np.repeat(0, 30), np.tile([1, 1, -1, -1], 15)])
    subject, manner = distinctiveness(texts, labels, 2)
    assert subject == pytest.approx(1.0)
    # All sixty with the word, of which thirty are the theme's.
    assert manner == pytest.approx(2 * 30 / (60 + 30))


def test_a_theme_without_sentences_scores_zero() -> None:
    texts = sentences(ARMY, 9)
    assert distinctiveness(texts, np.zeros(9, np.int64), 2).tolist()[1] == 0


def test_texts_without_a_frequent_word_score_zero() -> None:
    """No word occurs in three sentences."""
    assert distinctiveness(["Alpha.", "Beta."], np.zeros(2, np.int64), 1).tolist() == [0]


@given(st.lists(st.integers(-1, 3), min_size=6, max_size=40), st.randoms())
def test_scores_do_not_depend_on_order(labels: list[int], chance: Random) -> None:
    """Each lies between 0 and 1, and the order of the sentences changes none."""
    patterns = (*ARMY, *PLEASED)
    texts = [patterns[(label + n % 2) % 5].format(n=n) for n, label in enumerate(labels)]
    scores = distinctiveness(texts, np.array(labels), 4)
    assert ((scores >= 0) & (scores <= 1)).all()
    order = list(range(len(labels)))
    chance.shuffle(order)
    shuffled = distinctiveness([texts[n] for n in order], np.array(labels)[order], 4)
    assert shuffled.tolist() == pytest.approx(scores.tolist())
