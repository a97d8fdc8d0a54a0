"""Find the themes of a sample of sentences, each as a direction among the sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ftm_core.contracts.settings import ThemeSettings
from ftm_core.themes.assignment import NO_THEME, nearest
from ftm_core.topics.embedding import Vectors

Labels = npt.NDArray[np.int64]
Directions = npt.NDArray[np.float32]
# Rounds in which sentences choose their theme and themes move to the mean of their sentences.
ROUNDS = 2
# UMAP's own default; HDBSCAN works best in few dimensions, and 5 is what BERTopic takes.
UMAP_NEIGHBORS = 15
UMAP_COMPONENTS = 5
# Low, so that few sentences of the sample count as noise: the cosine decides later who belongs.
MIN_SAMPLES = 2
# Two directions with this cosine or more are one theme (bench/results/themes.md).
JOIN_SIMILARITY = 0.75
# The same for directions of different fits, and how many fits must find one (same page).
AGREEING_SIMILARITY = 0.7
AGREEING = 2
SMALLEST_CLUSTER = 10
SENTENCES_PER_CLUSTER = 50
FEWEST_SENTENCES = 5
LARGEST_SHARE = 0.01
_NOTHING = 1e-9


def smallest_cluster(n_sample: int, n_sentences: int, settings: ThemeSettings) -> int:
    """Sentences of the sample in its smallest cluster, for ``min_theme_size`` in the quarter.

    At least SMALLEST_CLUSTER, below which clusters are chance, however small the sample's share;
    in a quarter of few sentences it shrinks to one in SENTENCES_PER_CLUSTER of them.
    """
    in_sample = round(settings.min_theme_size * n_sample / max(n_sentences, 1))
    most = max(FEWEST_SENTENCES, n_sample // SENTENCES_PER_CLUSTER)
    return min(max(SMALLEST_CLUSTER, in_sample), most)


def cluster_sample(vectors: Vectors, smallest: int, settings: ThemeSettings, seed: int) -> Labels:
    """A cluster per sentence of shape (n,), -1 for none, by UMAP and HDBSCAN.

    ``vectors`` are unit vectors of shape (n, dimensions), ``smallest`` is the size of the smallest
    cluster. Deterministic for given vectors, settings and seed. Too few sentences for two clusters
    give no cluster. Clusters larger than LARGEST_SHARE of the sample size are taken apart: excess
    of mass prefers a few clusters that hold everything to many that are about one thing.
    """
    from hdbscan import HDBSCAN
    from umap import UMAP

    from ftm_core.topics.umap_cache import keep_compiled

    n = len(vectors)
    if n < max(2 * smallest, UMAP_COMPONENTS + 3):
        return np.full(n, NO_THEME, np.int64)
    keep_compiled()
    reduced = UMAP(
        n_neighbors=min(UMAP_NEIGHBORS, n - 1),
        n_components=UMAP_COMPONENTS,
        min_dist=0.0,
        metric="cosine",
        random_state=seed,
        n_jobs=1,
    ).fit_transform(vectors)
    labels = HDBSCAN(
        min_cluster_size=smallest,
        min_samples=MIN_SAMPLES,
        cluster_selection_method="eom",
        max_cluster_size=round(LARGEST_SHARE * settings.sample_size),
        core_dist_n_jobs=1,
    ).fit_predict(reduced)
    return np.asarray(labels, np.int64)


def mean_directions(vectors: Vectors, labels: Labels) -> Directions:
    """The mean of each label's vectors, brought to length 1; labels without sentences vanish."""
    sums = np.zeros((int(labels.max(initial=-1)) + 1, vectors.shape[1]))
    np.add.at(sums, labels[labels >= 0], vectors[labels >= 0])
    lengths = np.linalg.norm(sums, axis=1)
    alive = lengths > _NOTHING
    return np.asarray(sums[alive] / lengths[alive, None], np.float32)


def refined(vectors: Vectors, directions: Directions, settings: ThemeSettings) -> Directions:
    """Directions after ROUNDS of spherical k-means over the sentences near enough to one."""
    for _ in range(ROUNDS):
        if not len(directions):
            break
        labels, similarity = nearest(vectors, directions)
        labels[similarity < settings.min_similarity] = NO_THEME
        directions = mean_directions(vectors, labels)
    return directions


def joined(directions: Directions) -> Directions:
    """Directions with those made one that JOIN_SIMILARITY makes similar."""
    return mean_directions(directions, _similar(directions, JOIN_SIMILARITY))


def agreed(fits: Sequence[Directions]) -> Directions:
    """Directions that at least AGREEING of several fits have found, similar ones made one.

    What one fit alone finds is mostly chance: consensus clustering
    (https://doi.org/10.1023/A:1023949509487).
    """
    directions = np.concatenate(fits)
    fit_of = np.repeat(np.arange(len(fits)), [len(found) for found in fits])
    labels = _similar(directions, AGREEING_SIMILARITY)
    found_by = np.unique(np.stack([labels, fit_of]), axis=1)[0]
    chance = np.bincount(found_by, minlength=1)[labels] < AGREEING
    return mean_directions(directions, np.where(chance, NO_THEME, labels))


def _similar(directions: Directions, similarity: float) -> Labels:
    """The cluster of each direction; within one, cosines are at least ``similarity`` on average.

    Average linkage: https://doi.org/10.1007/BF02291478.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(directions) < 2:
        return np.zeros(len(directions), np.int64)
    tree = linkage(directions.astype(np.float64), "average", "cosine")
    return np.asarray(fcluster(tree, 1 - similarity, "distance"), np.int64) - 1
