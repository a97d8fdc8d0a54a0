"""Themes followed over quarters: which theme of a quarter is which theme of the panel.

A theme of the panel begins with a theme that resembles none before it, and keeps that theme's
number: ``panel_2016Q3_012`` began as ``theme_2016Q3_012``. Which theme belongs to which is kept in
the data location. A quarter that comes later only adds to it, so an ID means the same for ever.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ftm_core.contracts import keys, schemas
from ftm_core.contracts.errors import InputError, ObjectMissingError, StorageRetryableError
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import SAME_THEME
from ftm_core.data.frames import to_frame
from ftm_core.data.quarter_store import QuarterStore
from ftm_core.storage import Storage

if TYPE_CHECKING:
    import pandas as pd

Directions = npt.NDArray[np.float32]

_ATTEMPTS = 10


class Panel:
    """Themes and exposures of many quarters, with one identity of each theme over time."""

    def __init__(self, storage: Storage, quarters: Sequence[Quarter], links: pa.Table) -> None:
        self.storage = storage
        self.quarters = tuple(quarters)
        wanted = {str(quarter) for quarter in quarters}
        chosen = [quarter in wanted for quarter in links["quarter"].to_pylist()]
        self._links = links.filter(pa.array(chosen, pa.bool_()))
        first: dict[str, str] = {}
        for row in links.select(["panel_theme_id", "name"]).to_pylist():
            first.setdefault(row["panel_theme_id"], row["name"])
        self._names = first

    def themes(self) -> pd.DataFrame:
        """One row per theme and quarter: its theme of the panel, names, firms, sentences.

        ``panel_theme_name`` is the name in the first quarter of the theme. ``similarity`` is the
        cosine with the theme of the panel that it continues; missing where it began.
        """
        return to_frame(self.theme_table())

    def exposures(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """One row per theme of the panel and call: how much of the call is about the theme.

        The columns of ``theme_exposures`` with ``panel_theme_id`` and ``panel_theme_name`` before
        them.
        """
        tables = list(self.exposure_tables(columns))
        return to_frame(pa.concat_tables(tables))

    def by_quarter(self) -> pd.DataFrame:
        """One row per theme of the panel and quarter: how much all calls are about the theme.

        ``mean_share`` is the mean over all ``n_calls`` calls of the quarter; a call without a
        sentence in the theme counts as 0. ``n_firms`` have such a sentence. A quarter in which no
        theme continues the theme of the panel has no row: exposure there is unknown, not 0.
        """
        return to_frame(pa.concat_tables(map(self._sums, self.quarters)))

    def _sums(self, quarter: Quarter) -> pa.Table:
        store = QuarterStore(self.storage, quarter)
        n_calls = store.table("firms", ["firm_id"]).num_rows
        columns = ["panel_theme_id", "panel_theme_name", "theme_id", "firm_id", "share"]
        keys_of_group = ["panel_theme_id", "panel_theme_name", "theme_id"]
        exposures = pa.concat_tables(self._exposures_of(quarter, columns))
        sums = exposures.group_by(keys_of_group).aggregate(
            [("share", "sum"), ("firm_id", "count_distinct")]
        )
        return pa.table(
            {
                **{name: sums[name] for name in keys_of_group},
                "quarter": pa.array([str(quarter)] * sums.num_rows, pa.string()),
                "n_calls": pa.array([n_calls] * sums.num_rows, pa.int64()),
                "n_firms": sums["firm_id_count_distinct"],
                "mean_share": pc.divide(sums["share_sum"], float(n_calls)),
            }
        )

    def theme_table(self) -> pa.Table:
        """As ``themes``, in Arrow."""
        tables = []
        for quarter in self.quarters:
            themes = QuarterStore(self.storage, quarter).table("themes")
            ids = self._ids(quarter)
            similarity = dict(
                zip(
                    self._links["theme_id"].to_pylist(),
                    self._links["similarity"].to_pylist(),
                    strict=True,
                )
            )
            found = themes["theme_id"].to_pylist()
            tables.append(
                self._with_identity(themes, ids).append_column(
                    "similarity", pa.array([similarity[item] for item in found], pa.float64())
                )
            )
        return pa.concat_tables(tables)

    def exposure_tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """As ``exposures``, quarter by quarter and in Arrow, for panels larger than memory."""
        for quarter in self.quarters:
            yield from self._exposures_of(quarter, columns)

    def _exposures_of(self, quarter: Quarter, columns: Sequence[str] | None) -> Iterator[pa.Table]:
        ids = self._ids(quarter)
        for part in QuarterStore(self.storage, quarter).stream("theme_exposures"):
            with_identity = self._with_identity(part, ids)
            yield with_identity if columns is None else with_identity.select(list(columns))

    def _ids(self, quarter: Quarter) -> dict[str, str]:
        return {
            row["theme_id"]: row["panel_theme_id"]
            for row in self._links.select(["theme_id", "panel_theme_id", "quarter"]).to_pylist()
            if row["quarter"] == str(quarter)
        }

    def _with_identity(self, table: pa.Table, ids: dict[str, str]) -> pa.Table:
        panel_ids = [ids[theme_id] for theme_id in table["theme_id"].to_pylist()]
        names = [self._names[panel_id] for panel_id in panel_ids]
        plain = table.replace_schema_metadata(None)
        return plain.add_column(0, "panel_theme_id", pa.array(panel_ids, pa.string())).add_column(
            1, "panel_theme_name", pa.array(names, pa.string())
        )


def extend_panel(
    storage: Storage, quarters: Sequence[Quarter], *, rebuild: bool = False, save: bool = True
) -> Panel:
    """The panel of ``quarters``, those that it does not know yet added in the order of time.

    ``rebuild`` starts the panel over: IDs may change. Without ``save`` additions are not kept.
    Raises InputError when a quarter is not finished, or was run again since it was added.
    """
    stores = {quarter: QuarterStore(storage, quarter) for quarter in sorted(set(quarters))}
    for _ in range(_ATTEMPTS):
        data, version = _read(storage)
        links = schemas.PANEL_THEMES.empty_table() if rebuild or data is None else _parse(data)
        extended = links
        for quarter, store in stores.items():
            extended = _with_quarter(extended, quarter, store)
        if extended.num_rows == links.num_rows or not save:
            return Panel(storage, list(stores), extended)
        if _write(storage, extended, version):
            return Panel(storage, list(stores), extended)
    raise StorageRetryableError(
        f"The file {storage.describe(keys.panel_themes())}",
        "was changed by other processes again and again",
        "Run the same command again.",
    )


def cosines(one: Directions, other: Directions) -> Directions:
    """Cosines of shape (len(one), len(other)) of unit vectors, rounded so that no last bit decides.

    Raises InputError for directions of two embedding spaces.
    """
    if not len(one) or not len(other):
        return np.zeros((len(one), len(other)), np.float32)
    if one.shape[1] != other.shape[1]:
        raise InputError(
            f"The themes of {one.shape[1]} and of {other.shape[1]} dimensions",
            "cannot be compared: their quarters were run with different embedding models",
            "Run all quarters with the same EMBEDDING_MODEL_NAME.",
        )
    return np.asarray((one @ other.T).round(5), np.float32)


def match_themes(
    new: Directions, known: Directions, known_ids: Sequence[str], threshold: float
) -> list[tuple[str, float] | None]:
    """For each new direction the ID of the theme it continues with the cosine, or None.

    Both arrays hold unit vectors in rows. Several known directions may share an ID: a theme of the
    panel is met as it was in any quarter. Each ID is continued by one new theme at most, the most
    similar pairs first.
    """
    result: list[tuple[str, float] | None] = [None] * len(new)
    if not len(new) or not len(known):
        return result
    similarity = cosines(new, known)
    rows, columns = np.nonzero(similarity >= threshold)
    order = np.lexsort((columns, rows, -similarity[rows, columns]))
    taken: set[str] = set()
    for place in order:
        row, theme_id = int(rows[place]), known_ids[int(columns[place])]
        if result[row] is None and theme_id not in taken:
            taken.add(theme_id)
            result[row] = (theme_id, float(similarity[row, columns[place]]))
    return result


def _with_quarter(links: pa.Table, quarter: Quarter, store: QuarterStore) -> pa.Table:
    """``links`` with the themes of a quarter, unless they are there."""
    run_id = store.finished.identity.run_id
    present = {
        row["run_id"]
        for row in links.select(["quarter", "run_id"]).to_pylist()
        if row["quarter"] == str(quarter)
    }
    if present == {run_id}:
        return links
    if present:
        raise InputError(
            f"The panel in {store.storage.uri}",
            f"holds the themes of {quarter} as of run {present.pop()}, but the quarter was run "
            f"again as {run_id}",
            "Start the panel over with --rebuild (`open_panel(..., rebuild=True)`): its IDs may "
            "change.",
        )
    names = {row["theme_id"]: row["name"] for row in store.table("themes").to_pylist()}
    directions = store.table("theme_directions", ["theme_id", "direction"])
    theme_ids = directions["theme_id"].to_pylist()
    if not theme_ids:
        return links
    found = match_themes(
        unit_directions(directions["direction"]),
        unit_directions(links["direction"]),
        links["panel_theme_id"].to_pylist(),
        SAME_THEME,
    )
    rows = [
        {
            "panel_theme_id": match[0] if match else theme_id.replace("theme_", "panel_", 1),
            "theme_id": theme_id,
            "quarter": str(quarter),
            "name": names[theme_id],
            "similarity": match[1] if match else None,
            "direction": direction,
            "run_id": run_id,
        }
        for theme_id, match, direction in zip(
            theme_ids, found, directions["direction"].to_pylist(), strict=True
        )
    ]
    return pa.concat_tables([links, pa.Table.from_pylist(rows, schemas.PANEL_THEMES)])


def unit_directions(column: pa.ChunkedArray) -> Directions:
    """The vectors of a column ``direction``, in rows, each of length 1."""
    vectors = column.to_pylist()
    if not vectors:
        return np.zeros((0, 0), np.float32)
    array: Directions = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(array, axis=1, keepdims=True)
    unit: Directions = array / np.maximum(lengths, np.finfo(np.float32).tiny)
    return unit


def _read(storage: Storage) -> tuple[bytes | None, str]:
    try:
        return storage.read_versioned(keys.panel_themes())
    except ObjectMissingError:
        return None, ""


def _parse(data: bytes) -> pa.Table:
    try:
        return pq.read_table(io.BytesIO(data)).cast(schemas.PANEL_THEMES)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(
            f"The file {keys.panel_themes()}",
            f"is not a readable panel ({error})",
            "Restore the file, or start the panel over with --rebuild: its IDs may change.",
        ) from error


def _write(storage: Storage, links: pa.Table, version: str) -> bool:
    """Whether the links were written; False when somebody else was first."""
    buffer: Any = io.BytesIO()
    pq.write_table(links, buffer)
    key = keys.panel_themes()
    if version:
        return storage.replace(key, buffer.getvalue(), version=version)
    return storage.create(key, buffer.getvalue())
