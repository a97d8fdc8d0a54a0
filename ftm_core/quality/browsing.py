"""Read a finished quarter from the top down: themes, the topics of one, the sentences of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.quarter_store import QuarterStore
from ftm_core.storage import Storage

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
        self._store = QuarterStore(storage, quarter)
        self._quarter = quarter

    def themes(self) -> list[Row]:
        """All themes, largest first as the run ordered them."""
        return self._rows("themes")

    def theme(self, theme_id: str) -> ThemeView:
        """One theme with its topics; raises InputError when there is none of that id."""
        theme = next((row for row in self.themes() if row["theme_id"] == theme_id), None)
        if theme is None:
            raise InputError(
                f"The theme {theme_id}",
                f"is not in the quarter {self._quarter}",
                "Use an ID that `ftm browse` lists.",
            )
        topics = {row["topic_id"]: row for row in self._rows("topics")}
        members = [
            row["topic_id"]
            for row in self._rows("theme_contributions", ("theme_id", "topic_id"))
            if row["theme_id"] == theme_id
        ]
        return ThemeView(theme, tuple(topics[member] for member in members if member in topics))

    def topic(self, topic_id: str) -> TopicView:
        """One topic with its sentences; raises InputError when there is none of that id."""
        topic = next((row for row in self._rows("topics") if row["topic_id"] == topic_id), None)
        if topic is None:
            raise InputError(
                f"The topic {topic_id}",
                f"is not in the quarter {self._quarter}",
                "Use an ID that `ftm browse THEME_ID` lists for a theme.",
            )
        return TopicView(topic, tuple(self._sentences(topic["sentence_ids"])))

    def _sentences(self, wanted: Sequence[str]) -> list[Row]:
        import pyarrow as pa
        import pyarrow.compute as pc

        table = self._store.table("sentences", _SENTENCE_COLUMNS)
        chosen = table.filter(pc.is_in(table["sentence_id"], value_set=pa.array(wanted)))
        rows = {row["sentence_id"]: row for row in chosen.to_pylist()}
        return [rows[sentence] for sentence in wanted if sentence in rows]

    def _rows(self, table: str, columns: Sequence[str] | None = None) -> list[Row]:
        rows: list[Row] = self._store.table(table, columns).to_pylist()
        return rows
