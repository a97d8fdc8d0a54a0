"""Themes with their firms, topics and sentences, as many as a page can hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ftm_core.report.tables import QuarterTables

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


def theme_entries(tables: QuarterTables) -> list[ThemeEntry]:
    """All themes, largest first, with at most MOST_TOPICS topics among them.

    Beyond that each theme shows its most central ones, FEWEST_TOPICS_A_THEME at least. ``detail``
    holds firms (name, topics, sentences), topics and the counts of both, so that the page can
    say what it leaves out. Rows that fit no other table are passed over here: the checks beside
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
