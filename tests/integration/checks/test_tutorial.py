"""The Python of docs/tutorial.md, run as it stands there on a finished quarter."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.fakes.small_quarter import SmallQuarter

DOCUMENT = Path(__file__).parents[3] / "docs" / "tutorial.md"
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def variables(finished_quarter: SmallQuarter, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the document's code leaves behind, run beside a folder ``data``."""
    folder = Path(finished_quarter.storage.uri)
    monkeypatch.chdir(folder.parent)
    code = "\n".join(_PYTHON.findall(DOCUMENT.read_text(encoding="utf-8")))
    found: dict[str, Any] = {}
    exec(code.replace('open_quarter("data"', f'open_quarter("{folder.name}"'), found)
    return found


def test_tutorial_panel_has_every_call_and_theme(variables: dict[str, Any]) -> None:
    panel: pd.DataFrame = variables["panel"]

    # Six calls of firms with a permno (two of F3), two themes.
    assert len(panel) == 12
    assert not panel.duplicated(["firm_id", "earnings_call_date", "theme_id"]).any()
    assert panel["permno"].notna().all()
    assert panel["share"].between(0, 1).all()
    assert str(panel["earnings_call_date"].dtype).startswith("datetime64")


def test_tutorial_share_is_of_all_sentences_of_the_call(variables: dict[str, Any]) -> None:
    """Of the seven sentences of a call three are about pricing; F6 has no freight topic."""
    panel: pd.DataFrame = variables["panel"]
    of_f6 = panel[panel["firm_id"] == "F6"].set_index("theme_id")["share"]

    assert of_f6.to_dict() == {"theme_2023Q1_001": 3 / 7, "theme_2023Q1_002": 0.0}


def test_tutorial_sql_agrees_with_the_data_frames(variables: dict[str, Any]) -> None:
    largest: pd.DataFrame = variables["largest"]
    table: pd.DataFrame = variables["table"]

    assert sorted(largest["share"]) == pytest.approx(sorted(table.loc[table.share >= 0.1, "share"]))
