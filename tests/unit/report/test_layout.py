"""Topics of one subject lie together, and any number of topics has a place."""

from __future__ import annotations

import numpy as np
import pytest

from ftm_core.report.layout import lay_out


def two_subjects(each: int) -> np.ndarray:
    chance = np.random.default_rng(3)
    vectors = np.repeat(np.eye(16)[:2], each, axis=0) + chance.normal(0, 0.05, (2 * each, 16))
    return vectors.astype(np.float32)


def test_subjects_lie_apart() -> None:
    vectors = two_subjects(60)
    points = lay_out(vectors)
    assert points.shape == (120, 2)
    assert points.min() == 0.0
    assert points.max() == 1.0
    first, second = points[:60], points[60:]
    within = max(np.ptp(first, axis=0).max(), np.ptp(second, axis=0).max())
    assert np.linalg.norm(first.mean(axis=0) - second.mean(axis=0)) > within / 2
    assert (lay_out(vectors) == points).all()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 40])
@pytest.mark.parametrize("alike", [True, False])
def test_few_topics_or_topics_all_alike_have_places(count: int, alike: bool) -> None:
    vectors = np.ones((count, 4), np.float32) if alike else two_subjects(20)[:count]
    points = lay_out(vectors)
    assert points.shape == (count, 2)
    assert np.isfinite(points).all()
