"""Themes with their firms, topics and sentences, as many as a page can hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ftm_core.report.quarter_tables import QuarterTables

# Topics with summary and sentences on one page; each is about 1 KB before compression.
MOST_TOPICS = 3000
FEWEST_TOPICS_A_THEME = 3
FIRMS_A_THEME = 25
SENTENCES_A_TOPIC = 3


@dataclass(frozen=True)
class ThemeEntry:
    """One theme of the table: its row, its sentences, and what opens below it (plain values)."""

    row: dict[str, Any]
    n_sentences: int
    detail: dict[str, Any]


@dataclass(frozen=True)
class ThemeGroup:
    """A broad group of similar themes: the places of its themes in the list, and its size.

    ``n_hidden`` of the themes are about the call itself and hidden unless asked for. They count in
    the firms, topics and sentences only where the group has no other themes.
    """

    name: str
    places: tuple[int, ...]
    n_hidden: int
    n_firms: int
    n_topics: int
    n_sentences: int


def theme_groups(tables: QuarterTables) -> list[ThemeGroup]:
    """The groups in the order of their largest theme; places are rows of ``tables.themes``."""
    places: dict[int, list[int]] = {}
    for place, row in enumerate(tables.themes):
        places.setdefault(row["group_id"], []).append(place)
    counted = {group: _shown_first(tables, members) for group, members in places.items()}
    group_of = {
        tables.themes[place]["theme_id"]: group
        for group, members in counted.items()
        for place in members
    }
    # Firms as a theme counts them: by sentences, which need not belong to a topic.
    firms = _distinct(tables.exposures, "firm_id", group_of)
    topics = _distinct(tables.contributions, "topic_id", group_of)
    return [
        ThemeGroup(
            name=tables.themes[members[0]]["group_name"],
            places=tuple(members),
            n_hidden=sum(tables.themes[place]["kind"] == "procedure" for place in members),
            n_firms=firms.get(group, 0),
            n_topics=topics.get(group, 0),
            n_sentences=sum(tables.themes[place]["n_sentences"] for place in counted[group]),
        )
        for group, members in places.items()
    ]


def _distinct(table: pa.Table, column: str, group_of: dict[str, int]) -> dict[int, int]:
    """How many values of ``column`` the themes of each group have together."""
    frame = table.select(["theme_id", column]).to_pandas()
    counts = frame.groupby(frame["theme_id"].map(group_of))[column].nunique()
    return {int(group): int(count) for group, count in counts.items()}


def _shown_first(tables: QuarterTables, places: list[int]) -> list[int]:
    """The themes that are not about the call itself; all where there is no other."""
    shown = [place for place in places if tables.themes[place]["kind"] != "procedure"]
    return shown or places


def theme_entries(tables: QuarterTables) -> list[ThemeEntry]:
    """All themes, largest first, with at most MOST_TOPICS topics among them.

    Beyond that each theme shows its most central ones, FEWEST_TOPICS_A_THEME at least. ``detail``
    holds firms (name, topics, sentences), topics and the counts of both, so that the page can
    say what it leaves out. Rows that fit no other table are skipped here: the checks beside
    the themes name them.
    """
    members: dict[str, list[dict[str, Any]]] = {row["theme_id"]: [] for row in tables.themes}
    columns = ["theme_id", "topic_id", "firm_id", "firm_name", "n_sentences"]
    for row in tables.contributions.select(columns).to_pylist():
        if row["theme_id"] in members:
            members[row["theme_id"]].append(row)
    shown = _topics_shown(members)
    topics = tables.topic_rows([topic for chosen in shown.values() for topic in chosen])
    sentences = tables.leading_sentences(topics, SENTENCES_A_TOPIC)
    return [
        ThemeEntry(
            row=theme,
            n_sentences=sum(row["n_sentences"] for row in members[theme["theme_id"]]),
            detail={
                "n_firms": theme["n_firms"],
                "n_topics": theme["n_topics"],
                "firms": _firms(members[theme["theme_id"]]),
                "topics": [
                    _topic(topics[topic], sentences[topic])
                    for topic in shown[theme["theme_id"]]
                    if topic in topics
                ],
            },
        )
        for theme in tables.themes
    ]


def _topics_shown(members: dict[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    each: int | None = None
    if sum(map(len, members.values())) > MOST_TOPICS:
        each = max(FEWEST_TOPICS_A_THEME, MOST_TOPICS // len(members))
    return {theme: [row["topic_id"] for row in rows[:each]] for theme, rows in members.items()}


def _firms(members: Sequence[dict[str, Any]]) -> list[tuple[str, int, int]]:
    """Name, topics and sentences of the firms with most sentences in a theme."""
    names = {row["firm_id"]: row["firm_name"] for row in members}
    topics, sentences = Counter[str](), Counter[str]()
    for row in members:
        topics[row["firm_id"]] += 1
        sentences[row["firm_id"]] += row["n_sentences"]
    largest = sorted(names, key=lambda firm: (-sentences[firm], firm))[:FIRMS_A_THEME]
    return [(names[firm], topics[firm], sentences[firm]) for firm in largest]


def _topic(row: dict[str, Any], sentences: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "id": row["topic_id"],
        "firm": row["firm_name"],
        "date": row["earnings_call_date"].isoformat(),
        "summary": row["summary"],
        "keywords": row["keywords"],
        "n_sentences": row["n_sentences"],
        "sentences": sentences,
    }
