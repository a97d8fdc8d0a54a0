"""Whether a data folder or bucket keeps what runs rely on, tried out before the work begins."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from ftm_core.contracts.errors import InputError, ObjectMissingError, StorageError
from ftm_core.storage.base import TEMPORARY_PREFIX, Storage
from ftm_core.storage.files import check_output_folder, translated
from ftm_core.storage.local import LocalStorage

_FOLDER = "progress/ftm-probe"


def probe(storage: Storage) -> None:
    """Create, refuse to create twice, replace, read back, list and delete one small object.

    Nothing is left behind. Raises InputError naming the operation that failed, where another place
    must be chosen; errors that may pass (throttling, an outage) are raised as they are.
    """
    try:
        with _place(storage) as place:
            _try_out(place, f"{_FOLDER}/{uuid.uuid4().hex}", storage.uri)
    except StorageError as error:
        if error.exit_code != StorageError.exit_code:
            raise
        cause = f"cannot hold a quarter. {error.sentence.removesuffix('.')}"
        raise InputError(f"The data location {storage.uri}", cause, error.hint) from error


@contextlib.contextmanager
def _place(storage: Storage) -> Iterator[Storage]:
    """The bucket itself, or a folder of its own within the data folder (or where it will be)."""
    if not isinstance(storage, LocalStorage):
        yield storage
        return
    root = Path(storage.uri)
    check_output_folder(root)
    there = next(part for part in (root, *root.parents) if part.exists())
    with translated(f"The folder {there}"):
        folder = tempfile.mkdtemp(prefix=f"{TEMPORARY_PREFIX}probe-", dir=there)
    try:
        yield LocalStorage(Path(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _try_out(storage: Storage, key: str, uri: str) -> None:
    def expect(holds: bool, what: str) -> None:
        if not holds:
            raise InputError(
                f"The data location {uri}",
                f"fails at {what}, which a run relies on",
                "Choose another folder or bucket with --data.",
            )

    try:
        expect(storage.create(key, b"1"), "creating a file")
        expect(not storage.create(key, b"2"), "refusing to create a file twice")
        data, version = storage.read_versioned(key)
        expect(data == b"1", "reading back what was written")
        expect(
            not storage.replace(key, b"3", version="another"), "replacing only what is unchanged"
        )
        expect(storage.replace(key, b"4", version=version), "replacing a file")
        expect(storage.read(key) == b"4", "reading back what was replaced")
        expect(key in list(storage.list(f"{_FOLDER}/")), "listing a folder")
    finally:
        with contextlib.suppress(ObjectMissingError):
            storage.delete(key)
