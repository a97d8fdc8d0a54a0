"""Which text of a topic makes the best themes: each THEME_INPUT against the planted themes.

Run from the project root: ``python -m bench.theme_inputs --data data --quarter 2023Q1``.
Reads a quarter of the sample corpus whose map is finished, clusters its topics by each input over
several seeds, and compares with the key. Each input is clustered with several numbers of levelled
directions (THEME_LEVELLED_DIRECTIONS).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import Settings, ThemeSettings
from ftm_core.data import lease
from ftm_core.data.batch_plan import read_plan
from ftm_core.data.map_output import iterate_sentences, read_map_output, read_topics
from ftm_core.quality.recovery import Key, Recovery, compare, sample_key
from ftm_core.storage.local import LocalStorage
from ftm_core.themes.points import read_points, read_vectors
from ftm_core.themes.theme_model import TopicPoint, cluster_points
from ftm_core.topics.embedding import Embedder, Vectors, load_embedder

Place = tuple[str, int]
LEVELLED = (0, 2, 4, 8)
FIGURES = ("themes", "purity", "purity_planted", "recovered", "pure", "ari", "ami", "in_theme")


@dataclass(frozen=True)
class Topics:
    """The topics of a quarter, and the places of all their sentences."""

    points: list[TopicPoint]
    vectors: Vectors
    places: dict[str, list[Place]]
    unclustered: list[Place]


def read(storage: LocalStorage, quarter: Quarter) -> Topics:
    identity, plan = lease.read_identity(storage, quarter), read_plan(storage, quarter)
    if identity is None or plan is None:
        raise SystemExit(f"{quarter} in {storage.uri} has no run: `ftm run` first")
    output = read_map_output(storage, quarter, plan, identity.run_id)
    rows = read_topics(storage, output)
    points = read_points(storage, output, rows)
    places: dict[str, list[Place]] = {point.topic_id: [] for point in points}
    unclustered = []
    for part in iterate_sentences(storage, output):
        for row in part.to_pylist():
            topic, place = (
                f"{row['firm_id']}_{row['local_topic_id']}",
                (row["transcript_id"], row["position"]),
            )
            if topic in places:
                places[topic].append(place)
            else:
                unclustered.append(place)
    return Topics(points, read_vectors(rows), places, unclustered)


def inputs(topics: Topics, embedder: Embedder) -> Iterator[tuple[str, list[str], Vectors]]:
    for name in get_args(ThemeSettings.model_fields["input"].annotation):
        texts = [point.text(name) for point in topics.points]
        yield name, texts, topics.vectors if name == "vectors" else embedder.embed(texts)


def recovery(
    topics: Topics, texts: Sequence[str], vectors: Vectors, key: Key, themes: ThemeSettings
) -> tuple[int, Recovery]:
    settings = Settings(themes=themes)
    drafts = cluster_points(topics.points, texts, vectors, settings)
    theme_of: dict[Place, str | None] = dict.fromkeys(topics.unclustered)
    topic_of: dict[Place, str | None] = dict.fromkeys(topics.unclustered)
    for topic_id, places in topics.places.items():
        topic_of.update(dict.fromkeys(places, topic_id))
        theme_of.update(dict.fromkeys(places))
    for number, draft in enumerate(drafts):
        for member in draft.members:
            places = topics.places[topics.points[member].topic_id]
            theme_of.update(dict.fromkeys(places, str(number)))
    return len(drafts), compare(key, theme_of, topic_of)


def figures(found: Sequence[tuple[int, Recovery]]) -> dict[str, float]:
    rows = [
        (
            n_themes, one.purity or 0.0, one.planted_purity or 0.0, len(one.recovered),
            len(one.pure), one.ari or 0.0, one.ami or 0.0, one.n_planted_in_theme / one.n_planted,
        )
        for n_themes, one in found
    ]  # fmt: skip
    return dict(zip(FIGURES, np.mean(rows, axis=0).round(3).tolist(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--quarter", type=Quarter.parse, default=Quarter(2023, 1))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("bench/results/theme_inputs.json"))
    given = parser.parse_args()
    key = sample_key(given.quarter)
    if key is None:
        raise SystemExit(f"{given.quarter} has no planted themes")
    topics = read(LocalStorage(given.data), given.quarter)
    first = ThemeSettings().seed
    print(f"{len(topics.points)} topics, mean of {given.seeds} seeds")
    print(f"{'input':30}" + "".join(f"{name:>15}" for name in FIGURES))
    results = {}
    for name, texts, vectors in inputs(topics, load_embedder(Settings().embedding)):
        for n_levelled in LEVELLED:
            found = [
                recovery(
                    topics,
                    texts,
                    vectors,
                    key,
                    ThemeSettings(seed=seed, levelled_directions=n_levelled),
                )
                for seed in range(first, first + given.seeds)
            ]
            row = f"{name}, {n_levelled} levelled"
            results[row] = figures(found)
            values = "".join(f"{value:15g}" for value in results[row].values())
            print(f"{row:30}{values}", flush=True)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(
        json.dumps(
            {"topics": len(topics.points), "seeds": given.seeds, "inputs": results}, indent=1
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
