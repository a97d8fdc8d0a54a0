"""What the theme level is given of each topic."""

from __future__ import annotations

from typing import Any

import pytest

from ftm_core.contracts.errors import InputError
from ftm_core.data.finished import open_finished
from ftm_core.data.map_output import read_topics
from ftm_core.themes.points import read_points, read_vectors, vectors_of
from ftm_core.themes.theme_model import TopicPoint
from tests.fakes.small_quarter import QUARTER, SmallQuarter, edit_table


def points_of(quarter: SmallQuarter) -> list[TopicPoint]:
    output = open_finished(quarter.storage, QUARTER).output
    return read_points(quarter.storage, output, read_topics(quarter.storage, output))


def test_a_topic_brings_its_sentences_most_representative_first(
    finished_quarter: SmallQuarter,
) -> None:
    first = points_of(finished_quarter)[0]

    assert first.topic_id == "F1_0"
    assert [text.split()[:4] for text in first.sentences] == [
        ["At", "Firm", "1", "there"], ["At", "Firm", "1", "it"], ["At", "Firm", "1", "we"],
    ]  # fmt: skip


def test_vectors_come_in_the_order_in_which_topics_are_asked_for(
    finished_quarter: SmallQuarter,
) -> None:
    storage, output = (
        finished_quarter.storage,
        open_finished(finished_quarter.storage, QUARTER).output,
    )
    topics = read_topics(storage, output)
    ids = topics["topic_id"].to_pylist()

    backwards = vectors_of(storage, output, ids[::-1])

    assert backwards.tolist() == read_vectors(topics)[::-1].tolist()
    with pytest.raises(InputError, match="F9_9"):
        vectors_of(storage, output, [ids[0], "F9_9"])


def test_a_sentence_that_is_not_there_is_named(small_quarter: SmallQuarter) -> None:
    output = open_finished(small_quarter.storage, QUARTER).output

    def rename(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "sentence_id": "lost"} for row in rows]

    edit_table(small_quarter.storage, output.sentence_keys()[0], rename)
    with pytest.raises(InputError, match="F1_0"):
        points_of(small_quarter)
