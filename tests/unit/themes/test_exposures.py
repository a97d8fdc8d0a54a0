"""Contributions of topics and exposures of calls follow from the sentences' themes."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from ftm_core.contracts.errors import InputError
from ftm_core.themes.assignment import Assignment
from ftm_core.themes.exposures import (
    exposure_table,
    find_contributions,
    theme_of_topics,
)
from ftm_core.themes.quarter_sentences import QuarterSentences

DAY = dt.date(2023, 2, 1)
THEME_IDS = pa.array(["theme_2023Q1_000", "theme_2023Q1_001"])
CALLS = {
    (firm, DAY): {"firm_name": f"Firm {firm}", "permno": None, "gvkey": "001"}
    for firm in ("F0", "F1")
}


def sentences_of(*calls: tuple[str, list[int]], small_talk: int = 0) -> QuarterSentences:
    """A call per firm with the topic of each sentence; its first ``small_talk`` ones are none."""
    rows = [
        {
            "sentence_id": f"{firm}_T_{position:04d}",
            "firm_id": firm,
            "transcript_id": f"T{firm}",
            "earnings_call_date": DAY,
            "position": position,
            "local_topic_id": topic,
        }
        for firm, topics in calls
        for position, topic in enumerate(topics)
    ]
    kept = np.array([n for n, row in enumerate(rows) if int(row["position"]) >= small_talk])
    return QuarterSentences(pa.Table.from_pylist(rows), kept, np.zeros((len(kept), 4), np.int8))


def assigned(*themes: int) -> Assignment:
    """Themes of the kept sentences, each less central than the one before."""
    return Assignment(np.array(themes), np.linspace(0.9, 0.5, len(themes), dtype=np.float32))


def topics_of(**sizes: int) -> pa.Table:
    return pa.table({"topic_id": list(sizes), "n_sentences": list(sizes.values())})


@pytest.mark.parametrize(
    ("size", "in_theme", "contributes"),
    [(9, 2, True), (9, 1, False), (4, 1, False), (3, 1, True), (1, 1, True)],
)
def test_contribution_takes_two_sentences_or_a_third(
    size: int, in_theme: int, contributes: bool
) -> None:
    sentences = sentences_of(("F0", [0] * size))
    assignment = assigned(*([0] * in_theme + [-1] * (size - in_theme)))

    found = find_contributions(sentences, assignment, topics_of(F0_0=size))

    assert found.n_sentences.tolist() == ([in_theme] if contributes else [])


def test_contribution_without_a_topic_row_does_not_count() -> None:
    """Sentences in no topic, or in one whose summary failed, contribute to nothing."""
    sentences = sentences_of(("F0", [0, 0, -1, -1, 1, 1]))

    found = find_contributions(sentences, assigned(0, 0, 0, 0, 0, 0), topics_of(F0_0=2))

    assert (found.topics.tolist(), found.n_sentences.tolist()) == ([0], [2])


def test_topic_has_the_theme_with_most_of_its_sentences() -> None:
    sentences = sentences_of(("F0", [0] * 5 + [1] * 4 + [2]))
    topics = topics_of(F0_0=5, F0_1=4, F0_2=1)

    found = find_contributions(sentences, assigned(0, 0, 1, 1, 1, 1, 1, 0, 0, -1), topics)

    pairs = set(zip(found.themes.tolist(), found.topics.tolist(), strict=True))
    assert pairs == {(0, 0), (1, 0), (0, 1), (1, 1)}
    # The second topic is split evenly: the first theme is taken.
    assert theme_of_topics(found, 3).tolist() == [1, 0, -1]


def test_exposure_share_leaves_small_talk_out() -> None:
    """Sentences without a topic count, small talk does not."""
    sentences = sentences_of(("F0", [-1, -1, 0, -1, 0, 0]), ("F1", [-1, -1, 0]), small_talk=2)

    rows = exposure_table(
        sentences, assigned(0, 0, -1, 1, 0), CALLS, THEME_IDS, "2023Q1"
    ).to_pylist()

    seen = [
        (row["theme_id"][-3:], row["firm_id"], row["n_sentences"], row["share"]) for row in rows
    ]
    assert seen == [("000", "F0", 2, 0.5), ("000", "F1", 1, 1.0), ("001", "F0", 1, 0.25)]


def test_exposure_names_its_most_central_sentences() -> None:
    sentences = sentences_of(("F0", [0] * 5))
    similarity = np.array([0.5, 0.9, 0.6, 0.4, 0.8], np.float32)

    table = exposure_table(
        sentences, Assignment(np.zeros(5, np.int64), similarity), CALLS, THEME_IDS, "2023Q1"
    )

    assert table["leading_sentence_ids"].to_pylist() == [["F0_T_0001", "F0_T_0004", "F0_T_0002"]]


def test_exposure_of_an_unknown_call_is_refused() -> None:
    with pytest.raises(InputError, match="not in the transcripts"):
        exposure_table(sentences_of(("F9", [0])), assigned(0), CALLS, THEME_IDS, "2023Q1")
