"""Stands in for the processes that model: topics by rule, so that a map takes milliseconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from ftm_core.themes.theme_model import ThemeDraft, TopicPoint
from ftm_core.topics.firm_model import FirmModel, TopicDraft


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
        return _themes(arguments[0])

    def _model(self, sentences: pa.Table) -> FirmModel:
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
                keywords=(f"subject{number}", "cost"),
                sentence_ids=(row["sentence_id"],),
                leading_texts=(f"{firm_id} on {number}. {row['raw_text']}",),
                vector=(1.0,),
            )
            for number, row in enumerate(rows[: self._topics])
        )
        labels = tuple(range(len(topics))) + (-1,) * (len(rows) - len(topics))
        return FirmModel(firm_id, topics, labels, n_set_aside=0)


def _themes(points: Sequence[TopicPoint]) -> list[ThemeDraft]:
    subjects = sorted({point.keywords[0] for point in points})
    members = {
        subject: tuple(place for place, point in enumerate(points) if point.keywords[0] == subject)
        for subject in subjects
    }
    return [
        ThemeDraft((subject, "cost"), places, len({points[place].firm_id for place in places}))
        for subject, places in members.items()
    ]
