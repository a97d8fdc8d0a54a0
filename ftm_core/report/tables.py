"""The tables of a finished quarter that the report is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ftm_core.contracts import keys, schemas
from ftm_core.contracts.quarters import Quarter
from ftm_core.storage import Storage
from ftm_core.storage.tables import read_table

Row = dict[str, Any]
_TOPIC_COLUMNS = (
    "topic_id", "firm_id", "firm_name", "earnings_call_date", "summary", "keywords",
    "n_sentences", "sentence_ids", "theme_id",
)  # fmt: skip
_SENTENCE_COLUMNS = ("sentence_id", "raw_text", "speaker_type")


class QuarterTables:
    """Themes as rows; contributions, topics and firms as Arrow tables; sentences when asked for."""

    def __init__(self, storage: Storage, quarter: Quarter, run_id: str) -> None:
        self._storage = storage
        self._quarter = quarter
        self._run_id = run_id
        # Largest first, as the run ordered them.
        self.themes: list[Row] = self._read(keys.themes(quarter), schemas.THEMES).to_pylist()
        # Within a theme, most central topic first.
        self.contributions = self._read(
            keys.theme_contributions(quarter), schemas.THEME_CONTRIBUTIONS
        )
        self.topics = self._read(
            keys.processed_table("topics", quarter), schemas.TOPICS, _TOPIC_COLUMNS
        )
        self.firms = self._read(keys.processed_table("firms", quarter), schemas.FIRMS)

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
        table = self._read(
            keys.processed_table("sentences", self._quarter), schemas.SENTENCES, _SENTENCE_COLUMNS
        )
        found = table.filter(pc.is_in(table["sentence_id"], value_set=pa.array(ids, pa.string())))
        spoken = {
            row["sentence_id"]: (row["speaker_type"], row["raw_text"]) for row in found.to_pylist()
        }
        return {
            topic: [spoken[one] for one in group if one in spoken]
            for topic, group in leading.items()
        }

    def _read(self, key: str, schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
        return read_table(self._storage, key, schema, columns=columns, run_id=self._run_id)
