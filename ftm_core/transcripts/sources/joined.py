"""Several tables of one database joined into one source: turns, calls, persons."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ftm_core.contracts.errors import InputError, StorageError
from ftm_core.transcripts.layouts import plain_name
from ftm_core.transcripts.sources.base import Damage, Record, Row, Source
from ftm_core.transcripts.staging import open_database, temporary_disk

# Ids that say which rows of two tables belong together, the narrowest first.
_KEYS = (
    "transcriptcomponentid",
    "transcriptid",
    "keydevid",
    "companyid",
    "gvkey",
    "symbol",
    "ticker",
)
# One row of the turns has one person; a transcript may belong to several companies.
_PER_TURN = "transcriptcomponentid"
_FILE, _NUMBER = "ftm file", "ftm number"
_ROWS_AT_ONCE = 2000


class JoinedSource:
    """Every row of ``main``, with the columns of the other tables where they have its ids.

    A row that another table has nothing for keeps those columns empty. Where a table has several
    persons for a turn, the first by its row is taken. The join runs on disk, within the memory
    limit.
    """

    unit = "rows"

    def __init__(
        self, main: Source, others: Sequence[tuple[str, Source]], workplace: Path, memory_limit: str
    ) -> None:
        self._main = main
        self._others = others
        self._workplace = workplace
        self._memory_limit = memory_limit
        self._done = 0
        self.size = 0
        self._keys = [_shared_keys(main, other, name) for name, other in others]
        taken = {plain_name(column): column for column in main.columns}
        self._added: list[list[str]] = []
        for _, other in others:
            new = [column for column in other.columns if plain_name(column) not in taken]
            taken |= {plain_name(column): column for column in new}
            self._added.append(new)
        self.columns = (*main.columns, *(column for new in self._added for column in new))

    @property
    def form(self) -> str:
        """The form of the main table and the tables joined to it."""
        joined = " and ".join(
            f"{name} by {', '.join(keys)}"
            for (name, _), keys in zip(self._others, self._keys, strict=True)
        )
        return f"{self._main.form}, joined with {joined}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of all tables."""
        tables = (self._main, *(other for _, other in self._others))
        return tuple(warning for table in tables for warning in table.warnings)

    @property
    def read_so_far(self) -> int:
        """Rows read."""
        return self._done

    def checksum(self) -> str:
        """SHA-256 over the checksums of all tables."""
        digest = hashlib.sha256(self._main.checksum().encode())
        for name, other in self._others:
            digest.update(f"\n{name}\n{other.checksum()}".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def rows(self, wanted: tuple[str, ...]) -> Iterator[Record]:
        """Yield every joined row, with file and number of the main table's."""
        import duckdb

        place = self._workplace / "joined"
        place.mkdir(exist_ok=True)
        from_main = tuple(column for column in wanted if column in self._main.columns)
        keys = dict.fromkeys(key for shared in self._keys for key in shared)
        names = {plain_name(column): column for column in self._main.columns}
        main_columns = tuple(dict.fromkeys([*from_main, *(names[key] for key in keys)]))
        yield from _stage(self._main, main_columns, place / "main.parquet")
        selected = [f'main."{_FILE}"', f'main."{_NUMBER}"', *(f"main.{_q(c)}" for c in from_main)]
        joins = []
        for number, ((_, other), shared, added) in enumerate(
            zip(self._others, self._keys, self._added, strict=True)
        ):
            theirs = {plain_name(column): column for column in other.columns}
            needed = [column for column in added if column in wanted]
            stored = tuple(dict.fromkeys([*(theirs[key] for key in shared), *needed]))
            rows = place / f"other-{number}.parquet"
            yield from _stage(other, stored, rows)
            selected += [f"o{number}.{_q(column)}" for column in needed]
            condition = " AND ".join(
                f"main.{_q(names[key])} = o{number}.{_q(theirs[key])}" for key in shared
            )
            joins.append(
                f"LEFT JOIN ({_rows_of(rows, stored, shared, theirs)}) o{number} ON {condition}"
            )
        target = place / "joined.parquet"
        try:
            with open_database(place, self._memory_limit) as connection:
                connection.execute(
                    f"COPY (SELECT {', '.join(selected)} FROM "
                    f"read_parquet('{_escaped(place / 'main.parquet')}') main {' '.join(joins)}) "
                    f"TO '{_escaped(target)}' (FORMAT parquet, COMPRESSION lz4_raw, ROW_GROUP_SIZE "
                    f"{_ROWS_AT_ONCE})"
                )
        except duckdb.Error as error:
            raise StorageError(
                f"The folder {place}",
                f"could not hold the joined tables ({error})",
                "Give more memory with --memory-limit, or set TMPDIR to a larger disk.",
            ) from error
        yield from self._joined(target)

    def _joined(self, target: Path) -> Iterator[Row]:
        with pq.ParquetFile(target, pre_buffer=False) as file:
            self.size = int(file.metadata.num_rows)
            names = [name for name in file.schema_arrow.names if name not in (_FILE, _NUMBER)]
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
                columns = [batch.column(name).to_pylist() for name in names]
                places = zip(
                    batch.column(_FILE).to_pylist(), batch.column(_NUMBER).to_pylist(), strict=True
                )
                for (file_name, number), cells in zip(
                    places, zip(*columns, strict=True), strict=True
                ):
                    self._done += 1
                    yield Row(file_name, number, dict(zip(names, cells, strict=True)))


def _shared_keys(main: Source, other: Source, name: str) -> list[str]:
    """By which columns two tables belong together; raises InputError when there are none."""
    ours = {plain_name(column) for column in main.columns}
    theirs = {plain_name(column) for column in other.columns}
    shared = [key for key in _KEYS if key in ours & theirs]
    if not shared:
        raise InputError(
            f"The table {name}",
            "has no id in common with the table of turns, such as transcriptid or "
            f"transcriptcomponentid; its columns are {', '.join(other.columns[:20])}",
            "Add the column to one of the tables.",
        )
    # A component id needs the transcript's beside it; any other id stands alone.
    return [key for key in shared if key in _KEYS[:2]] if shared[0] == _PER_TURN else shared[:1]


def _rows_of(
    path: Path, stored: Sequence[str], shared: Sequence[str], theirs: dict[str, str]
) -> str:
    """SQL for the rows of a table: one for each turn, or each that differs for wider ids."""
    columns = ", ".join(_q(column) for column in stored)
    source = f"read_parquet('{_escaped(path)}')"
    if shared[0] != _PER_TURN:
        return f"SELECT DISTINCT {columns} FROM {source}"
    by = ", ".join(_q(theirs[key]) for key in shared)
    return (
        f"SELECT {columns} FROM {source} "
        f'QUALIFY row_number() OVER (PARTITION BY {by} ORDER BY "{_FILE}", "{_NUMBER}") = 1'
    )


def _stage(source: Source, columns: tuple[str, ...], path: Path) -> Iterator[Damage]:
    """Write a table's columns as text; yields the rows that cannot be taken apart."""
    schema = pa.schema(
        [(_FILE, pa.string()), (_NUMBER, pa.int64()), *((name, pa.string()) for name in columns)]
    )
    pending: list[list[Any]] = []
    with temporary_disk(path.parent), pq.ParquetWriter(path, schema, compression="lz4") as writer:

        def flush() -> None:
            if pending:
                arrays = [
                    pa.array(c, t.type)
                    for c, t in zip(zip(*pending, strict=True), schema, strict=True)
                ]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
                pending.clear()

        for row in source.rows(columns):
            if isinstance(row, Damage):
                yield row
            elif isinstance(row, Row):
                pending.append(
                    [row.file, row.number, *(_as_text(row.values.get(name)) for name in columns)]
                )
            if len(pending) >= _ROWS_AT_ONCE:
                flush()
        flush()


def _as_text(value: Any) -> str | None:
    """A value as the text that a CSV file would have; whole numbers without ``.0``."""
    if value is None or value == "":
        return None
    if isinstance(value, float | Decimal):
        if math.isnan(value):
            return None
        return str(int(value)) if value == int(value) else str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
    text = str(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _q(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _escaped(path: Path) -> str:
    return str(path).replace("'", "''")
