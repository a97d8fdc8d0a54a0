"""Rows that follow from the sentences' themes: contributions of topics and exposures of calls."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ftm_core.contracts import schemas
from ftm_core.contracts.errors import InputError
from ftm_core.themes.assignment import NO_THEME, Assignment
from ftm_core.themes.quarter_sentences import QuarterSentences

# A topic contributes to a theme with this many of its sentences, or with this share of them.
CONTRIBUTING_SENTENCES = 2
CONTRIBUTING_SHARE = 1 / 3
# Sentences named for a call's exposure, the most central first.
LEADING_SENTENCES = 3

Ints = npt.NDArray[np.int64]
CallKey = tuple[str, dt.date]


@dataclass(frozen=True)
class Contributions:
    """Topics in themes: the rows of both, and how many sentences; by theme, largest first."""

    themes: Ints
    topics: Ints
    n_sentences: Ints


def find_contributions(
    sentences: QuarterSentences, assignment: Assignment, topics: pa.Table
) -> Contributions:
    """Which topics (rows of ``topics``: topic_id, n_sentences) contribute to which themes.

    Sentences of a topic that has no row, because its summary failed, do not count.
    """
    firms = sentences.table["firm_id"].take(sentences.kept)
    local = sentences.table["local_topic_id"].take(sentences.kept)
    names = pc.binary_join_element_wise(firms, pc.cast(local, pa.string()), "_")
    found = pc.index_in(names, value_set=topics["topic_id"].combine_chunks())
    rows = pc.fill_null(found, -1).to_numpy().astype(np.int64)
    counted = (rows >= 0) & (assignment.themes >= 0)
    n_topics = max(topics.num_rows, 1)
    pairs, counts = np.unique(
        assignment.themes[counted] * n_topics + rows[counted], return_counts=True
    )
    themes, members = pairs // n_topics, pairs % n_topics
    sizes = topics["n_sentences"].to_numpy().astype(np.int64)
    enough = (counts >= CONTRIBUTING_SENTENCES) | (counts >= CONTRIBUTING_SHARE * sizes[members])
    themes, members, counts = themes[enough], members[enough], counts[enough]
    order = np.lexsort((members, -counts, themes))
    return Contributions(themes[order], members[order], counts[order])


def theme_of_topics(contributions: Contributions, n_topics: int) -> Ints:
    """For each topic the theme with most of its sentences (the first of equals), -1 for none."""
    themes = np.full(n_topics, NO_THEME, np.int64)
    # Written from the least to the best, so that the best remains.
    order = np.lexsort((-contributions.themes, contributions.n_sentences))
    themes[contributions.topics[order]] = contributions.themes[order]
    return themes


def contribution_table(
    contributions: Contributions, topics: pa.Table, theme_ids: pa.Array, quarter: str
) -> pa.Table:
    """The contributions as rows of THEME_CONTRIBUTIONS."""
    members = topics.take(pa.array(contributions.topics))
    known = {
        "theme_id": theme_ids.take(pa.array(contributions.themes)),
        "n_sentences": pa.array(contributions.n_sentences, pa.int32()),
        "quarter": pa.array([quarter] * len(contributions.topics), pa.string()),
    }
    names = schemas.THEME_CONTRIBUTIONS.names
    columns = [known[name] if name in known else members[name] for name in names]
    return pa.table(columns, schema=schemas.THEME_CONTRIBUTIONS)


def exposure_table(
    sentences: QuarterSentences,
    assignment: Assignment,
    calls: Mapping[CallKey, Mapping[str, Any]],
    theme_ids: pa.Array,
    quarter: str,
) -> pa.Table:
    """How much of each call is on each theme, as rows of THEME_EXPOSURES, by theme and call.

    Raises InputError for a call that ``calls``, by firm and date, does not have.
    """
    call_of = sentences.codes("transcript_id")
    n_calls = int(call_of.max(initial=-1)) + 1
    n_kept = np.bincount(call_of, minlength=n_calls)
    order = np.lexsort((-assignment.similarity.round(5), call_of, assignment.themes))
    order = order[assignment.themes[order] >= 0]
    pairs = assignment.themes[order] * n_calls + call_of[order]
    _, starts, counts = np.unique(pairs, return_index=True, return_counts=True)
    first = order[starts]
    n_named = np.minimum(counts, LEADING_SENTENCES)
    place = np.arange(int(n_named.sum())) - np.repeat(np.cumsum(n_named) - n_named, n_named)
    named = order[np.repeat(starts, n_named) + place]
    offsets = np.concatenate([[0], np.cumsum(n_named)]).astype(np.int32)
    ids = sentences.table["sentence_id"].take(sentences.kept[named]).combine_chunks()
    rows = sentences.table.select(["firm_id", "transcript_id", "earnings_call_date"]).take(
        sentences.kept[first]
    )
    found = [_call(calls, row) for row in rows.to_pylist()]
    values = {
        "theme_id": theme_ids.take(pa.array(assignment.themes[first])),
        "firm_id": rows["firm_id"],
        "firm_name": pa.array([call["firm_name"] for call in found], pa.string()),
        "permno": pa.array([call["permno"] for call in found], pa.int64()),
        "gvkey": pa.array([call["gvkey"] for call in found], pa.string()),
        "transcript_id": rows["transcript_id"],
        "earnings_call_date": rows["earnings_call_date"],
        "n_sentences": pa.array(counts, pa.int32()),
        "share": pa.array(counts / n_kept[call_of[first]]),
        "leading_sentence_ids": pa.ListArray.from_arrays(
            pa.array(offsets),
            ids,
            type=schemas.THEME_EXPOSURES.field("leading_sentence_ids").type,
        ),
        "quarter": pa.array([quarter] * len(counts), pa.string()),
    }
    names = schemas.THEME_EXPOSURES.names
    return pa.table([values[name] for name in names], schema=schemas.THEME_EXPOSURES)


def _call(calls: Mapping[CallKey, Mapping[str, Any]], row: dict[str, Any]) -> Mapping[str, Any]:
    key = (row["firm_id"], row["earnings_call_date"])
    if key not in calls:
        raise InputError(
            f"The call {row['transcript_id']} of firm {row['firm_id']}",
            f"is in the map output with the date {key[1]}, but not in the transcripts",
            "Run the quarter again with --restart (LLM answers are kept).",
        )
    return calls[key]
