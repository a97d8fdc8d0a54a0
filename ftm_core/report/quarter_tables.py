"""The tables of a finished quarter that the report is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ftm_core.data.quarter_store import QuarterStore

Row = dict[str, Any]
_TOPIC_COLUMNS = (
    "topic_id", "firm_id", "firm_name", "earnings_call_date", "summary", "keywords",
    "n_sentences", "sentence_ids", "theme_id",
)  # fmt: skip
_SENTENCE_COLUMNS = ("sentence_id", "raw_text", "speaker_type")


class QuarterTables:
    """Themes as rows; contributions, topics and firms as Arrow tables; sentences when asked for."""

    def __init__(self, store: QuarterStore) -> None:
        self._store = store
        # Largest first, as the run ordered them.
        self.themes: list[Row] = store.table("themes").to_pylist()
        # Within a theme, most central topic first.
        self.contributions = store.table("theme_contributions")
        self.exposures = store.table("theme_exposures", ("theme_id", "firm_id"))
        self.topics = store.table("topics", _TOPIC_COLUMNS)
        self.firms = store.table("firms")

    def topic_rows(self, topic_ids: Sequence[str]) -> dict[str, Row]:
        """The topics of those ids, by id."""
        wanted = pc.is_in(self.topics["topic_id"], value_set=pa.array(topic_ids, pa.string()))
        return {row["topic_id"]: row for row in self.topics.filter(wanted).to_pylist()}

    def leading_sentences(
        self, topics: Mapping[str, Row], each: int
    ) -> dict[str, list[tuple[str, str]]]:
        """Speaker and text of the ``each`` most representative sentences, by topic id."""
        leading = {topic: row["sentence_ids"][:each] for topic, row in topics.items()}
        ids = [sentence for group in leading.values() for sentence in group]
        table = self._store.table("sentences", _SENTENCE_COLUMNS)
        found = table.filter(pc.is_in(table["sentence_id"], value_set=pa.array(ids, pa.string())))
        spoken = {
            row["sentence_id"]: (row["speaker_type"], row["raw_text"]) for row in found.to_pylist()
        }
        return {
            topic: [spoken[one] for one in group if one in spoken]
            for topic, group in leading.items()
        }
