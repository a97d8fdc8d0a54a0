"""The tables of a quarter: the name, schema and place of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from ftm_core.contracts import keys, schemas
from ftm_core.contracts.quarters import Quarter


@dataclass(frozen=True)
class TableSpec:
    """One table of the finished quarter, in one object."""

    name: str
    schema: pa.Schema
    key: Callable[[Quarter], str]


def _processed(name: str) -> Callable[[Quarter], str]:
    return lambda quarter: keys.processed_table(name, quarter)


# In the order in which `ftm export` lists them.
TABLES = {
    spec.name: spec
    for spec in (
        TableSpec("firms", schemas.FIRMS, _processed("firms")),
        TableSpec("sentences", schemas.SENTENCES, _processed("sentences")),
        TableSpec("topics", schemas.TOPICS, _processed("topics")),
        TableSpec("themes", schemas.THEMES, keys.themes),
        TableSpec("theme_contributions", schemas.THEME_CONTRIBUTIONS, keys.theme_contributions),
        TableSpec("theme_exposures", schemas.THEME_EXPOSURES, keys.theme_exposures),
        TableSpec("theme_directions", schemas.THEME_DIRECTIONS, keys.theme_directions),
        TableSpec("themes_for_sentiment", schemas.THEMES_FOR_SENTIMENT, keys.sentiment_ready),
    )
}
# Tables in parts: the input, and the map output that the finished tables are made from.
PARTED_TABLES = {
    "transcripts": schemas.TRANSCRIPTS,
    "firm_topics": schemas.FIRM_TOPICS,
    "map_sentences": schemas.MAP_SENTENCES,
}
PART_FOLDERS: dict[str, Callable[[Quarter], str]] = {
    "transcripts": keys.transcripts_prefix,
    "firm_topics": keys.firm_topics_prefix,
    "map_sentences": keys.sentences_prefix,
}
