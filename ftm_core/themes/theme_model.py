"""Cluster the topics of all firms into themes that stand on several firms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from ftm_core.contracts.settings import Settings, ThemeSettings
from ftm_core.text.substance import share_of_matter
from ftm_core.topics.embedding import Embedder, Vectors

if TYPE_CHECKING:
    from ftm_core.topics.topic_model import TopicModelParameters

# Below this many topics per smallest theme, the smallest theme shrinks with the input.
TOPICS_PER_SMALLEST_THEME = 30
SMALLEST_THEME = 3
# Sentences that stand for a topic: enough to carry it, and within what the embedder reads.
SENTENCES_PER_TOPIC = 4
# With fewer topics or dimensions, a direction of much variance is a theme.
TOPICS_PER_DIRECTION = 25
DIMENSIONS_PER_DIRECTION = 16
_NOTHING = 1e-6
# UMAP's own 200 epochs for large inputs only polish what half of them have separated.
EPOCHS_AT_SCALE = 100


@dataclass(frozen=True)
class TopicPoint:
    """What the theme level sees of one topic; its sentences most representative first."""

    topic_id: str
    firm_id: str
    summary: str
    keywords: tuple[str, ...]
    sentences: tuple[str, ...]

    def text(self, parts: str) -> str:
        """Its text of the ``parts`` that THEME_INPUT names, joined by plus signs.

        With "vectors" it is not embedded, and serves for the theme's keywords alone.
        """
        found = {
            "vectors": " ".join(self.sentences[:SENTENCES_PER_TOPIC]),
            "sentences": " ".join(self.sentences[:SENTENCES_PER_TOPIC]),
            "summaries": self.summary,
            "keywords": ", ".join(self.keywords),
        }
        return " ".join(found[part] for part in parts.split("+"))


@dataclass(frozen=True)
class ThemeDraft:
    """A theme before its description: its topics as positions in the input, most central first."""

    keywords: tuple[str, ...]
    members: tuple[int, ...]
    n_firms: int


def find_themes(
    embedder: Embedder, settings: Settings, points: Sequence[TopicPoint], vectors: Vectors
) -> list[ThemeDraft]:
    """Cluster ``points`` into themes, largest first (by firms, topics, first topic id).

    ``vectors`` has the topics' own vectors in its rows; other inputs than these are embedded now.

    The result depends on the set of points, not on their order. A theme that too few firms share
    is dissolved, and so is one in whose leading sentences too few words name a matter: it is small
    talk. A firm with too large a share of a theme keeps only its most central topics there. Topics
    in no theme stay in none.
    """
    texts = [point.text(settings.themes.input) for point in points]
    if not texts:
        return []
    if settings.themes.input != "vectors":
        vectors = embedder.embed(texts)
    return cluster_points(points, texts, vectors, settings)


def cluster_points(
    points: Sequence[TopicPoint], texts: Sequence[str], vectors: Vectors, settings: Settings
) -> list[ThemeDraft]:
    """The themes of ``points`` by their ``vectors``, with keywords from their ``texts``."""
    # Only worker processes cluster: what plans and asks must not load the model libraries.
    from ftm_core.themes.joining import join_alike
    from ftm_core.topics.topic_model import fit_topics

    order = sorted(range(len(points)), key=lambda number: points[number].topic_id)
    ordered = [points[number] for number in order]
    texts = [texts[number] for number in order]
    vectors = levelled(vectors[order], settings.themes.levelled_directions)
    fitted = fit_topics(texts, vectors, scaled_parameters(settings.themes, len(texts)))
    labels, keywords_of = join_alike(
        fitted.labels, fitted.keywords, vectors, settings.themes.join_similarity
    )
    drafts = []
    for label, keywords in keywords_of.items():
        members = _most_central_first(np.flatnonzero(labels == label), vectors)
        kept = _without_dominance(members, ordered, settings.themes)
        firms = {ordered[member].firm_id for member in kept}
        said = chain.from_iterable(ordered[member].sentences for member in kept)
        if (
            len(firms) >= settings.themes.min_firms
            and share_of_matter(said) >= settings.themes.min_substance
        ):
            drafts.append(ThemeDraft(keywords, tuple(order[member] for member in kept), len(firms)))
    return sorted(
        drafts,
        key=lambda draft: (
            -draft.n_firms,
            -len(draft.members),
            min(points[member].topic_id for member in draft.members),
        ),
    )


def scaled_parameters(settings: ThemeSettings, n_topics: int) -> TopicModelParameters:
    """The theme-level parameters for ``n_topics``.

    The settings suit a whole quarter. With fewer than TOPICS_PER_SMALLEST_THEME topics per
    smallest theme, the smallest theme is one topic in that many, SMALLEST_THEME at least, and
    min_samples and the neighbourhood keep their proportion to it.

    Where the settings hold as they are, a cluster of more than ``max_share`` of all topics is
    taken apart: excess of mass prefers two clusters that hold everything to thirty that do not.

    With more than ``exact_up_to`` topics UMAP starts from principal components and takes
    EPOCHS_AT_SCALE epochs: its spectral start costs the square of the number of topics.
    """
    from ftm_core.topics.topic_model import TopicModelParameters

    shared = {field.name for field in fields(TopicModelParameters)}
    parameters = TopicModelParameters(**settings.model_dump(include=shared))
    if n_topics > settings.exact_up_to:
        parameters = replace(parameters, umap_start="pca", umap_epochs=EPOCHS_AT_SCALE)
    if n_topics >= TOPICS_PER_SMALLEST_THEME * settings.min_cluster_size:
        parameters = replace(parameters, max_cluster_size=int(settings.max_share * n_topics))
    shrunk = parameters.shrunk_to(max(SMALLEST_THEME, n_topics // TOPICS_PER_SMALLEST_THEME))
    share = shrunk.min_cluster_size / parameters.min_cluster_size
    return replace(shrunk, min_samples=max(1, round(parameters.min_samples * share)))


def levelled(vectors: Vectors, n_directions: int) -> Vectors:
    """Vectors less their mean, with the directions of most variance levelled; length 1.

    Every topic is of an earnings call, and half of each vector says so: the mean goes. What varies
    most among topics is then how they are told (figures or plans, speech or writing), which would
    draw all topics of a quarter into two clusters. The first ``n_directions`` are brought down to
    the variance of the next one: they still tell topics apart, and no longer before all else.
    After Mu and Viswanath, All-but-the-Top, ICLR 2018, who take them out altogether.
    """
    n_topics, dimensions = vectors.shape
    n_directions = min(
        n_directions, n_topics // TOPICS_PER_DIRECTION, dimensions // DIMENSIONS_PER_DIRECTION
    )
    # One thread: sums over all topics would follow the number of cores in their last bits.
    with threadpool_limits(1):
        centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
        if n_directions:
            variances, directions = np.linalg.eigh(centred.T @ centred)
            first, level = variances[-n_directions:], max(variances[-n_directions - 1], 0.0)
            excess = 1 - np.sqrt(level / np.maximum(first, max(level, _NOTHING)))
            first_directions = directions[:, -n_directions:]
            centred -= (centred @ first_directions * excess) @ first_directions.T
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    # A topic that is as all others are keeps its own direction.
    alike = lengths[:, 0] < _NOTHING
    centred[alike], lengths[alike] = vectors[alike], 1.0
    return np.asarray(centred / lengths, np.float32)


def _most_central_first(members: np.ndarray, vectors: Vectors) -> list[int]:
    similarity = vectors[members] @ vectors[members].mean(axis=0)
    return [int(member) for member in members[np.lexsort((members, -similarity.round(6)))]]


def _without_dominance(
    members: list[int], points: Sequence[TopicPoint], settings: ThemeSettings
) -> list[int]:
    """Drop the least central topics of a firm that has too large a share; may leave none."""
    of_firm: dict[str, list[int]] = defaultdict(list)
    for member in members:
        of_firm[points[member].firm_id].append(member)
    n_kept = len(members)
    while n_kept:
        firm = max(of_firm, key=lambda name: (len(of_firm[name]), name))
        if len(of_firm[firm]) / n_kept <= settings.max_firm_dominance:
            kept = set(chain.from_iterable(of_firm.values()))
            return [member for member in members if member in kept]
        if len(of_firm[firm]) == 1:
            return []
        of_firm[firm].pop()
        n_kept -= 1
    return []
