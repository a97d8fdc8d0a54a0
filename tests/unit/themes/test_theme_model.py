"""How topics of many firms become themes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import ClassVar
from zlib import crc32

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from ftm_core.contracts.settings import Settings, ThemeSettings
from ftm_core.themes.theme_model import (
    ThemeDraft,
    TopicPoint,
    find_themes,
    levelled,
    scaled_parameters,
)


class DirectionEmbedder:
    """A fake embedder: the first word picks a direction, the whole text a little noise."""

    DIRECTIONS: ClassVar = {"freight": 0, "wages": 1, "dollar": 2, "bespoke": 3}

    def embed(self, texts: list[str]) -> np.ndarray:
        rows = []
        for text in texts:
            direction = self.DIRECTIONS[text.split()[0]]
            noise = np.random.default_rng(crc32(text.encode()))
            rows.append(np.eye(32)[direction] + noise.normal(0, 0.03, 32))
        stacked = np.asarray(rows)
        return (stacked / np.linalg.norm(stacked, axis=1, keepdims=True)).astype(np.float32)


class PlantedEmbedder:
    """A fake embedder: a text holds the number of its planted theme."""

    PLACES = np.linalg.qr(np.random.default_rng(1).normal(size=(64, 64)))[0]

    def embed(self, texts: list[str]) -> np.ndarray:
        rows = []
        for text in texts:
            noise = np.random.default_rng(crc32(text.encode()))
            rows.append(self.PLACES[int(text.split()[1])] + noise.normal(0, 0.06, 64))
        stacked = np.asarray(rows)
        return (stacked / np.linalg.norm(stacked, axis=1, keepdims=True)).astype(np.float32)


def topics(subject: str, firms: list[str], each: int = 1) -> list[TopicPoint]:
    return [
        TopicPoint(f"{firm}_{subject}_{n}", firm, "The company reports.", (subject, "plan"),
                   (f"{subject} costs and contracts of {firm} {n}", "More invoices."))
        for firm in firms
        for n in range(each)
    ]  # fmt: skip


FIRMS = [f"F{n:02d}" for n in range(12)]
Fake = DirectionEmbedder | PlantedEmbedder


def themes_of(
    points: list[TopicPoint], settings: Settings, embedder: Fake | None = None
) -> list[ThemeDraft]:
    """The themes, the topics' vectors being those of their sentences."""
    embedder = embedder or DirectionEmbedder()
    texts = [point.text("sentences") for point in points]
    vectors = embedder.embed(texts) if texts else np.zeros((0, 32), np.float32)
    return find_themes(embedder, settings, points, vectors)


def three_subjects() -> list[TopicPoint]:
    return topics("freight", FIRMS) + topics("wages", FIRMS) + topics("dollar", FIRMS)


def members(points: list[TopicPoint], settings: Settings | None = None) -> list[set[str]]:
    drafts = themes_of(points, settings or Settings())
    return [{points[member].topic_id for member in draft.members} for draft in drafts]


def test_topics_of_one_subject_meet_in_one_theme_across_firms() -> None:
    found = members(three_subjects())

    assert len(found) == 3
    for theme in found:
        assert len({topic.split("_")[1] for topic in theme}) == 1
        assert len(theme) == len(FIRMS)


def test_fault_19_themes_do_not_depend_on_the_order_of_topics() -> None:
    points = three_subjects()
    shuffled = [points[n] for n in np.random.default_rng(3).permutation(len(points))]

    assert members(points) == members(shuffled)


def test_a_theme_of_one_firm_is_dissolved() -> None:
    points = three_subjects() + topics("bespoke", ["F00"], each=12)

    assert all("bespoke" not in topic for theme in members(points) for topic in theme)


def test_a_theme_of_small_talk_is_dissolved_and_no_other() -> None:
    said = "bespoke and so we feel pretty good about where we are with what is left of it {}"
    small_talk = [
        replace(point, sentences=(said.format(point.firm_id),))
        for point in topics("bespoke", FIRMS)
    ]
    points = three_subjects() + small_talk

    found = members(points)

    assert len(found) == 3
    assert not set().union(*found) & {point.topic_id for point in small_talk}
    assert len(members(points, Settings(themes=ThemeSettings(min_substance=0)))) == 4


def test_no_firm_keeps_more_than_its_share_of_a_theme() -> None:
    points = topics("freight", FIRMS) + topics("freight", ["F99"], each=20) + topics("wages", FIRMS)

    drafts = themes_of(points, Settings())

    assert drafts
    for draft in drafts:
        counts = Counter(points[member].firm_id for member in draft.members)
        assert max(counts.values()) / len(draft.members) <= ThemeSettings().max_firm_dominance


def test_fault_4_theme_settings_are_used() -> None:
    points = three_subjects()
    demanding = Settings(themes=ThemeSettings(min_firms=len(FIRMS) + 1))
    few_keywords = Settings(themes=ThemeSettings(n_keywords=2))

    assert members(points, demanding) == []
    drafts = themes_of(points, few_keywords)
    assert drafts
    assert all(len(draft.keywords) <= 2 for draft in drafts)


def test_themes_do_not_hang_on_what_a_weak_llm_wrote() -> None:
    points = three_subjects()
    garbled = [replace(point, summary=point.firm_id, keywords=("the",)) for point in points]

    assert members(garbled) == members(points)


def test_the_input_named_is_the_one_clustered() -> None:
    swapped = [
        replace(point, summary=point.sentences[0], sentences=("freight",))
        for point in three_subjects()
    ]
    by_summaries = Settings(themes=ThemeSettings(input="summaries"))

    assert members(swapped, by_summaries) == members(three_subjects())
    assert members(swapped) != members(three_subjects())


def test_what_all_topics_share_does_not_hold_them_together() -> None:
    chance = np.random.default_rng(2)
    subjects = np.repeat(np.eye(64)[:4], 50, axis=0) + chance.normal(0, 0.05, (200, 64))
    # Every topic is of an earnings call, and more or less so.
    shared = chance.normal(3, 1, (200, 1)) * np.ones((1, 64)) / 8
    vectors = (subjects + shared) / np.linalg.norm(subjects + shared, axis=1, keepdims=True)

    freed = levelled(vectors.astype(np.float32), 1)

    def apart(found: np.ndarray) -> float:
        similar = found @ found.T
        same = np.kron(np.eye(4), np.ones((50, 50))).astype(bool)
        return float(similar[same].mean() - similar[~same].mean())

    assert apart(vectors) < 0.2
    assert apart(freed) > 0.8
    assert np.allclose(np.linalg.norm(freed, axis=1), 1, atol=1e-5)


def test_topics_that_are_all_alike_stay_what_they_are() -> None:
    alike = np.tile(np.eye(8, dtype=np.float32)[:1], (200, 1))

    assert np.allclose(levelled(alike, 2), alike)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 9])
def test_few_topics_give_whole_themes_or_none_and_no_crash(count: int) -> None:
    for theme in members(three_subjects()[:count]):
        assert len({topic.split("_")[0] for topic in theme}) >= ThemeSettings().min_firms


def test_small_inputs_scale_the_parameters_and_large_ones_do_not() -> None:
    settings = ThemeSettings()

    small, large = scaled_parameters(settings, 150), scaled_parameters(settings, 30_000)

    assert small.min_cluster_size == 5
    assert large.min_cluster_size == settings.min_cluster_size
    assert large.umap_neighbors == settings.umap_neighbors


def test_only_a_full_quarter_has_its_largest_theme_bounded() -> None:
    settings = ThemeSettings(max_share=0.2)

    assert scaled_parameters(settings, 599).max_cluster_size == 0
    assert scaled_parameters(settings, 2000).max_cluster_size == 400


AT_SCALE = Settings(themes=ThemeSettings(exact_up_to=0))
NO_THEME = -1


def planted_points() -> list[TopicPoint]:
    """Ten themes of 20 to 155 topics by 40 firms, one of them by a single firm."""
    rng = np.random.default_rng(5)
    planted = np.concatenate([np.repeat(n, 20 + 15 * n) for n in range(10)])
    firms = np.where(planted == 4, 0, rng.integers(40, size=len(planted)))
    # One firm has two in three topics of another theme.
    firms[np.flatnonzero(planted == 6)[::3]] = 1
    firms[np.flatnonzero(planted == 6)[1::3]] = 1
    return [
        TopicPoint(
            f"t{n:04d}",
            f"F{firm:02d}",
            f"planted {theme} of firm {firm}",
            ("costs",),
            (f"planted {theme} of firm {firm}", f"costs k{n}"),
        )
        for n, (theme, firm) in enumerate(zip(planted, firms, strict=True))
    ]


def planted_in(points: list[TopicPoint]) -> list[int]:
    return [int(point.summary.split()[1]) for point in points]


def labels(points: list[TopicPoint], settings: Settings) -> np.ndarray:
    found = np.full(len(points), NO_THEME)
    for number, draft in enumerate(themes_of(points, settings, PlantedEmbedder())):
        assert (found[list(draft.members)] == NO_THEME).all()
        found[list(draft.members)] = number
    return found


def test_the_path_for_many_topics_finds_the_themes_of_the_exact_path() -> None:
    points = planted_points()

    exact, scaled = labels(points, Settings()), labels(points, AT_SCALE)

    assert adjusted_rand_score(exact, scaled) >= 0.9
    # Nor does it force into themes what the exact path leaves out.
    assert abs((scaled == NO_THEME).mean() - (exact == NO_THEME).mean()) < 0.05
    in_themes = scaled != NO_THEME
    assert adjusted_rand_score(np.array(planted_in(points))[in_themes], scaled[in_themes]) >= 0.9


def test_the_path_for_many_topics_keeps_the_rules_and_does_not_depend_on_order() -> None:
    points = planted_points()
    shuffled = [points[n] for n in np.random.default_rng(3).permutation(len(points))]

    drafts = themes_of(points, AT_SCALE, PlantedEmbedder())
    again = themes_of(shuffled, AT_SCALE, PlantedEmbedder())

    found = [[points[member].topic_id for member in draft.members] for draft in drafts]
    assert found == [[shuffled[member].topic_id for member in draft.members] for draft in again]
    assert [draft.keywords for draft in drafts] == [draft.keywords for draft in again]
    assert len(found) >= 8
    for draft in drafts:
        counts = Counter(points[member].firm_id for member in draft.members)
        assert len(counts) >= ThemeSettings().min_firms
        assert max(counts.values()) / len(draft.members) <= ThemeSettings().max_firm_dominance
    of_one_firm = {point.topic_id for point in points if " 4 of " in point.summary}
    assert not of_one_firm & {topic for theme in found for topic in theme}


def test_only_more_topics_than_the_setting_leave_the_exact_path() -> None:
    settings = ThemeSettings()

    last, first = (scaled_parameters(settings, settings.exact_up_to + more) for more in (0, 1))

    assert (last.umap_start, last.umap_epochs) == ("spectral", None)
    assert (first.umap_start, first.umap_epochs) == ("pca", 100)
