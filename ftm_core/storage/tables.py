"""Parquet tables in storage: written stamped, read with their version checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from ftm_core.contracts import schemas
from ftm_core.contracts.errors import InputError
from ftm_core.storage.base import Storage

COMPRESSION = "zstd"
# Damaged bytes may still decode to values, so each page carries a checksum, and readers check it.
_CHECKED = {"compression": COMPRESSION, "write_page_checksum": True}


def write_table(storage: Storage, key: str, table: pa.Table) -> None:
    """Write a stamped table as one Parquet object."""
    with storage.open_output(key) as file:
        pq.write_table(table, file, **_CHECKED)


def write_batches(
    storage: Storage, key: str, schema: pa.Schema, tables: Iterable[pa.Table], *, run_id: str
) -> int:
    """Stream many tables of one schema into one object, a row group each; returns the rows."""
    stamped = schema.with_metadata(
        {schemas.VERSION_KEY: schemas.SCHEMA_VERSION.encode(), schemas.RUN_KEY: run_id.encode()}
    )
    rows = 0
    with (
        storage.open_output(key) as file,
        pq.ParquetWriter(file, stamped, **_CHECKED) as writer,
    ):
        for table in tables:
            checked = schemas.stamp(table, schema, run_id=run_id, where=storage.describe(key))
            writer.write_table(checked)
            rows += checked.num_rows
    return rows


def read_table(
    storage: Storage,
    key: str,
    schema: pa.Schema,
    *,
    columns: Sequence[str] | None = None,
    run_id: str | None = None,
) -> pa.Table:
    """Read a table (or just ``columns`` of it) after checking its schema, version and run.

    Raises InputError naming the object when it is not a Parquet file, lacks a column, is of
    another schema version, or, where ``run_id`` is given, was written by another run.
    """
    with _parquet(storage, key) as file:
        _check(file, schema, storage.describe(key), run_id)
        return file.read(columns=list(columns) if columns is not None else None)


def stream_table(
    storage: Storage,
    key: str,
    schema: pa.Schema,
    *,
    columns: Sequence[str] | None = None,
    run_id: str | None = None,
) -> Iterator[pa.Table]:
    """As ``read_table``, row group by row group."""
    with _parquet(storage, key) as file:
        _check(file, schema, storage.describe(key), run_id)
        for number in range(file.num_row_groups):
            yield file.read_row_group(
                number, columns=list(columns) if columns is not None else None
            )


def _check(file: pq.ParquetFile, schema: pa.Schema, where: str, run_id: str | None) -> None:
    metadata = schemas.metadata_of(file.schema_arrow, where=where)
    if run_id is not None and metadata.run_id != run_id:
        raise InputError(
            f"The table {where}",
            f"was written by run {metadata.run_id}, not by {run_id}",
            "It is stale: run the quarter again.",
        )
    schemas.check_columns(file.schema_arrow.empty_table(), schema, where=where)


def read_run_id(storage: Storage, key: str) -> str:
    """The run that wrote a table; raises InputError when the table is not one of ours."""
    with _parquet(storage, key) as file:
        return schemas.metadata_of(file.schema_arrow, where=storage.describe(key)).run_id


@contextmanager
def _parquet(storage: Storage, key: str) -> Iterator[pq.ParquetFile]:
    """Open a Parquet object, turning a damaged file into an InputError that names it."""
    with storage.open_input(key) as source:
        try:
            yield pq.ParquetFile(source, page_checksum_verification=True, pre_buffer=True)
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"The table {storage.describe(key)}",
                f"is not a readable Parquet file ({error})",
                "Restore it, or produce it again.",
            ) from error


def iterate_tables(
    storage: Storage,
    keys: Iterable[str],
    schema: pa.Schema,
    *,
    columns: Sequence[str] | None = None,
    run_id: str | None = None,
) -> Iterator[pa.Table]:
    """Read tables (or just ``columns`` of them) one at a time, in the order of ``keys``."""
    for key in keys:
        yield read_table(storage, key, schema, columns=columns, run_id=run_id)
