"""Read and write the typed JSON records of a quarter."""

from __future__ import annotations

from typing import TypeVar

from ftm_core.contracts.errors import ObjectMissingError
from ftm_core.contracts.records import from_json, list_from_json, to_json
from ftm_core.storage import Storage

_Record = TypeVar("_Record")


def read_record(storage: Storage, key: str, kind: type[_Record]) -> _Record | None:
    """The record under ``key``, or None when there is none.

    Raises InputError naming the file when it is damaged, cut short or of another version.
    """
    try:
        return from_json(kind, storage.read(key), where=storage.describe(key))
    except ObjectMissingError:
        return None


def read_records(storage: Storage, key: str, kind: type[_Record]) -> list[_Record] | None:
    """The array of records under ``key``, or None when there is none; raises as read_record."""
    try:
        return list_from_json(kind, storage.read(key), where=storage.describe(key))
    except ObjectMissingError:
        return None


def write_record(storage: Storage, key: str, record: object) -> None:
    """Write one record, or a list of them, whole or not at all."""
    storage.write(key, to_json(record))
