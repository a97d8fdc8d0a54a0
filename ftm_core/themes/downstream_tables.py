"""Write the downstream tables of a quarter: firms, sentences, topics and sentiment-ready.

All are made from the map output, the themes and the transcripts, batch by batch, so that memory
holds one batch however many firms there are. Rows come in the order of the plan (chunk, firm), so
that they depend on neither batch size nor the order in which firms were finished. Firms that
failed the map are in no table: a row without topics would pass for a call about nothing.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ftm_core.contracts import schemas
from ftm_core.contracts.events import Listener, Note, StageAdvanced, StageFinished, StageStarted
from ftm_core.contracts.records import Checkpoint, Manifest
from ftm_core.data.catalog import PARTED_TABLES
from ftm_core.data.map_output import MapOutput
from ftm_core.data.part_copies import PartCopies
from ftm_core.data.quarter_store import QuarterStore
from ftm_core.data.transcript_chunks import iterate_firms
from ftm_core.storage import Storage
from ftm_core.themes.sentiment_rows import TopicThemes, damaged, sentiment_rows

STAGE = "write tables"
_CALL_COLUMNS = (
    "firm_id",
    "firm_name",
    "ticker",
    "gvkey",
    "permno",
    "link_date",
    "earnings_call_date",
    "quarter",
)

_INT = pa.int32()

CallKey = tuple[str, dt.date]


@dataclass(frozen=True)
class DownstreamReport:
    """What was written, and what was left out of sentiment-ready and why.

    ``n_sentiment_rows`` and ``n_rows_without_permno`` add up to the rows of theme_contributions;
    ``n_firms`` and ``failed_firms`` add up to the firms of the plan.
    """

    n_firms: int
    n_calls: int
    n_sentences: int
    n_topics: int
    n_topics_in_themes: int
    n_sentiment_rows: int
    n_rows_without_permno: int
    firms_without_permno: tuple[str, ...]
    failed_firms: tuple[str, ...]


@dataclass
class _Counts:
    """What the tables hold so far, by call where the firms table needs it."""

    sentences: Counter[CallKey] = field(default_factory=Counter)
    topics: Counter[CallKey] = field(default_factory=Counter)
    topics_in_themes: int = 0
    rows_without_permno: int = 0


@dataclass(frozen=True)
class SentenceThemes:
    """The theme of every sentence that is in one."""

    sentence_ids: pa.Array
    theme_ids: pa.Array

    def of(self, sentences: pa.Table) -> pa.Array:
        """The theme of each row of ``sentences``, null for none."""
        places = pc.index_in(sentences["sentence_id"].combine_chunks(), value_set=self.sentence_ids)
        return self.theme_ids.take(places)


def write_downstream(
    copies: PartCopies,
    calls: Mapping[CallKey, Mapping[str, Any]],
    manifest: Manifest,
    spoken: SentenceThemes,
    index: TopicThemes,
    listener: Listener,
) -> DownstreamReport:
    """Write ``processed/{firms,sentences,topics}`` and ``sentiment-ready`` of the quarter.

    ``calls`` are those of ``read_calls``. Each table appears whole or not at all. Raises InputError
    naming what does not fit together: a topic without its sentences or with another number of them,
    a call outside the quarter.
    """
    output = copies.output
    store = QuarterStore(copies.storage, output.quarter)
    listener(StageStarted(STAGE, 4, "tables"))
    started = dt.datetime.now(dt.UTC)
    counts = _Counts()

    def write(name: str, parts: Iterator[pa.Table]) -> int:
        rows = store.write(name, parts, run_id=output.run_id)
        listener(StageAdvanced(STAGE))
        return rows

    work = _Work(copies, manifest, spoken, index, calls, counts)
    n_sentences = write("sentences", work.sentences())
    n_topics = write("topics", work.topics())
    n_rows = write("themes_for_sentiment", work.sentiment())
    n_calls = write("firms", work.firms(store.location("firms")))
    without_permno = sorted({firm for (firm, _), call in calls.items() if call["permno"] is None})
    if without_permno:
        listener(
            Note(
                f"{len(without_permno)} firms have no permno: {counts.rows_without_permno} of "
                f"their rows are left out of sentiment-ready (`ftm package` lists them)"
            )
        )
    listener(StageFinished(STAGE, (dt.datetime.now(dt.UTC) - started).total_seconds()))
    return DownstreamReport(
        n_firms=len({firm for firm, _ in calls}),
        n_calls=n_calls,
        n_sentences=n_sentences,
        n_topics=n_topics,
        n_topics_in_themes=counts.topics_in_themes,
        n_sentiment_rows=n_rows,
        n_rows_without_permno=counts.rows_without_permno,
        firms_without_permno=tuple(without_permno),
        failed_firms=tuple(sorted(failed_wholly(output))),
    )


def failed_wholly(output: MapOutput) -> set[str]:
    """Firms of the plan that have no output at all (a firm with one failed topic has some)."""
    return output.failed_firms - completed_firms(output)


def completed_firms(output: MapOutput) -> set[str]:
    """Firms whose output is in the parts."""
    return {firm for point in output.checkpoints for firm in point.completed_firm_ids}


@dataclass(frozen=True)
class _Work:
    """Makes each table's rows, batch by batch."""

    copies: PartCopies
    manifest: Manifest
    spoken: SentenceThemes
    index: TopicThemes
    calls: Mapping[CallKey, Mapping[str, Any]]
    counts: _Counts

    def sentences(self) -> Iterator[pa.Table]:
        for point in self.copies.output.checkpoints:
            table = self._batch_sentences(point)
            self._require_known_calls(table, point)
            _count_calls(table, self.counts.sentences)
            yield table

    def topics(self) -> Iterator[pa.Table]:
        for point in self.copies.output.checkpoints:
            table = self._batch_topics(point)
            self._require_known_calls(table, point)
            _require_unique(table["topic_id"], f"The topics of the batch {point.batch_id}")
            _count_calls(table, self.counts.topics)
            themes = self.index.themes_of(table)
            self.counts.topics_in_themes += len(themes) - themes.null_count
            yield table.append_column(schemas.TOPICS.field("theme_id"), themes)

    def sentiment(self) -> Iterator[pa.Table]:
        for point in self.copies.output.checkpoints:
            topics = self._batch_topics(point)
            topics = topics.filter(pc.is_valid(self.index.themes_of(topics)))
            linked = topics.filter(pc.is_valid(topics["permno"]))
            unlinked = topics.filter(pc.is_null(topics["permno"]))
            self.counts.rows_without_permno += sum(
                len(self.index.contributions[name]) for name in unlinked["topic_id"].to_pylist()
            )
            sentences = self._batch_sentences(point)
            yield from sentiment_rows(linked, sentences, self.index, self.calls)

    def firms(self, where: str) -> Iterator[pa.Table]:
        rows = [
            {
                **call,
                "n_sentences": self.counts.sentences[key],
                "n_topics": self.counts.topics[key],
            }
            for key, call in self.calls.items()
        ]
        yield schemas.table_from_rows(
            rows, schemas.FIRMS, run_id=self.copies.output.run_id, where=where
        )

    def _batch_sentences(self, point: Checkpoint) -> pa.Table:
        order = ["earnings_call_date", "transcript_id", "position"]
        table = self._batch_table(point, "map_sentences", order)
        theme_ids = self.spoken.of(table)
        return table.append_column(schemas.SENTENCES.field("theme_id"), theme_ids)

    def _batch_topics(self, point: Checkpoint) -> pa.Table:
        order = ["local_topic_id"]
        return self._batch_table(point, "firm_topics", order)

    def _batch_table(self, point: Checkpoint, name: str, order: Sequence[str]) -> pa.Table:
        """All rows of one batch, by chunk, firm and ``order``; vectors are left out."""
        wanted = pa.schema([one for one in PARTED_TABLES[name] if one.name != "vector"])
        table = pa.concat_tables([wanted.empty_table(), *self.copies.of_batch(point, name)])
        chunks = pa.array([self._chunk_of(firm) for firm in table["firm_id"].to_pylist()], _INT)
        by = [(name, "ascending") for name in ("chunk", "firm_id", *order)]
        return table.append_column("chunk", chunks).sort_by(by).drop_columns(["chunk"])

    def _chunk_of(self, firm_id: str) -> int:
        try:
            return self.manifest.firm_to_chunk[firm_id]
        except KeyError:
            cause = "is in the map output, but not in the transcripts"
            raise damaged(f"The firm {firm_id}", cause) from None

    def _require_known_calls(self, table: pa.Table, point: Checkpoint) -> None:
        """Every row's call must be one of the transcripts: no date comes from anywhere else."""
        for firm, day in _calls_in(table):
            if (firm, day) not in self.calls:
                raise damaged(
                    f"The firm {firm} of the batch {point.batch_id}",
                    f"has rows of a call on {day}, which the transcripts do not have",
                )


def read_calls(
    storage: Storage, output: MapOutput, manifest: Manifest
) -> dict[CallKey, dict[str, Any]]:
    """The calls of the firms with output, with their identifiers, in the order of the plan."""
    firms = sorted(completed_firms(output))
    calls: dict[CallKey, dict[str, Any]] = {}
    for firm_id, rows in iterate_firms(storage, manifest, firms, columns=_CALL_COLUMNS):
        distinct = rows.group_by(list(_CALL_COLUMNS), use_threads=False).aggregate([])
        for call in sorted(distinct.to_pylist(), key=lambda row: row["earnings_call_date"]):
            key = (firm_id, call["earnings_call_date"])
            if not output.quarter.contains(key[1]):
                raise damaged(f"The firm {firm_id}", f"has a call on {key[1]}, outside the quarter")
            if key in calls:
                raise damaged(f"The firm {firm_id}", f"has two sets of identifiers on {key[1]}")
            calls[key] = call
    return calls


def _calls_in(table: pa.Table) -> list[CallKey]:
    pairs = table.group_by(["firm_id", "earnings_call_date"], use_threads=False).aggregate([])
    return [(row["firm_id"], row["earnings_call_date"]) for row in pairs.to_pylist()]


def _count_calls(table: pa.Table, into: Counter[CallKey]) -> None:
    grouped = table.group_by(["firm_id", "earnings_call_date"], use_threads=False)
    for row in grouped.aggregate([([], "count_all")]).to_pylist():
        into[row["firm_id"], row["earnings_call_date"]] += row["count_all"]


def _require_unique(column: pa.ChunkedArray, where: str) -> None:
    counts = Counter(column.to_pylist())
    twice = sorted(value for value, count in counts.items() if count > 1)
    if twice:
        raise damaged(where, f"hold {twice[0]} more than once")
