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


def test_tutorial_share_is_that_of_the_exposures(variables: dict[str, Any]) -> None:
    """A call without a theme has the share 0; each other call has the share of its exposure."""
    panel: pd.DataFrame = variables["panel"]
    exposures: pd.DataFrame = variables["exposures"].dropna(subset=["permno"])
    silent = panel[panel["share"] == 0.0]

    assert len(silent) == len(panel) - len(exposures)
    keys = ["firm_id", "earnings_call_date", "theme_id"]
    both = panel.merge(exposures, on=keys, suffixes=("", "_exposure"))
    assert len(both) == len(exposures)
    assert both["share"].tolist() == both["share_exposure"].tolist()


def test_tutorial_sql_agrees_with_the_data_frames(variables: dict[str, Any]) -> None:
    largest: pd.DataFrame = variables["largest"]
    exposures: pd.DataFrame = variables["exposures"]

    assert len(largest) > 0
    assert sorted(largest["share"]) == sorted(exposures.loc[exposures["share"] >= 0.1, "share"])
