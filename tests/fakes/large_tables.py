"""The tables of a quarter as large as wanted, written over those of a finished one."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from ftm_core.contracts import keys, schemas
from ftm_core.contracts.schemas import table_from_rows
from ftm_core.storage.tables import write_table
from tests.fakes.small_quarter import QUARTER, SmallQuarter

_DAY = dt.date(2023, 2, 1)
_STAMP = dt.datetime(2023, 6, 1, tzinfo=dt.UTC)
_SHARE_IN_NO_THEME = 0.4


def write_large_tables(
    quarter: SmallQuarter, *, topics: int, firms: int, themes: int, sentences: int
) -> None:
    """Replace themes, contributions and the quarter's tables; ``sentences`` are of each topic.

    Each theme has words of its own; 40 % of topics are in none. Only the tables are large: the
    map output stays as it was.
    """
    chance = np.random.default_rng(7)
    theme_of = np.where(
        chance.random(topics) < _SHARE_IN_NO_THEME, -1, chance.integers(0, themes, topics)
    )
    topic_rows = [_topic(n, n % firms, n // firms, int(theme_of[n]), sentences, chance)
                  for n in range(topics)]  # fmt: skip
    placed = [row for row in topic_rows if row["theme_id"] is not None]
    in_theme: dict[str, list[dict[str, Any]]] = {_theme_id(n): [] for n in range(themes)}
    for row in placed:
        in_theme[row["theme_id"]].append(row)
    theme_rows = [
        {
            "theme_id": theme,
            "name": f"Subject {number}",
            "description": f"Companies talk about subject {number}.",
            "label": ", ".join(_words(number)[:3]),
            "keywords": _words(number)[:5],
            "kind": "subject",
            "group_id": number,
            "group_name": _words(number)[0],
            "n_topics": len(rows),
            "n_firms": len({row["firm_id"] for row in rows}),
            "n_sentences": len(rows) * sentences,
            "quarter": str(QUARTER),
        }
        for number, (theme, rows) in enumerate(in_theme.items())
    ]
    _write(quarter, keys.themes(QUARTER), schemas.THEMES, theme_rows)
    names = schemas.THEME_CONTRIBUTIONS.names
    contributions = [
        {name: row[name] for name in names} for rows in in_theme.values() for row in rows
    ]
    _write(quarter, keys.theme_contributions(QUARTER), schemas.THEME_CONTRIBUTIONS, contributions)
    exposures = [
        row
        for theme, rows in in_theme.items()
        for row in _exposures(theme, rows, -(-topics // firms) * sentences)
    ]
    _write(quarter, keys.theme_exposures(QUARTER), schemas.THEME_EXPOSURES, exposures)
    _write(quarter, keys.processed_table("topics", QUARTER), schemas.TOPICS, topic_rows)
    spoken = [
        _sentence(row, place, identifier)
        for row in topic_rows
        for place, identifier in enumerate(row["sentence_ids"])
    ]
    _write(quarter, keys.processed_table("sentences", QUARTER), schemas.SENTENCES, spoken)
    firm_rows = [_firm(n, -(-(topics - n) // firms), sentences) for n in range(firms)]
    _write(quarter, keys.processed_table("firms", QUARTER), schemas.FIRMS, firm_rows)


def _theme_id(number: int) -> str:
    return f"theme_{QUARTER}_{number + 1:03d}"


def _words(theme: int) -> list[str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    stem = letters[theme // 26 % 26] + letters[theme % 26]
    return [
        f"{stem}{ending}" for ending in ("ost", "ale", "ine", "ord", "uel", "ate", "ush", "ent")
    ]


def _topic(
    number: int, firm: int, local: int, theme: int, sentences: int, chance: np.random.Generator
) -> dict[str, Any]:
    words = _words(theme if theme >= 0 else int(chance.integers(0, 400)))
    chosen = [words[place] for place in chance.permutation(len(words))[:6]]
    return {
        "firm_id": f"F{firm}",
        "firm_name": f"Firm {firm} Incorporated",
        "quarter": str(QUARTER),
        "permno": 10000 + firm,
        "gvkey": f"{firm:06d}",
        "earnings_call_date": _DAY,
        "topic_id": f"F{firm}_{local}",
        "local_topic_id": local,
        "representation": ", ".join(chosen),
        "summary": f"The company said how {' and '.join(chosen[:4])} changed what it earns over "
        f"the year, and that it expects more of {chosen[4]} in the second half of the year.",
        "naming_method": "llm",
        "summary_mode": "write",
        "keywords": chosen,
        "n_sentences": sentences,
        "sentence_ids": [f"F{firm}_T{firm}_{local * sentences + n:04d}" for n in range(sentences)],
        "leading_sentences": [],
        "processing_timestamp": _STAMP,
        "llm_model": "made-up-model",
        "prompt_version": "1",
        "theme_id": _theme_id(theme) if theme >= 0 else None,
    }


def _sentence(topic: dict[str, Any], place: int, identifier: str) -> dict[str, Any]:
    firm = topic["firm_id"]
    return {
        "sentence_id": identifier,
        "firm_id": firm,
        "permno": topic["permno"],
        "transcript_id": f"T{firm[1:]}",
        "earnings_call_date": _DAY,
        "raw_text": f"We saw that {topic['keywords'][place % 6]} moved with "
        f"{topic['keywords'][(place + 1) % 6]} over the quarter, much as we had said before.",
        "speaker_type": "CFO",
        "position": topic["local_topic_id"] * topic["n_sentences"] + place,
        "local_topic_id": topic["local_topic_id"],
        "is_small_talk": False,
        "theme_id": topic["theme_id"],
        "quarter": str(QUARTER),
    }


def _exposures(theme: str, topics: list[dict[str, Any]], n_spoken: int) -> list[dict[str, Any]]:
    """A row per firm; each has one call of at most ``n_spoken`` sentences."""
    of_firm: dict[str, list[dict[str, Any]]] = {}
    for topic in topics:
        of_firm.setdefault(topic["firm_id"], []).append(topic)
    copied = ("firm_id", "firm_name", "permno", "gvkey", "earnings_call_date", "quarter")
    rows = []
    for firm, own in of_firm.items():
        said = [name for topic in own for name in topic["sentence_ids"]]
        rows.append(
            {
                **{name: own[0][name] for name in copied},
                "theme_id": theme,
                "transcript_id": f"T{firm[1:]}",
                "n_sentences": len(said),
                "share": len(said) / n_spoken,
                "leading_sentence_ids": said[:3],
            }
        )
    return rows


def _firm(number: int, topics: int, sentences: int) -> dict[str, Any]:
    return {
        "firm_id": f"F{number}",
        "firm_name": f"Firm {number} Incorporated",
        "ticker": None,
        "gvkey": f"{number:06d}",
        "permno": 10000 + number,
        "link_date": None,
        "earnings_call_date": _DAY,
        "quarter": str(QUARTER),
        "n_sentences": topics * sentences,
        "n_topics": topics,
    }


def _write(quarter: SmallQuarter, key: str, schema: Any, rows: list[dict[str, Any]]) -> None:
    table = table_from_rows(rows, schema, run_id=quarter.run_id, where=key)
    write_table(quarter.storage, key, table)
