"""Totals of a group of themes in the report."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pytest

from ftm_core.report.quarter_tables import QuarterTables
from ftm_core.report.theme_entries import theme_groups


def tables(*kinds: str) -> QuarterTables:
    """A group with a theme of each kind; theme n has n + 1 sentences of firm n in topic n.

    Firm 9 has a sentence in every theme, and no topic that contributes to one.
    """
    themes = [
        {
            "theme_id": f"t{n}",
            "kind": kind,
            "group_id": 0,
            "group_name": "wages, freight",
            "n_sentences": n + 1,
        }
        for n, kind in enumerate(kinds)
    ]
    contributions = pa.Table.from_pylist(
        [
            {"theme_id": f"t{n}", "firm_id": f"firm{n}", "topic_id": f"topic{n}"}
            for n in range(len(kinds))
        ]
    )
    exposures = pa.Table.from_pylist(
        [
            {"theme_id": f"t{n}", "firm_id": firm}
            for n in range(len(kinds))
            for firm in (f"firm{n}", "firm9")
        ]
    )
    return cast(
        QuarterTables,
        SimpleNamespace(themes=themes, contributions=contributions, exposures=exposures),
    )


@pytest.mark.parametrize(
    ("kinds", "totals"),
    [
        (("subject", "results"), {"n_hidden": 0, "n_firms": 3, "n_topics": 2, "n_sentences": 3}),
        (("subject", "procedure"), {"n_hidden": 1, "n_firms": 2, "n_topics": 1, "n_sentences": 1}),
        (("procedure", "procedure"), {"n_hidden": 2, "n_firms": 3, "n_sentences": 3}),
    ],
)
def test_theme_groups_hidden_themes_do_not_count(
    kinds: tuple[str, ...], totals: dict[str, Any]
) -> None:
    """A line with 1 theme that counted the sentences of a hidden one could not be added up."""
    (group,) = theme_groups(tables(*kinds))
    assert group.places == tuple(range(len(kinds)))
    assert {name: getattr(group, name) for name in totals} == totals
