"""Read a finished quarter from the top down: themes, the topics of one, the sentences of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ftm_core.contracts import keys, schemas
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.finished import open_finished
from ftm_core.storage import Storage
from ftm_core.storage.tables import read_table

Row = dict[str, Any]
_SENTENCE_COLUMNS = ("sentence_id", "raw_text", "speaker_type", "position")


@dataclass(frozen=True)
class ThemeView:
    """A theme and its topics, in the order in which the contributions name them."""

    theme: Row
    topics: tuple[Row, ...]


@dataclass(frozen=True)
class TopicView:
    """A topic and its sentences, most representative first."""

    topic: Row
    sentences: tuple[Row, ...]


class Browser:
    """Reads of a finished quarter only the tables that a view needs."""

    def __init__(self, storage: Storage, quarter: Quarter) -> None:
        self._storage = storage
        self._quarter = quarter
        self._run_id = open_finished(storage, quarter).identity.run_id

    def themes(self) -> list[Row]:
        """All themes, largest first as the run ordered them."""
        return self._read(keys.themes(self._quarter), schemas.THEMES)

    def theme(self, theme_id: str) -> ThemeView:
        """One theme with its topics; raises InputError when there is none of that id."""
        theme = next((row for row in self.themes() if row["theme_id"] == theme_id), None)
        if theme is None:
            raise InputError(
                f"theme {theme_id}", f"is not in {self._quarter}", "`ftm browse` lists all themes."
            )
        contributions = self._read(
            keys.theme_contributions(self._quarter), schemas.THEME_CONTRIBUTIONS
        )
        topics = {row["topic_id"]: row for row in self._topics()}
        members = [row["topic_id"] for row in contributions if row["theme_id"] == theme_id]
        return ThemeView(theme, tuple(topics[member] for member in members if member in topics))

    def topic(self, topic_id: str) -> TopicView:
        """One topic with its sentences; raises InputError when there is none of that id."""
        topic = next((row for row in self._topics() if row["topic_id"] == topic_id), None)
        if topic is None:
            raise InputError(
                f"topic {topic_id}",
                f"is not in {self._quarter}",
                "`ftm browse THEME_ID` lists the topics of a theme.",
            )
        return TopicView(topic, tuple(self._sentences(topic["sentence_ids"])))

    def _topics(self) -> list[Row]:
        return self._read(keys.processed_table("topics", self._quarter), schemas.TOPICS)

    def _sentences(self, wanted: Sequence[str]) -> list[Row]:
        import pyarrow as pa
        import pyarrow.compute as pc

        table = read_table(
            self._storage,
            keys.processed_table("sentences", self._quarter),
            schemas.SENTENCES,
            columns=_SENTENCE_COLUMNS,
            run_id=self._run_id,
        )
        chosen = table.filter(pc.is_in(table["sentence_id"], value_set=pa.array(wanted)))
        rows = {row["sentence_id"]: row for row in chosen.to_pylist()}
        return [rows[sentence] for sentence in wanted if sentence in rows]

    def _read(self, key: str, schema: Any) -> list[Row]:
        rows: list[Row] = read_table(self._storage, key, schema, run_id=self._run_id).to_pylist()
        return rows
