"""The map: topics as points, those about the same subject together, each with its theme."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from ftm_core.report.layout import lay_out
from ftm_core.report.quarter_tables import QuarterTables
from ftm_core.report.sampling import sample_by_group
from ftm_core.themes.sentence_space import flattened_space
from ftm_core.topics.compact_vectors import quantize
from ftm_core.topics.embedding import Vectors

MOST_TOPICS = 3000
# Gives the vectors of topics, by their ids, in their order.
VectorsOf = Callable[[Sequence[str]], Vectors]


def topic_map(
    tables: QuarterTables, vectors_of: VectorsOf, flattened_directions: int
) -> dict[str, Any]:
    """Columns of the points shown, at most about MOST_TOPICS, and how many topics there are.

    Places follow the mean vectors of the topics' sentences. ``theme`` is a position among the
    themes, -1 for a topic in none.
    """
    places = {row["theme_id"]: place for place, row in enumerate(tables.themes)}
    ids = tables.topics["topic_id"].to_pylist()
    themes = [places.get(theme, -1) for theme in tables.topics["theme_id"].to_pylist()]
    chosen = sample_by_group(ids, themes, MOST_TOPICS)
    rows = tables.topics.take(pa.array(chosen, pa.int64())).to_pylist()
    vectors = vectors_of([row["topic_id"] for row in rows])
    points = lay_out(_flattened(vectors, flattened_directions) if rows else vectors)
    return {
        "n_topics": len(ids),
        "n_topics_in_themes": sum(theme >= 0 for theme in themes),
        "x": points[:, 0].tolist(),
        "y": points[:, 1].tolist(),
        "theme": [themes[place] for place in chosen],
        "firm": [row["firm_name"] for row in rows],
        "summary": [row["summary"] for row in rows],
    }


def _flattened(vectors: Vectors, n_directions: int) -> Vectors:
    rounded = quantize(vectors)
    return flattened_space([rounded], n_directions).place(rounded)
