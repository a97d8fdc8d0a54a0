"""A full disk: a clear error, nothing torn, nothing lost, and work again once there is space."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ftm_core.contracts import schemas
from ftm_core.contracts.errors import StorageError
from ftm_core.storage import Storage, tables
from ftm_core.storage.local import LocalStorage
from tests.fakes.small_disk import mounted

if TYPE_CHECKING:
    from tests.fakes.s3_emulator import S3Emulator

MEBIBYTE = 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    with mounted(tmp_path / "disk", "1m") as folder:
        yield folder


def test_a_full_disk_is_named_and_earlier_objects_stay(small_disk: Path) -> None:
    store = LocalStorage(small_disk)
    store.write("early", b"e" * 300_000)
    attempts = (
        lambda: store.write("big", b"x" * 2 * MEBIBYTE),
        lambda: store.write("early", b"x" * 2 * MEBIBYTE),
        lambda: store.create("new", b"x" * 2 * MEBIBYTE),
        lambda: store.replace(
            "early", b"x" * 2 * MEBIBYTE, version=store.read_versioned("early")[1]
        ),
    )
    for attempt in attempts:
        with pytest.raises(StorageError, match="disk is full") as caught:
            attempt()
        assert "Free some space" in caught.value.hint
        assert str(small_disk) in caught.value.where

    assert list(store.list("")) == ["early"]
    assert store.read("early") == b"e" * 300_000
    # The halves were removed: what fits now fits.
    store.write("small", b"s" * 500_000)
    store.delete("early")
    store.write("later", b"l" * 400_000)
    assert list(store.list("")) == ["later", "small"]


def test_a_table_that_does_not_fit_leaves_the_earlier_one(small_disk: Path) -> None:
    store = LocalStorage(small_disk)
    row = {"theme_id": "t", "name": "n", "description": "d", "keywords": [], "n_topics": 1,
           "n_firms": 2, "n_sentences": 4, "label": "l", "kind": "subject", "group_id": 0,
           "group_name": "g", "quarter": "2023Q1"}  # fmt: skip
    small = schemas.table_from_rows([row], schemas.THEMES, run_id="r", where="t")
    large = schemas.table_from_rows(
        [{**row, "name": os.urandom(1000).hex()} for _ in range(2000)],
        schemas.THEMES, run_id="r", where="t",
    )  # fmt: skip
    tables.write_table(store, "t", small)

    with pytest.raises(StorageError, match="disk is full"):
        tables.write_table(store, "t", large)
    with pytest.raises(StorageError, match="disk is full"):
        tables.write_batches(store, "t", schemas.THEMES, [large], run_id="r")

    assert tables.read_table(store, "t", schemas.THEMES).equals(small)


def test_a_full_temporary_folder_uploads_nothing(
    small_disk: Path, s3_server: S3Emulator, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    store = s3_server.storage(bucket)
    with pytest.raises(StorageError, match=r"temporary file for s3://.*disk is full"):
        write_two_mebibytes(store)

    assert list(store.list("")) == []
    monkeypatch.setattr(tempfile, "tempdir", None)
    write_two_mebibytes(store)
    assert store.size("big") == 2 * MEBIBYTE


def write_two_mebibytes(store: Storage) -> None:
    with store.open_output("big") as file:
        file.write(b"x" * 2 * MEBIBYTE)
