"""Themes by several ways over the same sentence vectors, against subjects and planted themes.

Run from the project root: ``python -m bench.themes``. Embeds the sample quarter and both MAEC
quarters once with the bundled model (vectors are cached in ``--cache``), filters out small talk,
and finds themes by ``themes_of`` of the product, once per seed, and by BERTopic over all sentences.
Prints subject recovery (``ftm_core.quality.subjects``) and stability for MAEC; planted themes, ARI
and stability for the sample.
"""

from __future__ import annotations

import argparse
import itertools
import json
import pickle
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.corpus import maec_file
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import Settings, ThemeSettings
from ftm_core.quality.subjects import Subject, read_subjects, subject_recovery
from ftm_core.quality.theme_recovery import Recovery, compare, sample_key
from ftm_core.text.small_talk import is_small_talk
from ftm_core.text.tokens import MASK
from ftm_core.themes.quarter_sentences import QuarterSentences
from ftm_core.themes.theme_finding import FoundThemes, themes_of
from ftm_core.topics.compact_vectors import dequantize, quantize
from ftm_core.topics.embedding import load_embedder

MAEC = ("2016Q3", "2017Q1")
SAMPLE = "2023Q1"
BERTOPIC_SIZES = (30, 60)
SEEDS = range(42, 47)


@dataclass(frozen=True)
class Corpus:
    """The sentences of a quarter as the reduce sees them."""

    name: str
    sentences: QuarterSentences

    @property
    def texts(self) -> list[str]:
        found: list[str] = self.sentences.table["raw_text"].to_pylist()
        return found

    def of_all(self, labels: np.ndarray) -> np.ndarray:
        """Labels of all sentences, small talk in no theme."""
        every = np.full(self.sentences.table.num_rows, -1)
        every[self.sentences.kept] = labels
        return every


def maec_rows(quarter: str) -> pa.Table:
    table = pq.read_table(maec_file().with_name(f"{quarter}.parquet"))
    names = {"ticker": "firm_id", "transcript_id": "transcript_id", "position": "position",
             "text": "raw_text"}  # fmt: skip
    table = table.select(list(names)).rename_columns(list(names.values()))
    speakers = pa.array(["Unknown"] * table.num_rows)
    return table.append_column("speaker_type", speakers)


def sample_rows(folder: Path) -> pa.Table:
    """Sentences of the sample, read from a quarter that ``ftm ingest sample`` made."""
    chunks = sorted(folder.glob(f"prefetch/transcripts/quarter={SAMPLE}/chunk_*.parquet"))
    return pa.concat_tables([pq.read_table(chunk) for chunk in chunks]).select(
        ["firm_id", "transcript_id", "position", "raw_text", "speaker_type"]
    )


def load(name: str, rows: pa.Table, cache: Path) -> Corpus:
    """Sort as the reduce does, filter out small talk and embed, or take the cached vectors."""
    by = [(column, "ascending") for column in ("firm_id", "transcript_id", "position")]
    rows = rows.sort_by(by)
    texts, speakers = rows["raw_text"].to_pylist(), rows["speaker_type"].to_pylist()
    pairs = enumerate(zip(texts, speakers, strict=True))
    kept = np.array([n for n, pair in pairs if not is_small_talk(*pair)])
    stored = cache / f"{name}_{len(kept)}.npy"
    if stored.exists():
        vectors = np.load(stored)
    else:
        embedder = load_embedder(Settings().embedding)
        vectors = quantize(embedder.embed([MASK.sub("", texts[row]) for row in kept]))
        cache.mkdir(parents=True, exist_ok=True)
        np.save(stored, vectors)
    ids = [
        f"{call}_{position:04d}"
        for call, position in zip(
            rows["transcript_id"].to_pylist(), rows["position"].to_pylist(), strict=True
        )
    ]
    table = rows.append_column("sentence_id", pa.array(ids))
    return Corpus(name, QuarterSentences(table, kept, vectors))


def bertopic(corpus: Corpus, seed: int = 42) -> Iterator[tuple[str, np.ndarray]]:
    """Clusters that BERTopic finds over all sentences: UMAP and HDBSCAN with its own settings."""
    from hdbscan import HDBSCAN
    from umap import UMAP

    embedded = UMAP(
        n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", random_state=seed, n_jobs=1
    ).fit_transform(dequantize(corpus.sentences.vectors))
    for size in BERTOPIC_SIZES:
        yield f"BERTopic, {size}", HDBSCAN(size, core_dist_n_jobs=1).fit_predict(embedded)


def ftm(corpus: Corpus, seeds: list[int], cache: Path) -> Iterator[FoundThemes]:
    """The themes that a run of the product finds, once per seed; ``bench.panel`` reads the first.

    Each is found again.
    """
    for seed in seeds:
        found = themes_of(corpus.sentences, ThemeSettings(seed=seed))
        if seed == seeds[0]:
            with (cache / f"{corpus.name}_themes.pickle").open("wb") as file:
                pickle.dump(found, file)
        yield found


def maec_metrics(corpus: Corpus, labels: np.ndarray, subjects: list[Subject]) -> dict[str, float]:
    found = subject_recovery(corpus.texts, corpus.of_all(labels), subjects)
    return {
        "recovery": round(found.mean or 0.0, 4),
        "subjects": len(found.subjects),
        "themes": int(labels.max()) + 1,
        "placed": round(float((labels >= 0).mean()), 3),
    }


def mean_of_seeds(found: list[FoundThemes], metrics: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each metric over the seeds, the lowest recovery, themes shown and stability."""
    means = {name: round(float(np.mean([one[name] for one in metrics])), 4) for name in metrics[0]}
    shown = [sum(theme.kind != "procedure" for theme in one.themes) for one in found]
    return {
        **means,
        "lowest_recovery": min(one["recovery"] for one in metrics),
        "shown": round(float(np.mean(shown)), 1),
        "stability": stability([one.assignment.themes for one in found]),
    }


def stability(found: list[np.ndarray]) -> float:
    """Mean adjusted Rand index over all pairs of seeds, sentences in no theme as one group."""
    from sklearn.metrics import adjusted_rand_score

    pairs = [adjusted_rand_score(*pair) for pair in itertools.combinations(found, 2)]
    return round(float(np.mean(pairs)), 3) if pairs else 1.0


def sample_recovery(corpus: Corpus, labels: np.ndarray) -> Recovery:
    key = sample_key(Quarter.parse(SAMPLE))
    assert key is not None
    table = corpus.sentences.table
    places = list(
        zip(table["transcript_id"].to_pylist(), table["position"].to_pylist(), strict=True)
    )
    themes = corpus.of_all(labels).tolist()
    theme_of = {
        place: None if theme < 0 else str(theme)
        for place, theme in zip(places, themes, strict=True)
    }
    return compare(key, theme_of, theme_of)


def sample_metrics(corpus: Corpus, found: list[np.ndarray]) -> dict[str, float]:
    rows = [sample_recovery(corpus, labels) for labels in found]
    values: dict[str, list[float]] = {
        "themes": [int(labels.max()) + 1 for labels in found],
        "recovered": [len(row.recovered) for row in rows],
        "pure_of_all": [len(row.pure_of_all) for row in rows],
        "ari": [row.ari or 0.0 for row in rows],
        "placed": [row.n_planted_in_theme / row.n_planted for row in rows],
    }
    metrics = {name: round(float(np.mean(value)), 3) for name, value in values.items()}
    return {**metrics, "stability": stability(found)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path(".bench-cache/themes"))
    parser.add_argument(
        "--sample", type=Path, default=Path("data"), help="where sample is ingested"
    )
    parser.add_argument("--subjects", type=Path, default=maec_file().parents[1] / "matters.csv")
    parser.add_argument("--quarters", nargs="*", default=list(MAEC))
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    parser.add_argument("--output", type=Path, default=Path("bench/results/themes.json"))
    given = parser.parse_args()
    subjects = read_subjects(given.subjects)
    results: dict[str, dict[str, float]] = {}

    def note(name: str, metrics: dict[str, float], started: float) -> None:
        results[name] = {**metrics, "seconds": round(time.perf_counter() - started, 1)}
        print(f"{name:28}", results[name], flush=True)
        given.output.parent.mkdir(parents=True, exist_ok=True)
        given.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")

    seeds = list(SEEDS)[: given.seeds]
    if given.sample.exists():
        corpus = load(SAMPLE, sample_rows(given.sample), given.cache)
        started = time.perf_counter()
        planted = [found.assignment.themes for found in ftm(corpus, seeds, given.cache)]
        note("sample, ftm", sample_metrics(corpus, planted), started)
    for quarter in given.quarters:
        corpus = load(quarter, maec_rows(quarter), given.cache)
        started = time.perf_counter()
        found, metrics = [], []
        for seed, one in zip(seeds, ftm(corpus, seeds, given.cache), strict=True):
            found.append(one)
            metrics.append(maec_metrics(corpus, one.assignment.themes, subjects))
            note(f"{quarter}, ftm, seed {seed}", metrics[-1], started)
        note(f"{quarter}, ftm", mean_of_seeds(found, metrics), started)
    for quarter in given.quarters:
        corpus = load(quarter, maec_rows(quarter), given.cache)
        started = time.perf_counter()
        for name, labels in bertopic(corpus):
            note(f"{quarter}, {name}", maec_metrics(corpus, labels, subjects), started)


if __name__ == "__main__":
    main()
