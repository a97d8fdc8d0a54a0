"""Find the themes of a quarter: fitted on a sample of its sentences, assigned to all of them.

1. Center the sentence vectors and flatten their top directions (sentence_space).
2. Cluster seeded samples, stratified by firm, by UMAP and HDBSCAN (theme_directions).
3. Keep the directions that several samples agree on; sharpen the space by the variance within
   clusters, and join directions that say the same.
4. Keep the directions that words separate best from all others (distinctiveness).
5. Assign every sentence to the nearest theme in one pass (assignment).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from ftm_core.contracts.settings import Settings, ThemeSettings
from ftm_core.themes import theme_keywords
from ftm_core.themes.assignment import (
    NO_THEME,
    Assignment,
    largest_first,
    nearest,
    with_context,
    without_dominance,
)
from ftm_core.themes.distinctiveness import distinctiveness
from ftm_core.themes.quarter_sentences import QuarterSentences, read_sentences
from ftm_core.themes.sentence_space import SentenceSpace, flattened_space, sharpened_space
from ftm_core.themes.theme_directions import (
    Directions,
    agreed,
    cluster_sample,
    joined,
    mean_directions,
    refined,
    smallest_cluster,
)
from ftm_core.themes.theme_evidence import LEADING_SENTENCES
from ftm_core.themes.theme_groups import group_themes
from ftm_core.themes.theme_kinds import ThemeTalk, kind_of
from ftm_core.themes.theme_sample import draws, stratified_sample
from ftm_core.topics.compact_vectors import dequantize
from ftm_core.topics.embedding import Embedder

# Sentences on which directions are refined: the sample of the clustering and more of its kind.
REFINING_SAMPLE = 100_000
# Samples that are clustered where one does not hold all sentences (bench/results/themes.md).
FITS = 8
# Distinctiveness below which a direction is no theme, and how many themes a quarter has at most for
# each square root of its sentences: distinct words of a text grow about like that (Heaps' law), and
# so do its subjects. Both were chosen on MAEC 2016Q3 (bench/results/themes.md).
MIN_DISTINCTIVENESS = 0.3
THEMES_PER_ROOT = 1.35
WORDS_IN_GROUP_NAME = 4
# BERTopic's number of keywords, as for topics.
N_KEYWORDS = 10
# Some thirty groups for the three hundred themes of a large quarter: few enough for one page.
THEMES_PER_GROUP = 10
# Central sentences whose wording decides the kind of a theme.
SENTENCES_FOR_KIND = 50
STEPS_FILE = "steps"


@dataclass(frozen=True)
class FoundTheme:
    """One theme: its texts come from its most central sentences."""

    keywords: tuple[str, ...]
    label: str
    kind: str
    group: int
    group_name: str
    n_firms: int
    n_sentences: int
    leading_sentences: tuple[str, ...]


@dataclass(frozen=True)
class FoundThemes:
    """All themes of a quarter, largest first, and the assignment of its kept sentences.

    ``directions`` has a row per theme: the mean of its sentences' vectors less the mean of all,
    in the embedding space, of length 1, so that themes of different quarters can be compared.
    """

    themes: tuple[FoundTheme, ...]
    directions: Directions
    assignment: Assignment


def find_themes(embedder: Embedder | None, settings: Settings, folder: str) -> FoundThemes:
    """Worker task: the themes of the sentences that ``write_sentences`` put into ``folder``.

    Its file STEPS_FILE there grows by a byte with each of the ``n_steps`` that is finished.
    """
    steps = Path(folder) / STEPS_FILE
    # A worker that was lost may have left some.
    steps.unlink(missing_ok=True)

    def step_done() -> None:
        with steps.open("ab") as file:
            file.write(b".")

    return themes_of(read_sentences(Path(folder)), settings.themes, step_done)


def n_steps(sentences: QuarterSentences, settings: ThemeSettings) -> int:
    """Steps of finding the themes: samples, directions, assignment, and texts."""
    return _n_fits(sentences, settings) + 3


def themes_of(
    sentences: QuarterSentences,
    settings: ThemeSettings,
    step_done: Callable[[], None] = lambda: None,
) -> FoundThemes:
    """Find and describe the themes; depends on the set of sentences and the settings alone."""
    with threadpool_limits(1):
        assignment = assign_sentences(sentences, settings, step_done)
        themes = _describe(sentences, assignment, settings)
        directions = _in_embedding_space(sentences, assignment.themes)
    step_done()
    if not themes:
        return FoundThemes((), directions, assignment)
    groups = group_themes(directions, THEMES_PER_GROUP)
    return FoundThemes(_with_groups(themes, groups), directions, assignment)


def assign_sentences(
    sentences: QuarterSentences,
    settings: ThemeSettings,
    step_done: Callable[[], None] = lambda: None,
) -> Assignment:
    """The theme of every kept sentence, numbered largest first, -1 for none."""
    # One thread: sums over many sentences would follow the number of cores in their last bits.
    with threadpool_limits(1):
        space, directions = fit_directions(sentences, settings, step_done)
        step_done()
        assignment = _assign(sentences, settings, space, directions)
    step_done()
    return assignment


def _assign(
    sentences: QuarterSentences,
    settings: ThemeSettings,
    space: SentenceSpace,
    directions: Directions,
) -> Assignment:
    n_kept = len(sentences.kept)
    labels = np.full(n_kept, NO_THEME, np.int64)
    similarity = np.zeros(n_kept, np.float32)
    if not len(directions):
        return Assignment(labels, similarity)
    for block in sentences.blocks():
        labels[block], similarity[block] = nearest(
            space.place(sentences.vectors[block]), directions
        )
    positions = sentences.table["position"].to_numpy()[sentences.kept].astype(np.int64)
    firms = sentences.codes("firm_id")
    labels = with_context(labels, similarity, sentences.codes("transcript_id"), positions, settings)
    labels, _ = largest_first(without_dominance(labels, similarity, firms, settings), firms)
    return Assignment(labels, similarity)


def fit_directions(
    sentences: QuarterSentences,
    settings: ThemeSettings,
    step_done: Callable[[], None] = lambda: None,
) -> tuple[SentenceSpace, Directions]:
    """The space in which sentences are compared, and the direction of each theme in it."""
    if not len(sentences.kept):
        return SentenceSpace(np.zeros(0), np.zeros((0, 0))), np.zeros((0, 0), np.float32)
    vectors = sentences.vectors
    space = flattened_space(
        (vectors[block] for block in sentences.blocks()), settings.flattened_directions
    )
    directions = _candidates(sentences, space, settings, step_done)
    if not len(directions):
        return space, directions
    rows = _sample(sentences, max(REFINING_SAMPLE, settings.sample_size), settings.seed)
    wider = vectors[rows]
    placed = space.place(wider)
    directions = refined(placed, directions, settings)
    if not len(directions):  # no sentence is as close to a theme as ``min_similarity`` asks
        return space, directions
    labels, similarity = nearest(placed, directions)
    labels[similarity < settings.min_similarity] = NO_THEME
    space = sharpened_space(space, placed, labels)
    placed = space.place(wider)
    directions = joined(mean_directions(placed, labels))
    directions = refined(placed, directions, settings)
    labels, similarity = nearest(placed, directions)
    labels[similarity < settings.min_similarity] = NO_THEME
    texts = sentences.table["raw_text"].take(sentences.kept[rows]).to_pylist()
    scores = distinctiveness(texts, labels, len(directions))
    return space, directions[most_distinct(scores, len(sentences.kept))]


def most_distinct(scores: npt.NDArray[np.float64], n_sentences: int) -> npt.NDArray[np.int64]:
    """Positions of the directions that are themes, by the distinctiveness of each, in order."""
    most = int(THEMES_PER_ROOT * np.sqrt(n_sentences))
    best = np.lexsort((np.arange(len(scores)), -scores.round(9)))[:most]
    return np.sort(best[scores[best] >= MIN_DISTINCTIVENESS])


def _n_fits(sentences: QuarterSentences, settings: ThemeSettings) -> int:
    return FITS if len(sentences.kept) > settings.sample_size else 1


def _candidates(
    sentences: QuarterSentences,
    space: SentenceSpace,
    settings: ThemeSettings,
    step_done: Callable[[], None],
) -> Directions:
    """The directions of the clusters of one sample, or of FITS where one does not hold all.

    Each sample has other sentences and finds other subjects, and some that are chance: those that
    no other sample finds are left out.
    """
    found = []
    for number in range(_n_fits(sentences, settings)):
        seed = settings.seed * FITS + number
        sample = _sample(sentences, settings.sample_size, seed)
        placed = space.place(sentences.vectors[sample])
        smallest = smallest_cluster(len(sample), len(sentences.kept), settings)
        clusters = cluster_sample(placed, smallest, settings, seed)
        found.append(mean_directions(placed, clusters))
        step_done()
    if len(found) == 1:
        return found[0]
    return agreed(found)


def _sample(sentences: QuarterSentences, size: int, seed: int) -> npt.NDArray[np.int64]:
    """Positions among the kept sentences, the same share of every firm."""
    ids = sentences.table["sentence_id"].take(sentences.kept).to_pylist()
    return stratified_sample(sentences.codes("firm_id"), draws(ids, seed), size)


def _describe(
    sentences: QuarterSentences, assignment: Assignment, settings: ThemeSettings
) -> list[FoundTheme]:
    n_themes = int(assignment.themes.max(initial=-1)) + 1
    if not n_themes:
        return []
    firms = sentences.codes("firm_id")
    texts = sentences.table["raw_text"]
    members = _most_central_first(assignment)
    central = [rows[: theme_keywords.SENTENCES_PER_THEME] for rows in members]
    spoken = [texts.take(sentences.kept[rows]).to_pylist() for rows in central]
    keywords = theme_keywords.count_terms(spoken).keywords(N_KEYWORDS)
    themes = []
    for rows, central_rows, own_texts, own_keywords in zip(
        members, central, spoken, keywords, strict=True
    ):
        leading = _one_per_firm(firms[central_rows])
        themes.append(
            FoundTheme(
                keywords=own_keywords,
                label=theme_keywords.label_of(own_keywords),
                kind=kind_of(own_keywords, ThemeTalk.of(own_texts[:SENTENCES_FOR_KIND])),
                group=0,
                group_name="",
                n_firms=len(np.unique(firms[rows])),
                n_sentences=len(rows),
                leading_sentences=tuple(own_texts[place] for place in leading),
            )
        )
    return themes


def _with_groups(themes: list[FoundTheme], groups: npt.NDArray[np.int64]) -> tuple[FoundTheme, ...]:
    """The themes with their group, which is named by the keywords that its themes share most."""
    documents = [[" . ".join(theme.keywords)] * theme.n_firms for theme in themes]
    names = [
        theme_keywords.label_of(words)
        for words in theme_keywords.count_terms(documents, 1)
        .grouped(groups)
        .keywords(WORDS_IN_GROUP_NAME)
    ]
    return tuple(
        replace(theme, group=int(group), group_name=names[group])
        for theme, group in zip(themes, groups.tolist(), strict=True)
    )


def _most_central_first(assignment: Assignment) -> list[npt.NDArray[np.int64]]:
    """The kept rows of each theme, equally central ones in their order."""
    order = np.lexsort((-assignment.similarity.round(5), assignment.themes))
    order = order[assignment.themes[order] >= 0]
    counts = np.bincount(assignment.themes[order])
    return np.split(order, np.cumsum(counts)[:-1])


def _one_per_firm(firms: npt.NDArray[np.int64]) -> list[int]:
    """Positions of the first sentence of each firm, LEADING_SENTENCES at most."""
    _, first = np.unique(firms, return_index=True)
    return sorted(first.tolist())[:LEADING_SENTENCES]


def _in_embedding_space(sentences: QuarterSentences, labels: npt.NDArray[np.int64]) -> Directions:
    n_themes = int(labels.max(initial=-1)) + 1
    if not n_themes:
        return np.zeros((0, 0), np.float32)
    sums = np.zeros((n_themes, sentences.vectors.shape[1]))
    total = np.zeros(sentences.vectors.shape[1])
    for block in sentences.blocks():
        vectors, own = dequantize(sentences.vectors[block]), labels[block]
        total += vectors.sum(axis=0, dtype=np.float64)
        np.add.at(sums, own[own >= 0], vectors[own >= 0])
    means = sums / np.bincount(labels[labels >= 0])[:, None] - total / len(labels)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return np.asarray(means / np.maximum(lengths, 1e-9), np.float32)
