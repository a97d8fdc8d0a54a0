"""Read the tables under check: what is missing, damaged or stale is a finding, not an error."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from ftm_core.contracts import schemas
from ftm_core.contracts.errors import FtmError, InputError, ObjectMissingError
from ftm_core.evaluation.report import Check, Tally
from ftm_core.storage import Storage


class CheckedReader:
    """Reads tables of one run, keeping account of files and runs; a bad file gives no rows."""

    def __init__(self, storage: Storage, run_id: str) -> None:
        self._storage = storage
        self._run_id = run_id
        self._files = Tally(
            "table-files", "files", "Every table is there, whole and of this schema version",
            "files",
        )  # fmt: skip
        self._runs = Tally("run-ids", "files", "Every table was written by this run", "files")

    def read(self, key: str, schema: pa.Schema) -> pa.Table:
        """The whole table; empty where it is missing or unreadable."""
        return pa.concat_tables([schema.empty_table(), *self.stream(key, schema)])

    def stream(self, key: str, schema: pa.Schema) -> Iterator[pa.Table]:
        """The table's row groups one by one."""
        where = self._storage.describe(key)
        try:
            with self._storage.open_input(key) as source:
                file = pq.ParquetFile(source)
                metadata = schemas.metadata_of(file.schema_arrow, where=where)
                schemas.check_columns(file.schema_arrow.empty_table(), schema, where=where)
                for number in range(file.num_row_groups):
                    yield file.read_row_group(number).cast(schema)
        except (InputError, ObjectMissingError) as error:
            self._files.see(False, f"{key}: {error.cause}")
        except (pa.ArrowInvalid, OSError) as error:
            self._files.see(False, f"{key}: is not a readable Parquet file ({error})")
        else:
            self._files.see(True)
            self._runs.see(metadata.run_id == self._run_id, f"{key}: is of run {metadata.run_id}")

    def checks(self) -> list[Check]:
        """The checks of files and runs, once all tables are read."""
        return [self._files.check(), self._runs.check()]


def reason(error: FtmError) -> str:
    """An error as the detail of a check."""
    return f"{error.where}: {error.cause}"
