"""Stands in for the processes that model: topics by rule, so that a map takes milliseconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from string import ascii_lowercase
from typing import Any

import numpy as np
import pyarrow as pa

from ftm_core.topics.find_topics import FirmTopics, TopicDraft
from tests.fakes.given_themes import given_themes


def _subject(number: int) -> str:
    """A name without a digit, which no sentence would bear out."""
    return f"subject{ascii_lowercase[number]}" if number >= 0 else ""


class RuleWorkers:
    """Each sentence of a firm is a topic; each position over the firms is a theme.

    ``broken_firms`` fail as a whole, with a fault of their own text.
    """

    def __init__(self, broken_firms: Sequence[str] = (), topics_per_firm: int = 3) -> None:
        self.n_workers = 1
        self.modelled: list[str] = []
        self._broken = set(broken_firms)
        self._topics = topics_per_firm

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        await asyncio.sleep(0)
        if isinstance(arguments[0], pa.Table):
            return self._model(arguments[0])
        return given_themes(
            arguments[0],
            [_subject(number) for number in range(self._topics)],
            lambda row: _subject(row["local_topic_id"]),
        )

    def _model(self, sentences: pa.Table) -> FirmTopics:
        rows = sentences.to_pylist()
        firm_id = rows[0]["firm_id"]
        self.modelled.append(firm_id)
        if firm_id in self._broken:
            raise ValueError(f"nothing can be made of {firm_id}")
        topics = tuple(
            TopicDraft(
                topic_id=f"{firm_id}_{number}",
                local_topic_id=number,
                earnings_call_date=row["earnings_call_date"],
                firm_name=row["firm_name"],
                permno=row["permno"],
                gvkey=row["gvkey"],
                keywords=(_subject(number), "cost"),
                sentence_ids=(row["sentence_id"],),
                leading_texts=(f"{firm_id} on {number}. {row['raw_text']}",),
                vector=(1.0,),
            )
            for number, row in enumerate(rows[: self._topics])
        )
        labels = tuple(range(len(topics))) + (-1,) * (len(rows) - len(topics))
        return FirmTopics(
            firm_id, topics, labels, np.arange(len(rows)), np.ones((len(rows), 2), np.int8)
        )
