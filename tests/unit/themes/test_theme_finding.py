"""Themes from sentences: found, assigned, limited by firms, and the same in any order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftm_core.contracts import keys, schemas
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import Checkpoint, Part
from ftm_core.contracts.settings import EmbeddingSettings, Settings, ThemeSettings
from ftm_core.data.map_output import MapOutput
from ftm_core.data.part_copies import PartCopies
from ftm_core.storage import tables
from ftm_core.storage.local import LocalStorage
from ftm_core.themes.assignment import with_context, without_dominance
from ftm_core.themes.quarter_sentences import QuarterSentences, read_sentences, write_sentences
from ftm_core.themes.sentence_space import flattened_space
from ftm_core.themes.theme_finding import (
    MIN_DISTINCTIVENESS,
    STEPS_FILE,
    THEMES_PER_ROOT,
    FoundThemes,
    find_themes,
    most_distinct,
    n_steps,
    themes_of,
)
from ftm_core.themes.theme_groups import group_themes
from ftm_core.themes.theme_sample import draws, stratified_sample
from ftm_core.topics.compact_vectors import quantize, to_arrow
from ftm_core.topics.workers import ModelWorkers

SUBJECTS = ("freight", "wages", "tariffs", "dividends")


def quarter_of(n_firms: int = 12, per_subject: int = 4) -> QuarterSentences:
    """Every firm speaks of every subject in sentences that lie close together."""
    chance = np.random.default_rng(7)
    centers = chance.normal(size=(len(SUBJECTS), 48))
    rows, vectors = [], []
    for firm in range(n_firms):
        for position in range(per_subject * len(SUBJECTS)):
            subject = position // per_subject
            rows.append(
                {
                    "sentence_id": f"F{firm:02d}_{position:03d}",
                    "firm_id": f"F{firm:02d}",
                    "transcript_id": f"T{firm:02d}",
                    "raw_text": f"Our {SUBJECTS[subject]} moved in region {position} again.",
                    "position": position,
                }
            )
            vectors.append(centers[subject] + chance.normal(0, 0.3, 48))
    stacked = np.asarray(vectors, np.float32)
    stacked /= np.linalg.norm(stacked, axis=1, keepdims=True)
    return QuarterSentences(pa.Table.from_pylist(rows), np.arange(len(rows)), quantize(stacked))


def map_output(
    storage: LocalStorage, sentences: QuarterSentences, parts: Sequence[np.ndarray]
) -> MapOutput:
    """Write the sentences as parts with the given rows, the way the map does."""
    quarter = Quarter.parse("2023Q1")
    n_rows = sentences.table.num_rows
    known = {
        "permno": pa.nulls(n_rows, pa.int64()),
        "earnings_call_date": pa.array([dt.date(2023, 2, 1)] * n_rows),
        "speaker_type": pa.array(["CEO"] * n_rows),
        "local_topic_id": pa.array([0] * n_rows),
        "is_small_talk": pa.array([False] * n_rows),
        "quarter": pa.array(["2023Q1"] * n_rows),
        "vector": to_arrow(sentences.vectors, sentences.kept, n_rows),
    }
    names = schemas.MAP_SENTENCES.names
    columns = [known[name] if name in known else sentences.table[name] for name in names]
    table = pa.table(columns, names=names).cast(schemas.MAP_SENTENCES)
    written = []
    for number, rows in enumerate(parts):
        key = keys.sentences_part(quarter, "2023Q1_batch_0000", number)
        part = schemas.stamp(table.take(rows), schemas.MAP_SENTENCES, run_id="run", where=key)
        tables.write_table(storage, key, part)
        written.append(Part(number, (f"F{number:02d}",), 0, len(rows)))
    point = Checkpoint("2023Q1_batch_0000", "2023Q1", "run", ("F00",), tuple(written), "")
    return MapOutput(quarter, "run", 1, (point,), ())


@pytest.fixture(scope="module")
def settings() -> ThemeSettings:
    return ThemeSettings(flattened_directions=0)


def test_themes_each_subject_becomes_one(settings: ThemeSettings) -> None:
    quarter = quarter_of()

    found = themes_of(quarter, settings)

    texts = quarter.table["raw_text"].to_pylist()
    of_theme = [
        {next(name for name in SUBJECTS if name in texts[row]) for row in rows}
        for rows in (np.flatnonzero(found.assignment.themes == n) for n in range(4))
    ]
    assert len(found.themes) == 4
    assert sorted(map(tuple, of_theme)) == sorted((name,) for name in SUBJECTS)
    assert {theme.keywords[0].split()[0] for theme in found.themes} <= {*SUBJECTS, "region"}
    assert all(len(set(theme.leading_sentences)) > 2 for theme in found.themes)


def test_fault_4_theme_settings_change_the_themes() -> None:
    """Each setting alone shows in what is found."""
    quarter = quarter_of()
    by_default = themes_of(quarter, ThemeSettings(flattened_directions=0))

    def found(**changed: float) -> FoundThemes:
        return themes_of(quarter, ThemeSettings(flattened_directions=0, **changed))  # type: ignore[arg-type]

    assert len(by_default.themes) == len(SUBJECTS)
    assert found(min_firms=13).themes == ()
    strict = found(min_similarity=0.999)
    assert np.sum(strict.assignment.themes >= 0) < np.sum(by_default.assignment.themes >= 0)


@pytest.mark.slow
async def test_find_themes_without_embedding_model_works(
    settings: ThemeSettings, tmp_path: Path
) -> None:
    """The reduce clusters stored vectors, so the embedding model need not even exist."""
    quarter = quarter_of()
    storage = LocalStorage(tmp_path / "data")
    parts = [np.arange(quarter.table.num_rows)]
    write_sentences(PartCopies(storage, map_output(storage, quarter, parts), tmp_path))
    missing = EmbeddingSettings(model_name="no-such-model")
    async with ModelWorkers(
        Settings(embedding=missing, themes=settings), 1, embeds=False
    ) as workers:
        themes = await workers.call(find_themes, str(tmp_path))
    assert len(themes.themes) == len(SUBJECTS)
    # Each step was noted where the reduce looks for its progress.
    noted = (tmp_path / STEPS_FILE).stat().st_size
    assert noted == n_steps(read_sentences(tmp_path), settings)


def test_fault_19_row_order_and_parts_change_no_theme(
    settings: ThemeSettings, tmp_path: Path
) -> None:
    """However the map cut and ordered its parts, the sentences and themes are the same."""
    quarter = quarter_of()
    order = np.random.default_rng(5).permutation(quarter.table.num_rows)
    found = []
    for number, parts in enumerate(([np.arange(len(order))], np.array_split(order, 5))):
        folder = tmp_path / str(number)
        folder.mkdir()
        storage = LocalStorage(folder / "data")
        write_sentences(PartCopies(storage, map_output(storage, quarter, parts), folder))
        read = read_sentences(folder)
        found.append((read.table, themes_of(read, settings)))

    (table, first), (other_table, second) = found
    assert len(first.themes) == len(SUBJECTS)
    assert table["sentence_id"].to_pylist() == other_table["sentence_id"].to_pylist()
    assert first.themes == second.themes
    np.testing.assert_array_equal(first.assignment.themes, second.assignment.themes)
    np.testing.assert_array_equal(first.directions, second.directions)


def test_themes_same_input_gives_the_same(settings: ThemeSettings) -> None:
    first, second = themes_of(quarter_of(), settings), themes_of(quarter_of(), settings)

    assert first.themes == second.themes
    np.testing.assert_array_equal(first.assignment.themes, second.assignment.themes)


def test_themes_empty_quarter_has_none(settings: ThemeSettings) -> None:
    quarter = quarter_of()
    empty = QuarterSentences(quarter.table, np.zeros(0, np.int64), np.zeros((0, 0), np.int8))

    assert themes_of(empty, settings).themes == ()


def test_sample_takes_its_share_of_every_firm() -> None:
    firms = np.repeat([0, 1, 2], [1000, 100, 1])
    ids = [f"S{row}" for row in range(len(firms))]

    chosen = stratified_sample(firms, draws(ids, 42), 200)

    assert np.bincount(firms[chosen]).tolist() == [182, 18, 1]


def test_sample_depends_on_ids_alone() -> None:
    """The same sentences are chosen in any order of the rows."""
    ids = np.array([f"S{row}" for row in range(300)])
    firms = np.arange(300) % 7
    order = np.random.default_rng(0).permutation(300)

    straight = ids[stratified_sample(firms, draws(ids.tolist(), 1), 50)]
    shuffled = ids[order][stratified_sample(firms[order], draws(ids[order].tolist(), 1), 50)]

    assert sorted(straight) == sorted(shuffled)


def test_context_lowers_the_threshold_beside_a_sure_one() -> None:
    settings = ThemeSettings(min_similarity=0.3)
    labels = np.array([0, 0, 0, 0, 1])
    similarity = np.array([0.5, 0.2, 0.05, 0.2, 0.2], np.float32)
    calls, positions = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 3, 4])

    kept = with_context(labels, similarity, calls, positions, settings)

    assert kept.tolist() == [0, 0, -1, -1, -1]


@given(
    st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 5)), max_size=80),
    st.sampled_from([0.2, 0.4, 0.5, 1.0]),
    st.integers(1, 4),
)
def test_dominance_holds_for_any_input(
    rows: list[tuple[int, int]], share: float, min_firms: int
) -> None:
    settings = ThemeSettings(max_firm_dominance=share, min_firms=min_firms)
    labels = np.array([label for label, _ in rows], np.int64)
    firms = np.array([firm for _, firm in rows], np.int64)
    similarity = np.linspace(1, 0, len(rows), dtype=np.float32)

    kept = without_dominance(labels, similarity, firms, settings)

    assert np.all((kept == labels) | (kept == -1))
    for theme in set(kept.tolist()) - {-1}:
        counts = np.bincount(firms[kept == theme])
        assert counts.max() <= share * counts.sum() + 1e-9
        assert np.count_nonzero(counts) >= min_firms


def test_flattened_space_brings_down_the_first_direction() -> None:
    chance = np.random.default_rng(3)
    vectors = chance.normal(size=(400, 32)) * np.r_[6.0, np.ones(31)]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rounded = quantize(vectors.astype(np.float32))

    before = np.var(vectors, axis=0)
    after = np.var(flattened_space([rounded], 1).place(rounded), axis=0)

    assert before[0] > 20 * np.median(before)
    assert after[0] < 4 * np.median(after)


def test_groups_hold_similar_themes() -> None:
    directions = np.repeat(np.eye(3, 8, dtype=np.float32), 4, axis=0)
    directions += np.random.default_rng(0).normal(0, 0.01, directions.shape).astype(np.float32)

    groups = group_themes(directions, 4)

    assert groups.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_the_most_distinct_directions_become_themes() -> None:
    """Of 100 sentences 13 themes at most, the most distinctive ones, in their order."""
    scores = np.linspace(0.5, 0.9, 20)[::-1].copy()
    scores[3], scores[15] = 0.1, 0.95
    assert int(THEMES_PER_ROOT * 10) == 13
    assert most_distinct(scores, 100).tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15]


def test_directions_without_distinctive_words_are_no_themes() -> None:
    scores = np.array([MIN_DISTINCTIVENESS - 0.01, MIN_DISTINCTIVENESS, 0.9])
    assert most_distinct(scores, 10_000).tolist() == [1, 2]
