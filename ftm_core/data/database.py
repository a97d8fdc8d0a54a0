"""DuckDB over the Parquet files of a quarter, in bounded memory."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from ftm_core.contracts.errors import InputError, StorageError
from ftm_core.storage import Storage
from ftm_core.storage.local import LocalStorage

if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT = "1GB"
_THREADS = 2
_COPY_BYTES = 1 << 20
_NAME = re.compile(r"[a-z_]+")


@dataclass(frozen=True)
class Source:
    """The objects of one table; with no object the table is empty."""

    schema: pa.Schema
    keys: tuple[str, ...]


class QuarterDatabase:
    """Tables of a quarter as DuckDB views, each made when a query first names it.

    Sorts and joins larger than ``memory_limit`` go to a temporary folder. Files of a local folder
    are read in place; objects of a bucket are first copied to that folder.
    """

    def __init__(
        self,
        storage: Storage,
        find: Callable[[str], Source | None],
        *,
        memory_limit: str = MEMORY_LIMIT,
    ) -> None:
        import duckdb

        self._storage = storage
        self._find = find
        self._made: set[str] = set()
        self._folder = Path(tempfile.mkdtemp(prefix="ftm-duckdb-"))
        self._connection: duckdb.DuckDBPyConnection = duckdb.connect(
            config={
                "memory_limit": memory_limit,
                "temp_directory": str(self._folder / "spill"),
                "threads": _THREADS,
                "preserve_insertion_order": True,
                # A query of a user reads the tables of the quarter and leaves the machine alone.
                "autoinstall_known_extensions": False,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection and remove the temporary folder."""
        self._connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def query(
        self, text: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None
    ) -> pa.Table:
        """The rows of one SELECT; raises InputError for a statement that DuckDB refuses."""
        with self._translated(text):
            statements = self._connection.extract_statements(text)
            if [one.type.name for one in statements] != ["SELECT"]:
                raise InputError(
                    f"The query {_short(text)!r}",
                    "is not one SELECT statement",
                    "Write one SELECT; the tables of a quarter cannot be changed.",
                )
            self._make_tables_of(text)
            return self._connection.sql(text, params=parameters).to_arrow_table()

    def create(self, name: str, text: str) -> None:
        """Keep the rows of a statement as a table of this database."""
        with self._translated(text):
            self._make_tables_of(text)
            self._connection.execute(f'CREATE OR REPLACE TABLE "{name}" AS {text}')
        self._made.add(name)

    def add(self, name: str, table: pa.Table) -> None:
        """Add an Arrow table under a name."""
        self._connection.register(f"{name}_arrow", table)
        self._connection.execute(f'CREATE OR REPLACE TABLE "{name}" AS FROM "{name}_arrow"')
        self._connection.unregister(f"{name}_arrow")
        self._made.add(name)

    def _make_tables_of(self, text: str) -> None:
        """Make every table whose name occurs in a statement; one too many does no harm."""
        for word in set(_NAME.findall(text.lower())):
            self._make(word)

    def _make(self, name: str) -> None:
        if name in self._made or (source := self._find(name)) is None:
            return
        if not source.keys:
            self.add(name, source.schema.empty_table())
            return
        files = [self._file(key).replace("'", "''") for key in source.keys]
        listed = ", ".join(f"'{file}'" for file in files)
        self._connection.execute(
            f'CREATE VIEW "{name}" AS FROM read_parquet([{listed}], hive_partitioning = false)'
        )
        self._made.add(name)

    def _file(self, key: str) -> str:
        """A file of this machine that holds the object."""
        if isinstance(self._storage, LocalStorage):
            return self._storage.describe(key)
        target = self._folder / key
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._storage.open_input(key) as source, target.open("wb") as copy:
                while piece := source.read(_COPY_BYTES):
                    copy.write(piece)
        return str(target)

    @contextlib.contextmanager
    def _translated(self, text: str) -> Iterator[None]:
        import duckdb

        try:
            yield
        except duckdb.OutOfMemoryException as error:
            raise StorageError(
                f"The temporary folder {self._folder}",
                f"could not hold the intermediate rows of a query ({error})",
                "Free some space there, or point TMPDIR to a larger disk.",
            ) from error
        except duckdb.Error as error:
            raise InputError(
                f"The query {_short(text)!r}",
                f"was refused by DuckDB ({str(error).strip()})",
                "Correct the query; docs/reference/tables.md lists the tables and their columns.",
            ) from error


def _short(text: str) -> str:
    return " ".join(text.split())[:80]
