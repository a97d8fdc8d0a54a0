"""What is particular to a local folder: system errors explained, leftovers swept, URIs opened."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftm_core.contracts.errors import InputError, StorageError
from ftm_core.storage import open_storage
from ftm_core.storage.local import LocalStorage

DAY = 24 * 3600

OPERATIONS: dict[str, Callable[[LocalStorage, str], Any]] = {
    "exists": lambda store, key: store.exists(key),
    "size": lambda store, key: store.size(key),
    "modified": lambda store, key: store.modified(key),
    "read": lambda store, key: store.read(key),
    "open_input": lambda store, key: store.open_input(key).__enter__(),
    "open_output": lambda store, key: store.open_output(key).__enter__(),
    "write": lambda store, key: store.write(key, b""),
    "create": lambda store, key: store.create(key, b""),
    "replace": lambda store, key: store.replace(key, b"", version="v"),
    "delete": lambda store, key: store.delete(key),
}


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_no_system_error_leaks(name: str, tmp_path: Path) -> None:
    store = LocalStorage(tmp_path)
    (tmp_path / "folder").mkdir()
    # File systems hold names of 255 bytes; a writer meets the limit only when it renames.
    key = "folder/" + "k" * 300
    if name in {"open_output", "write"}:
        with pytest.raises(StorageError), store.open_output(key) as file:
            file.write(b"x")
        assert list(store.list("")) == []
        return
    with pytest.raises(StorageError) as caught:
        OPERATIONS[name](store, key)
    assert key in caught.value.where
    assert caught.value.hint


@pytest.mark.parametrize("name", ["open_output", "write", "create"])
def test_a_data_folder_that_is_a_file_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    store = LocalStorage(tmp_path / "data")

    with pytest.raises(StorageError, match="data"):
        OPERATIONS[name](store, "key")
    assert (tmp_path / "data").read_text() == "a file"


def test_missing_folder_lists_as_empty_and_is_not_created(tmp_path: Path) -> None:
    store = LocalStorage(tmp_path / "data")

    assert list(store.list("")) == []
    assert not store.exists("a")
    assert not (tmp_path / "data").exists()


def test_files_of_killed_writers_are_hidden_and_swept_in_a_day(tmp_path: Path) -> None:
    LocalStorage(tmp_path).write("folder/a", b"x")
    for name, age in (("old", DAY + 60), ("young", 60)):
        leftover = tmp_path / "folder" / f".ftm-{name}.unfinished"
        leftover.write_bytes(b"half")
        os.utime(leftover, (time.time() - age, time.time() - age))

    store = LocalStorage(tmp_path)
    assert list(store.list("")) == ["folder/a"]
    store.write("folder/b", b"y")

    names = {path.name for path in (tmp_path / "folder").iterdir()}
    assert names == {"a", "b", ".ftm-young.unfinished"}


def test_files_can_be_read_by_others(tmp_path: Path) -> None:
    store = LocalStorage(tmp_path)
    store.write("a", b"")
    store.create("b", b"")

    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o644}


@pytest.mark.parametrize("uri", ["folder", "./folder", "file://{}/folder", "{}/folder"])
def test_a_folder_is_opened_by_path_or_uri(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert open_storage(uri.format(tmp_path)).uri == str(tmp_path / "folder")


@pytest.mark.parametrize(
    "uri", ["", "s3://", "s3:///x", "s3://bucket", "gs://bucket", "http://a/b"]
)
def test_a_uri_that_cannot_be_opened_is_refused(uri: str) -> None:
    with pytest.raises(InputError) as caught:
        open_storage(uri)
    assert caught.value.hint
