"""The map: topics as points, those of like words together, each with its theme."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from ftm_core.report.layout import lay_out
from ftm_core.report.sampling import sample_by_group
from ftm_core.report.tables import QuarterTables

MOST_TOPICS = 3000


def topic_map(tables: QuarterTables) -> dict[str, Any]:
    """Columns of the points shown, at most about MOST_TOPICS, and the number of all topics.

    ``theme`` is a position among the themes, -1 for a topic in none.
    """
    places = {row["theme_id"]: place for place, row in enumerate(tables.themes)}
    ids = tables.topics["topic_id"].to_pylist()
    themes = [places.get(theme, -1) for theme in tables.topics["theme_id"].to_pylist()]
    chosen = sample_by_group(ids, themes, MOST_TOPICS)
    rows = tables.topics.take(pa.array(chosen, pa.int64())).to_pylist()
    points = lay_out([f"{' '.join(row['keywords'])} {row['summary']}" for row in rows])
    return {
        "n_topics": len(ids),
        "x": points[:, 0].tolist(),
        "y": points[:, 1].tolist(),
        "theme": [themes[place] for place in chosen],
        "firm": [row["firm_name"] for row in rows],
        "summary": [row["summary"] for row in rows],
    }
