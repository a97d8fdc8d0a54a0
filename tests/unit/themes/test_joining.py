"""Clusters that tell one theme twice are joined, and no others."""

from __future__ import annotations

import numpy as np

from ftm_core.themes.joining import join_alike

KEYWORDS = {0: ("freight", "lanes"), 1: ("rates", "freight", "trucks"), 2: ("wages", "hiring")}


def clusters(cosine: float) -> tuple[np.ndarray, np.ndarray]:
    """Clusters 0 (3 topics) and 1 (5) at this cosine to each other, 2 (4) square to both."""
    labels = np.repeat([0, 1, 2, -1], [3, 5, 4, 2]).astype(np.int32)
    centres = np.array([[1, 0, 0], [cosine, np.sqrt(1 - cosine**2), 0], [0, 0, 1], [0.6, 0.0, 0.8]])
    return labels, centres[np.repeat([0, 1, 2, 3], [3, 5, 4, 2])].astype(np.float32)


def test_two_clusters_of_one_theme_become_one_under_the_larger_ones_name() -> None:
    labels, vectors = clusters(cosine=0.9)

    joined, keywords = join_alike(labels, KEYWORDS, vectors, 0.8)

    assert joined.tolist() == [1] * 8 + [2] * 4 + [-1] * 2
    assert keywords == {1: ("rates", "freight", "lanes"), 2: ("wages", "hiring")}


def test_clusters_that_are_less_alike_stay_apart() -> None:
    labels, vectors = clusters(cosine=0.7)

    joined, keywords = join_alike(labels, KEYWORDS, vectors, 0.8)

    assert joined.tolist() == labels.tolist()
    assert keywords == KEYWORDS


def test_one_cluster_or_none_is_left_as_it_is() -> None:
    labels = np.array([-1, -1], np.int32)

    joined, keywords = join_alike(labels, {}, np.eye(2, dtype=np.float32), 0.8)

    assert joined.tolist() == [-1, -1]
    assert keywords == {}
