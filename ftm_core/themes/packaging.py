"""Make a finished quarter's downstream tables anew, with the quarter held meanwhile."""

from __future__ import annotations

import pyarrow.compute as pc

from ftm_core.contracts import keys, schemas
from ftm_core.contracts.events import Listener
from ftm_core.contracts.quarters import Quarter
from ftm_core.data import lease
from ftm_core.data.finished import open_finished
from ftm_core.storage import Storage
from ftm_core.storage.tables import read_table
from ftm_core.themes.sentiment_rows import TopicThemes
from ftm_core.themes.tables import (
    DownstreamReport,
    SentenceThemes,
    read_calls,
    write_downstream,
)


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
        spoken, index = _themes_of(storage, quarter, finished.identity.run_id)
        report = write_downstream(
            storage, finished.output, calls, finished.manifest, spoken, index, listener
        )
        written = True
        return report
    finally:
        lease.release(storage, quarter, name, finished=written)


def _themes_of(
    storage: Storage, quarter: Quarter, run_id: str
) -> tuple[SentenceThemes, TopicThemes]:
    """The themes of sentences and topics, as the reduce wrote them."""
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
    by_topic: dict[str, list[tuple[str, int]]] = {}
    for row in contributions.select(["topic_id", "theme_id", "n_sentences"]).to_pylist():
        by_topic.setdefault(row["topic_id"], []).append((row["theme_id"], row["n_sentences"]))
    # Contributions come by theme, largest first, so the first of equals is the larger theme.
    own = {topic: max(rows, key=lambda row: row[1])[0] for topic, rows in by_topic.items()}
    return (
        SentenceThemes(placed["sentence_id"].combine_chunks(), placed["theme_id"].combine_chunks()),
        TopicThemes({row["theme_id"]: row for row in themes.to_pylist()}, own, by_topic),
    )
