"""Export a finished quarter's tables to CSV, Parquet, JSON Lines or one DuckDB database."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from ftm_core.contracts import schemas
from ftm_core.contracts.errors import InputError, StorageError
from ftm_core.contracts.events import Listener, StageAdvanced, StageFinished, StageStarted
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.catalog import TABLES
from ftm_core.data.finished import open_finished
from ftm_core.data.panel import Panel
from ftm_core.storage import Storage
from ftm_core.storage.files import check_output_folder, storage_error

STAGE = "export"
_COPY_BYTES = 1 << 20


@dataclass(frozen=True)
class ExportedTable:
    """One table, its rows, and the file it is in."""

    table: str
    n_rows: int
    path: str


@dataclass(frozen=True)
class _Source:
    """One table to export: a stream of its row groups."""

    storage: Storage
    name: str
    key: str
    schema: pa.Schema

    def row_groups(self) -> Iterator[pa.Table]:
        """The rows, a bounded piece at a time; raises InputError for another schema version."""
        where = self.storage.describe(self.key)
        with self.storage.open_input(self.key) as opened:
            file = pq.ParquetFile(opened)
            schemas.metadata_of(file.schema_arrow, where=where)
            schemas.check_columns(file.schema_arrow.empty_table(), self.schema, where=where)
            for number in range(file.num_row_groups):
                yield file.read_row_group(number).cast(self.schema)

    def copy_to(self, target: Path) -> int:
        """Copy the file as it is; returns the rows."""
        with self.storage.open_input(self.key) as opened, target.open("wb") as copy:
            while piece := opened.read(_COPY_BYTES):
                copy.write(piece)
        return int(pq.ParquetFile(target).metadata.num_rows)


class _PanelTable:
    """One table of a panel to export: a stream of its quarters."""

    def __init__(self, name: str, tables: Callable[[], Iterator[pa.Table]]) -> None:
        self.name = name
        self._tables = tables
        self.schema = next(tables()).schema

    def row_groups(self) -> Iterator[pa.Table]:
        """The rows, a bounded piece at a time."""
        return self._tables()

    def copy_to(self, target: Path) -> int:
        """Write the rows as Parquet; returns how many there are."""
        n_rows = 0
        with pq.ParquetWriter(target, self.schema) as writer:
            for table in self.row_groups():
                writer.write_table(table)
                n_rows += table.num_rows
        return n_rows


def export_panel(panel: Panel, kind: str, folder: Path, listener: Listener) -> list[ExportedTable]:
    """Write ``panel_themes`` and ``panel_exposures`` into ``folder``, as ``export_quarter`` does.

    Raises InputError for an unknown format, StorageError when the folder cannot be written.
    """
    sources = [
        _PanelTable("panel_themes", lambda: iter([panel.theme_table()])),
        _PanelTable("panel_exposures", panel.exposure_tables),
    ]
    return _export(sources, kind, "panel", folder, listener)


def export_quarter(
    storage: Storage, quarter: Quarter, kind: str, folder: Path, listener: Listener
) -> list[ExportedTable]:
    """Write all tables of a finished quarter into ``folder``, as ``kind`` (one of FORMATS).

    Files of an earlier export are replaced, each whole or not at all. In CSV, lists and
    sentences are JSON within the cell. Raises InputError for an unknown format or an unfinished
    quarter, StorageError when the folder cannot be written.
    """
    open_finished(storage, quarter)
    return _export(_sources(storage, quarter), kind, str(quarter), folder, listener)


def _export(
    sources: Sequence[_Exported], kind: str, name: str, folder: Path, listener: Listener
) -> list[ExportedTable]:
    if kind not in FORMATS:
        raise InputError(f"The format {kind}", "is not known", f"Use one of {', '.join(FORMATS)}.")
    check_output_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        cause = f"cannot be made ({error.strerror})"
        raise InputError(
            f"The folder {folder}", cause, "Choose a folder that can be written."
        ) from error
    listener(StageStarted(STAGE, len(sources), "tables"))
    started = time.monotonic()
    try:
        exported = FORMATS[kind](sources, folder, name, listener)
    except OSError as error:
        raise storage_error(error, f"The folder {folder}") from error
    listener(StageFinished(STAGE, time.monotonic() - started))
    return exported


def _sources(storage: Storage, quarter: Quarter) -> list[_Source]:
    return [_Source(storage, spec.name, spec.key(quarter), spec.schema) for spec in TABLES.values()]


_Exported = _Source | _PanelTable
_Write = Callable[[_Exported, Path], int]


def _file_a_table(suffix: str, write: _Write) -> Callable[..., list[ExportedTable]]:
    def export(
        sources: Sequence[_Exported], folder: Path, name: str, listener: Listener
    ) -> list[ExportedTable]:
        exported = []
        for source in sources:
            path = folder / f"{source.name}.{suffix}"
            with _replaced(path) as temporary:
                n_rows = write(source, temporary)
            exported.append(ExportedTable(source.name, n_rows, str(path)))
            listener(StageAdvanced(STAGE))
        return exported

    return export


def _write_csv(source: _Exported, path: Path) -> int:
    plain = pa.schema(
        [
            pa.field(field.name, pa.string() if pa.types.is_nested(field.type) else field.type)
            for field in source.schema
        ]
    )
    n_rows = 0
    with pa_csv.CSVWriter(path, plain) as writer:
        for table in source.row_groups():
            writer.write_table(_without_nesting(table, plain))
            n_rows += table.num_rows
    return n_rows


def _without_nesting(table: pa.Table, plain: pa.Schema) -> pa.Table:
    """Lists and structs as JSON text."""
    columns = [
        pa.array([_json(value) for value in table[field.name].to_pylist()], pa.string())
        if pa.types.is_nested(table.schema.field(field.name).type)
        else table[field.name]
        for field in plain
    ]
    return pa.Table.from_arrays(columns, schema=plain)


def _write_jsonl(source: _Exported, path: Path) -> int:
    n_rows = 0
    with path.open("w", encoding="utf-8") as file:
        for table in source.row_groups():
            for row in table.to_pylist():
                _write_line(file, row)
                n_rows += 1
    return n_rows


def _write_line(file: IO[str], row: dict[str, Any]) -> None:
    file.write(_json(row) + "\n")


def _json(value: Any) -> str:
    """JSON with dates and times in ISO 8601."""
    return json.dumps(value, ensure_ascii=False, default=lambda day: day.isoformat())


def _write_duckdb(
    sources: Sequence[_Exported], folder: Path, name: str, listener: Listener
) -> list[ExportedTable]:
    """One database with a table each; an earlier database is replaced as a whole."""
    import duckdb

    path = folder / f"ftm_{name}.duckdb"
    counts = []
    with _replaced(path) as temporary, _duckdb_errors(path):
        with duckdb.connect(str(temporary)) as database:
            for source in sources:
                batches = (batch for table in source.row_groups() for batch in table.to_batches())
                reader = pa.RecordBatchReader.from_batches(source.schema, batches)
                database.register("incoming", reader)
                created = f'CREATE TABLE "{source.name}" AS SELECT * FROM incoming'
                # DuckDB answers the creation of a table with the number of its rows.
                counts.append(int(database.execute(created).fetchall()[0][0]))
                database.unregister("incoming")
                listener(StageAdvanced(STAGE))
        # The log of changes to the database that is replaced; DuckDB would apply it to the new one.
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
    return [
        ExportedTable(source.name, n_rows, str(path))
        for source, n_rows in zip(sources, counts, strict=True)
    ]


@contextlib.contextmanager
def _duckdb_errors(path: Path) -> Iterator[None]:
    """Turn an error of DuckDB into a StorageError about ``path``."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        message = str(error)
        if "No space left" in message or "not enough free disk space" in message.lower():
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise storage_error(full, f"The file {path}") from error
        raise StorageError(
            f"The file {path}",
            f"could not be written by DuckDB ({message})",
            "Free memory and disk space, or choose another format with --format.",
        ) from error


@contextlib.contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """A place beside ``path``, moved onto it when the block ends cleanly."""
    with tempfile.TemporaryDirectory(prefix=".ftm-", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        yield temporary
        temporary.replace(path)


FORMATS: dict[str, Callable[..., list[ExportedTable]]] = {
    "csv": _file_a_table("csv", _write_csv),
    "parquet": _file_a_table("parquet", lambda source, path: source.copy_to(path)),
    "jsonl": _file_a_table("jsonl", _write_jsonl),
    "duckdb": _write_duckdb,
}
