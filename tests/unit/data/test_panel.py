"""The panel: one identity of each theme over quarters, which a later quarter never changes."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import ftm_core
from ftm_cli.app import app
from ftm_core.contracts import keys, schemas
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.panel import extend_panel, match_themes
from ftm_core.data.quarter_store import QuarterStore
from ftm_core.storage.local import LocalStorage
from tests.fakes.small_quarter import build_small_quarter, edit_table

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to" / "panel.md"
FIRST, GAP, LAST = THREE = Quarter(2022, 3), Quarter(2022, 4), Quarter(2023, 1)
SILENT = ("theme_2022Q3_001", "F2")
DIMENSIONS = schemas.THEME_DIRECTIONS.field("direction").type


def vector(*values: float) -> list[float]:
    """A direction with these first values."""
    size = DIMENSIONS.list_size if pa.types.is_fixed_size_list(DIMENSIONS) else 8
    return [*values, *[0.0] * (size - len(values))]


def build(folder: Path, quarter: Quarter, directions: list[list[float]]) -> None:
    """A finished quarter whose themes lie in these directions, cyclically."""
    storage = LocalStorage(folder)
    build_small_quarter(storage, of=quarter)
    turn_themes(storage, quarter, directions)


def turn_themes(storage: LocalStorage, quarter: Quarter, directions: list[list[float]]) -> None:
    """Lay the themes of a finished quarter in these directions, cyclically."""
    store = QuarterStore(storage, quarter)
    run_id = store.finished.identity.run_id
    theme_ids = store.table("themes")["theme_id"].to_pylist()
    rows = [
        {
            "theme_id": theme_id,
            "direction": directions[number % len(directions)],
            "quarter": str(quarter),
        }
        for number, theme_id in enumerate(theme_ids)
    ]
    table = pa.Table.from_pylist(rows, schemas.THEME_DIRECTIONS)
    store.write("theme_directions", [table], run_id=run_id)


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_match_themes_gives_each_id_once(n_new: int, n_known: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    new = generator.normal(size=(n_new, 4)).astype(np.float32)
    known = generator.normal(size=(n_known, 4)).astype(np.float32)
    new /= np.linalg.norm(new, axis=1, keepdims=True)
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    ids = [f"p{number % 3}" for number in range(n_known)]
    found = match_themes(new, known, ids, 0.5)
    matched = [match for match in found if match]
    assert len(found) == n_new
    assert len({name for name, _ in matched}) == len(matched)
    assert all(similarity >= 0.5 for _, similarity in matched)


def test_panel_follows_a_theme_and_starts_another(tmp_path: Path) -> None:
    build(tmp_path, FIRST, [vector(1.0, 0.0), vector(0.0, 1.0)])
    build(tmp_path, LAST, [vector(0.9, 0.1), vector(0.0, 0.0, 1.0)])
    themes = ftm_core.open_panel(tmp_path, "2022Q3..2023Q1").themes()
    by_theme = dict(zip(themes["theme_id"], themes["panel_theme_id"], strict=True))
    assert by_theme["theme_2022Q3_001"] == "panel_2022Q3_001"
    assert by_theme["theme_2023Q1_001"] == "panel_2022Q3_001"


def test_panel_later_quarter_renames_nothing(tmp_path: Path) -> None:
    """Also one that lies between two others in time."""
    build(tmp_path, FIRST, [vector(1.0)])
    build(tmp_path, LAST, [vector(0.0, 1.0)])
    before = ftm_core.open_panel(tmp_path).themes()
    build(tmp_path, GAP, [vector(0.7, 0.7)])
    after = ftm_core.open_panel(tmp_path).themes()
    kept = after[after["quarter"] != str(GAP)].reset_index(drop=True)
    for column in ("theme_id", "panel_theme_id", "panel_theme_name"):
        assert kept[column].tolist() == before[column].tolist()
    assert set(after["quarter"]) == {"2022Q3", "2022Q4", "2023Q1"}


@pytest.fixture(scope="module")
def four_quarters(tmp_path_factory: pytest.TempPathFactory) -> LocalStorage:
    storage = LocalStorage(tmp_path_factory.mktemp("four"))
    for quarter in (*THREE, Quarter(2023, 2)):
        build_small_quarter(storage, of=quarter)
    return storage


@settings(max_examples=25, deadline=None)
@given(st.permutations([*THREE, Quarter(2023, 2)]), st.integers(0, 2**32 - 1))
def test_panel_in_any_order_renames_nothing(
    four_quarters: LocalStorage, order: list[Quarter], seed: int
) -> None:
    """Each quarter that is added leaves every row as it was, whatever its themes are like."""
    generator = np.random.default_rng(seed)
    four_quarters.delete(keys.panel_themes())
    rows: list[dict[str, Any]] = []
    for n_added, quarter in enumerate(order, 1):
        # In a plane many of the directions resemble one another.
        turn_themes(four_quarters, quarter, [vector(*generator.normal(size=2)) for _ in range(2)])
        extend_panel(four_quarters, order[:n_added])
        kept = pq.read_table(io.BytesIO(four_quarters.read(keys.panel_themes()))).to_pylist()
        assert kept[: len(rows)] == rows
        new = kept[len(rows) :]
        assert {row["quarter"] for row in new} == {str(quarter)}
        ids = [row["panel_theme_id"] for row in new]
        assert len(set(ids)) == len(ids)
        began = {row["panel_theme_id"] for row in kept if row["similarity"] is None}
        assert set(ids) <= began
        rows = kept


def test_panel_by_quarter_counts_calls_without_theme(tmp_path: Path) -> None:
    """The mean is over all calls of the quarter; a quarter without the theme has no row."""
    build(tmp_path, FIRST, [vector(1.0, 0.0), vector(0.0, 1.0)])
    build(tmp_path, LAST, [vector(1.0, 0.0), vector(0.0, 0.0, 1.0)])
    # One call says nothing about the first theme.
    edit_table(
        LocalStorage(tmp_path),
        keys.theme_exposures(FIRST),
        lambda rows: [row for row in rows if (row["theme_id"], row["firm_id"]) != SILENT],
    )
    panel = ftm_core.open_panel(tmp_path)
    values = panel.by_quarter().set_index(["panel_theme_id", "quarter"])
    n_calls = len(QuarterStore(LocalStorage(tmp_path), FIRST).firms())
    shares = panel.exposures()
    of_first = shares[shares["theme_id"] == SILENT[0]]
    row = values.loc[("panel_2022Q3_001", "2022Q3")]
    assert row["n_calls"] == n_calls > len(of_first)
    assert row["n_firms"] == of_first["firm_id"].nunique()
    assert row["mean_share"] == pytest.approx(of_first["share"].sum() / n_calls)
    assert ("panel_2022Q3_001", "2023Q1") in values.index
    assert ("panel_2022Q3_002", "2023Q1") not in values.index


def test_panel_quarter_run_again_is_refused(tmp_path: Path) -> None:
    build(tmp_path, FIRST, [vector(1.0)])
    ftm_core.open_panel(tmp_path)
    key = keys.panel_themes()
    storage = LocalStorage(tmp_path)
    links = pq.read_table(io.BytesIO(storage.read(key)))
    column = pa.array(["another-run"] * links.num_rows)
    links = links.set_column(links.column_names.index("run_id"), "run_id", column)
    buffer = io.BytesIO()
    pq.write_table(links, buffer)
    storage.write(key, buffer.getvalue())
    with pytest.raises(InputError, match="--rebuild"):
        ftm_core.open_panel(tmp_path)
    assert len(ftm_core.open_panel(tmp_path, rebuild=True).themes())


def test_panel_without_save_leaves_nothing(tmp_path: Path) -> None:
    build(tmp_path, FIRST, [vector(1.0)])
    ftm_core.open_panel(tmp_path, save=False)
    assert not LocalStorage(tmp_path).exists(keys.panel_themes())
    with pytest.raises(InputError, match="2021Q1"):
        ftm_core.open_panel(tmp_path, "2021Q1..2021Q4")


def test_export_of_a_range_writes_the_panel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for quarter in (FIRST, LAST):
        build(tmp_path / "data", quarter, [vector(1.0, 0.0), vector(0.0, 1.0)])
    for kind in ("csv", "parquet", "jsonl", "duckdb"):
        shown = CliRunner().invoke(app, ["export", "--all", "--format", kind])
        assert shown.exit_code == 0, shown.stderr
    exposures = ftm_core.open_panel("data").exposures()
    assert {"panel_theme_id", "permno", "gvkey", "earnings_call_date", "share"} <= set(exposures)
    lines = (tmp_path / "export/panel/panel_exposures.csv").read_text().splitlines()
    assert len(lines) == len(exposures) + 1


def test_how_to_joins_exposure_with_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Python of docs/how-to/panel.md as it stands: largest themes, each call's next return."""
    build(tmp_path / "data", FIRST, [vector(1.0, 0.0), vector(0.0, 1.0)])
    build(tmp_path / "data", LAST, [vector(0.9, 0.1), vector(0.0, 1.0)])
    monkeypatch.chdir(tmp_path)
    exposures = ftm_core.open_panel("data", "2022Q3..2023Q1").exposures()
    calls = exposures.dropna(subset=["permno"])[["permno", "earnings_call_date"]].drop_duplicates()
    dates = pd.to_datetime((calls["earnings_call_date"] + pd.Timedelta(days=1)).astype(str))
    returns = pd.DataFrame({"permno": calls["permno"].astype("int64"), "date": dates})
    returns["ret"] = 0.001 * np.arange(1, len(returns) + 1)
    found: dict[str, Any] = {"returns": returns}
    blocks = re.findall(r"^```python\n(.*?)^```$", HOW_TO.read_text(encoding="utf-8"), re.S | re.M)
    exec("\n".join(blocks).replace("2016Q3..2017Q1", "2022Q3..2023Q1"), found)

    assert list(found["largest"]) == ["panel_2022Q3_001", "panel_2022Q3_002"]
    joined = found["joined"]
    assert set(joined["panel_theme_id"]) == {"panel_2022Q3_001"}
    assert len(joined) > 1
    # A day after the call, and of that firm: each call finds the return made for it.
    assert set(joined["ret"]) <= set(returns["ret"])
    assert joined["ret"].is_unique
