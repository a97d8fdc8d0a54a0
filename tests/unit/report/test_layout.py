"""Topics of like words lie together, and any texts at all have a place."""

from __future__ import annotations

import numpy as np
import pytest

from ftm_core.report.layout import lay_out

FREIGHT = ["ocean", "freight", "container", "port", "vessel", "shipping"]
PRICING = ["price", "margin", "increase", "customer", "discount", "contract"]


def texts_of(words: list[str], count: int) -> list[str]:
    chance = np.random.default_rng(3)
    return [" ".join(chance.permutation(words)[:4]) for _ in range(count)]


def test_groups_of_words_lie_apart() -> None:
    texts = texts_of(FREIGHT, 60) + texts_of(PRICING, 60)
    points = lay_out(texts)
    assert points.shape == (120, 2)
    assert points.min() == 0.0
    assert points.max() == 1.0
    first, second = points[:60], points[60:]
    within = max(np.ptp(first, axis=0).max(), np.ptp(second, axis=0).max())
    assert np.linalg.norm(first.mean(axis=0) - second.mean(axis=0)) > within / 2
    assert (lay_out(texts) == points).all()


@pytest.mark.parametrize(
    "texts", [[], ["one text"], ["", ""], ["the same", "the same"], ["freight", "price", "port"]]
)
def test_few_or_empty_texts_have_a_place(texts: list[str]) -> None:
    points = lay_out(texts)
    assert points.shape == (len(texts), 2)
    assert np.isfinite(points).all()
