"""Which themes are small talk: the share of words that name a matter, theme by theme.

Run from the project root: ``python -m bench.theme_substance --data data --quarter 2017Q1``.
Clusters the topics of a quarter whose map is finished, with no theme dissolved for saying little,
over several seeds, and prints the themes from the least substance on.
"""

from __future__ import annotations

import argparse
from itertools import chain
from pathlib import Path

from bench.theme_inputs import read
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import Settings, ThemeSettings
from ftm_core.storage.local import LocalStorage
from ftm_core.text.substance import share_of_matter
from ftm_core.themes.theme_model import cluster_points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--quarter", type=Quarter.parse, default=Quarter(2023, 1))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--shown", type=int, default=8)
    given = parser.parse_args()
    topics = read(LocalStorage(given.data), given.quarter)
    texts = [point.text("vectors") for point in topics.points]
    first = ThemeSettings().seed
    for seed in range(first, first + given.seeds):
        settings = Settings(themes=ThemeSettings(seed=seed, min_substance=0))
        drafts = cluster_points(topics.points, texts, topics.vectors, settings)
        print(f"seed {seed}: {len(drafts)} themes of {len(topics.points)} topics")
        rows = []
        for draft in drafts:
            members = [topics.points[member] for member in draft.members]
            said = chain.from_iterable(point.sentences for point in members)
            rows.append((share_of_matter(said), len(members), draft.n_firms, draft.keywords))
        for share, n_topics, n_firms, keywords in sorted(rows)[: given.shown]:
            told = ", ".join(keywords)
            print(f"{share:.3f} {n_topics:5} topics {n_firms:5} firms  {told}", flush=True)


if __name__ == "__main__":
    main()
