"""Rebuild a finished quarter's downstream tables while owning the quarter's lease."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from ftm_core.contracts.events import Listener
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.lease import new_run_name, this_process
from ftm_core.data.part_copies import PartCopies
from ftm_core.data.quarter_store import QuarterStore
from ftm_core.storage import Storage
from ftm_core.themes.downstream_tables import (
    DownstreamReport,
    SentenceThemes,
    read_calls,
    write_downstream,
)
from ftm_core.themes.sentiment_rows import TopicThemes, damaged

_CONTRIBUTION_COLUMNS = ("topic_id", "theme_id", "firm_id", "n_sentences")


def package_quarter(storage: Storage, quarter: Quarter, listener: Listener) -> DownstreamReport:
    """Write firms, sentences, topics and sentiment-ready from the map output and the themes.

    Raises InputError when the quarter is not finished or its files contradict one another,
    RunRefusedError when a run owns its lease.
    """
    inputs = QuarterStore(storage, quarter).finished.identity.inputs
    name = new_run_name(quarter)
    # Opened again once the lease is acquired: until then, another run could change the quarter.
    store = QuarterStore(storage, quarter)
    store.acquire(inputs, this_process(name))
    written = False
    try:
        finished = store.finished
        calls = read_calls(storage, finished.output, finished.manifest)
        with tempfile.TemporaryDirectory(prefix="ftm-tables-") as folder:
            copies = PartCopies(storage, finished.output, Path(folder))
            spoken, index = _themes_of(store, copies)
            report = write_downstream(copies, calls, finished.manifest, spoken, index, listener)
        written = True
        return report
    finally:
        store.release(name, finished=written)


def _themes_of(store: QuarterStore, copies: PartCopies) -> tuple[SentenceThemes, TopicThemes]:
    """The themes of sentences and topics, as the reduce wrote them."""
    sentences = store.table("sentences", ["sentence_id", "theme_id"])
    placed = sentences.filter(pc.is_valid(sentences["theme_id"])).combine_chunks()
    themes_by_id = {row["theme_id"]: row for row in store.table("themes").to_pylist()}
    contributions = store.table("theme_contributions", _CONTRIBUTION_COLUMNS)
    topics = copies.topics().select(["topic_id", "firm_id"])
    firm_of = dict(zip(*(column.to_pylist() for column in topics.columns), strict=True))
    by_topic: dict[str, list[tuple[str, int]]] = {}
    for row in contributions.to_pylist():
        topic, theme = row["topic_id"], row["theme_id"]
        if cause := _contradiction(row, themes_by_id, firm_of, by_topic):
            raise damaged(f"The table theme_contributions of {store.quarter}", cause)
        by_topic.setdefault(topic, []).append((theme, row["n_sentences"]))
    # Contributions come by theme, largest first, so the first of equals is the larger theme.
    own = {topic: max(rows, key=lambda row: row[1])[0] for topic, rows in by_topic.items()}
    return (
        SentenceThemes(placed["sentence_id"].combine_chunks(), placed["theme_id"].combine_chunks()),
        TopicThemes(themes_by_id, own, by_topic),
    )


def _contradiction(
    row: Mapping[str, Any],
    themes: Mapping[str, Any],
    firm_of: Mapping[str, str],
    so_far: Mapping[str, Sequence[tuple[str, int]]],
) -> str | None:
    """What in a contribution does not fit the themes, the topics or the rows before it."""
    topic, theme = row["topic_id"], row["theme_id"]
    if theme not in themes:
        return f"has topic {topic} in {theme}, which is no theme"
    if topic not in firm_of:
        return f"has topic {topic}, which is no topic of the map output"
    if firm_of[topic] != row["firm_id"]:
        return f"has topic {topic} of {firm_of[topic]} contributed by {row['firm_id']}"
    if any(theme == other for other, _ in so_far.get(topic, ())):
        return f"has topic {topic} twice in {theme}"
    return None
