"""Make a finished quarter's downstream tables anew, with the quarter held meanwhile."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from ftm_core.contracts import keys, schemas
from ftm_core.contracts.events import Listener
from ftm_core.contracts.quarters import Quarter
from ftm_core.data import lease
from ftm_core.data.finished import open_finished
from ftm_core.data.part_copies import PartCopies
from ftm_core.storage import Storage
from ftm_core.storage.tables import read_table
from ftm_core.themes.sentiment_rows import TopicThemes, damaged
from ftm_core.themes.tables import (
    DownstreamReport,
    SentenceThemes,
    read_calls,
    write_downstream,
)

_CONTRIBUTION_COLUMNS = ("topic_id", "theme_id", "firm_id", "n_sentences")


def package_quarter(storage: Storage, quarter: Quarter, listener: Listener) -> DownstreamReport:
    """Write firms, sentences, topics and sentiment-ready from the map output and the themes.

    Raises InputError when the quarter is not finished or its files contradict one another,
    RunRefusedError when a run holds it.
    """
    inputs = open_finished(storage, quarter).identity.inputs
    name = lease.new_run_name(quarter)
    lease.acquire(storage, quarter, inputs, lease.this_process(name))
    written = False
    try:
        # Opened again: until it was held, another run could change it.
        finished = open_finished(storage, quarter)
        calls = read_calls(storage, finished.output, finished.manifest)
        with tempfile.TemporaryDirectory(prefix="ftm-tables-") as folder:
            copies = PartCopies(storage, finished.output, Path(folder))
            spoken, index = _themes_of(copies)
            report = write_downstream(copies, calls, finished.manifest, spoken, index, listener)
        written = True
        return report
    finally:
        lease.release(storage, quarter, name, finished=written)


def _themes_of(copies: PartCopies) -> tuple[SentenceThemes, TopicThemes]:
    """The themes of sentences and topics, as the reduce wrote them."""
    storage, output = copies.storage, copies.output
    quarter, run_id = output.quarter, output.run_id
    sentences = read_table(
        storage,
        keys.processed_table("sentences", quarter),
        schemas.SENTENCES,
        columns=["sentence_id", "theme_id"],
        run_id=run_id,
    )
    placed = sentences.filter(pc.is_valid(sentences["theme_id"])).combine_chunks()
    themes = read_table(storage, keys.themes(quarter), schemas.THEMES, run_id=run_id)
    contributions = read_table(
        storage, keys.theme_contributions(quarter), schemas.THEME_CONTRIBUTIONS, run_id=run_id
    )
    themes_by_id = {row["theme_id"]: row for row in themes.to_pylist()}
    topics = copies.topics().select(["topic_id", "firm_id"])
    firm_of = dict(zip(*(column.to_pylist() for column in topics.columns), strict=True))
    by_topic: dict[str, list[tuple[str, int]]] = {}
    for row in contributions.select(list(_CONTRIBUTION_COLUMNS)).to_pylist():
        topic, theme = row["topic_id"], row["theme_id"]
        if cause := _contradiction(row, themes_by_id, firm_of, by_topic):
            raise damaged(f"theme_contributions of {quarter}", cause)
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
