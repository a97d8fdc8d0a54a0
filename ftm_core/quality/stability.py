"""Whether themes hold up when nothing but the seed of the clustering changes."""

from __future__ import annotations

import itertools

from ftm_core.contracts.settings import EmbeddingSettings, Settings, ThemeSettings
from ftm_core.data.finished import FinishedQuarter
from ftm_core.data.map_output import read_topics
from ftm_core.themes.points import read_points, read_vectors
from ftm_core.themes.theme_model import ThemeDraft, cluster_points

SEEDS = 5


def stability(finished: FinishedQuarter) -> float | None:
    """Mean adjusted Rand index over all pairs of clusterings by SEEDS seeds, the run's the first.

    Over all topics, those in no theme as one group. None without topics. Loads the embedding
    model; the settings are those that the run recorded.
    """
    from sklearn.metrics import adjusted_rand_score

    from ftm_core.topics.embedding import load_embedder

    recorded = finished.settings
    themes = ThemeSettings(**recorded["themes"])
    topics = read_topics(finished.storage, finished.output)
    points = read_points(finished.storage, finished.output, topics)
    if not points:
        return None
    texts = [point.text(themes.input) for point in points]
    if themes.input == "vectors":
        vectors = read_vectors(topics)
    else:
        vectors = load_embedder(EmbeddingSettings(**recorded["embedding"])).embed(texts)
    found = []
    for seed in range(themes.seed, themes.seed + SEEDS):
        settings = Settings(themes=themes.model_copy(update={"seed": seed}))
        drafts = cluster_points(points, texts, vectors, settings)
        found.append(_labels(drafts, len(points)))
    values = [adjusted_rand_score(*pair) for pair in itertools.combinations(found, 2)]
    return float(sum(values) / len(values))


def _labels(drafts: list[ThemeDraft], n_topics: int) -> list[int]:
    labels = [-1] * n_topics
    for number, draft in enumerate(drafts):
        for member in draft.members:
            labels[member] = number
    return labels
