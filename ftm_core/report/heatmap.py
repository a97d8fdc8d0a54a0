"""How much of each firm's calls each theme takes up, for the largest of both."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ftm_core.report.quarter_tables import QuarterTables

MOST_THEMES = 15
MOST_FIRMS = 40


@dataclass(frozen=True)
class Heatmap:
    """Shares (0..1) of a firm's sentences, a row a firm, a column a theme; and what is left out."""

    themes: tuple[str, ...]
    firms: tuple[str, ...]
    shares: tuple[tuple[float, ...], ...]
    n_themes: int
    n_firms: int


def heatmap(tables: QuarterTables) -> Heatmap:
    """The MOST_THEMES largest themes by the MOST_FIRMS firms with most sentences in them.

    Themes about the call itself (kind ``procedure``) are left out.
    """
    shown = [row for row in tables.themes if row["kind"] != "procedure"]
    themes = [row["theme_id"] for row in shown[:MOST_THEMES]]
    spoken: Counter[str] = Counter()
    names: dict[str, str] = {}
    for row in tables.firms.select(["firm_id", "firm_name", "n_sentences"]).to_pylist():
        # A row a call: a firm may have several.
        spoken[row["firm_id"]] += row["n_sentences"]
        names[row["firm_id"]] = row["firm_name"]
    within: Counter[tuple[str, str]] = Counter()
    of_firm: Counter[str] = Counter()
    columns = ["theme_id", "firm_id", "n_sentences"]
    for row in tables.contributions.select(columns).to_pylist():
        if row["theme_id"] in themes and spoken[row["firm_id"]]:
            within[row["firm_id"], row["theme_id"]] += row["n_sentences"]
            of_firm[row["firm_id"]] += row["n_sentences"]
    firms = sorted(of_firm, key=lambda firm: (-of_firm[firm], firm))[:MOST_FIRMS]
    return Heatmap(
        themes=tuple(row["name"] for row in shown[:MOST_THEMES]),
        firms=tuple(names[firm] for firm in firms),
        shares=tuple(
            tuple(within[firm, theme] / spoken[firm] for theme in themes) for firm in firms
        ),
        n_themes=len(shown),
        n_firms=len(names),
    )
