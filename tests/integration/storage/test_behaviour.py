"""What every storage promises, run against a local folder and an S3 server alike."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ftm_core.contracts import schemas
from ftm_core.contracts.errors import InputError, ObjectMissingError
from ftm_core.storage import Storage, tables
from tests.integration.storage.conftest import Place

BAD_KEYS = [
    "", "/", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a\0b", "a\nb", "a\\b",
    ".ftm-a", "a/.ftm-b",
]  # fmt: skip


def test_what_is_written_is_read_back(store: Storage) -> None:
    store.write("a/b.json", b"one")

    assert store.read("a/b.json") == b"one"
    assert store.size("a/b.json") == 3
    assert store.exists("a/b.json")


def test_a_second_write_overwrites(store: Storage) -> None:
    store.write("a", b"a long first one")
    store.write("a", b"two")

    assert store.read("a") == b"two"
    assert store.size("a") == 3


def test_an_empty_object_is_an_object(store: Storage) -> None:
    store.write("empty", b"")

    assert store.exists("empty")
    assert store.read("empty") == b""
    with store.open_input("empty") as file:
        assert file.read() == b""


def test_a_missing_object_is_named(store: Storage) -> None:
    store.write("folder/present", b"x")
    for key in ("missing", "folder", "folder/pres", "folder/present/below"):
        assert not store.exists(key)
        for attempt in (store.read, store.read_versioned, store.size, opened(store)):
            with pytest.raises(ObjectMissingError) as caught:
                attempt(key)
            assert caught.value.where == f"The file {store.describe(key)}"


def opened(store: Storage) -> Any:
    def attempt(key: str) -> None:
        with store.open_input(key):
            pass

    return attempt


def test_an_object_is_described_by_its_full_place(store: Storage) -> None:
    assert store.describe("a/b") == f"{store.uri}/a/b"


def test_deleting_removes_and_may_be_repeated(store: Storage) -> None:
    store.write("folder/a", b"x")
    for key in ("folder/a", "folder/a", "folder", "never", "never/there"):
        store.delete(key)

    assert not store.exists("folder/a")
    assert list(store.list("")) == []


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_that_is_no_plain_path_is_refused(store: Storage, key: str) -> None:
    attempts: list[Any] = [
        store.read, store.size, store.exists, store.delete, store.describe, opened(store),
        lambda k: store.write(k, b""), lambda k: store.create(k, b""),
        lambda k: store.replace(k, b"", version="v"), lambda k: store.open_output(k).__enter__(),
    ]  # fmt: skip
    for attempt in attempts:
        with pytest.raises(InputError, match="not a plain relative path"):
            attempt(key)


def test_listing_is_by_prefix_and_in_order(store: Storage) -> None:
    keys = ["b/2", "b/10", "b/1", "ba/1", "a", "b-1", "b/sub/1", "c/é", "c/z"]
    for key in keys:
        store.write(key, b"x")

    assert list(store.list("")) == sorted(keys)
    assert list(store.list("b/")) == ["b/1", "b/10", "b/2", "b/sub/1"]
    assert list(store.list("b/1")) == ["b/1", "b/10"]
    assert list(store.list("b")) == ["b-1", "b/1", "b/10", "b/2", "b/sub/1", "ba/1"]
    assert list(store.list("nothing/here")) == []


def test_modified_is_the_time_of_the_last_write(store: Storage) -> None:
    # S3 gives whole seconds.
    before = dt.datetime.now(dt.UTC).replace(microsecond=0)
    store.write("a/b", b"x")
    assert before <= store.modified("a/b") <= dt.datetime.now(dt.UTC)
    with pytest.raises(ObjectMissingError):
        store.modified("a")


def test_listing_goes_past_a_thousand_keys(place: Place) -> None:
    keys = [f"many/{number:05d}" for number in range(2500)]
    place.fill(reversed(keys))
    place.storage.write("manz", b"")

    assert list(place.storage.list("many/")) == keys


def test_an_object_appears_when_the_block_ends(store: Storage) -> None:
    with store.open_output("a/b") as file:
        file.write(b"one, ")
        file.flush()
        assert not store.exists("a/b")
        assert list(store.list("")) == []
        file.write(b"two")

    assert store.read("a/b") == b"one, two"


def test_nothing_appears_when_the_block_raises(store: Storage) -> None:
    store.write("old", b"old")
    for key in ("old", "new"):
        with pytest.raises(ZeroDivisionError), store.open_output(key) as file:
            file.write(b"half" + bytes([1 // 0]))

    assert store.read("old") == b"old"
    assert list(store.list("")) == ["old"]


def test_an_error_of_the_block_stays_what_it_is(store: Storage) -> None:
    # An OSError of the code that fills the file is no fault of the store.
    with pytest.raises(ConnectionRefusedError), store.open_output("a"):
        raise ConnectionRefusedError
    store.write("a", b"x")
    with pytest.raises(ConnectionRefusedError), store.open_input("a"):
        raise ConnectionRefusedError


def test_a_large_object_arrives_whole(store: Storage) -> None:
    block = bytes(range(256)) * 4096
    with store.open_output("large") as file:
        for _ in range(40):
            file.write(block)

    assert store.size("large") == 40 * len(block)
    assert store.read("large") == block * 40
    with store.open_input("large") as source:
        source.seek(17 * len(block) + 1)
        assert source.read(4) == b"\1\2\3\4"
        assert source.size() == 40 * len(block)


def test_create_writes_only_where_nothing_is(store: Storage) -> None:
    assert store.create("lock", b"first")
    assert not store.create("lock", b"second")
    assert not store.create("lock", b"first")
    assert store.read("lock") == b"first"

    store.delete("lock")
    assert store.create("lock", b"third")


def test_replace_writes_only_what_was_read(store: Storage) -> None:
    store.create("state", b"one")
    _, version = store.read_versioned("state")

    assert store.replace("state", b"two", version=version)
    assert not store.replace("state", b"three", version=version)
    assert store.read("state") == b"two"


def test_replace_of_a_missing_object_makes_none(store: Storage) -> None:
    store.create("state", b"one")
    _, version = store.read_versioned("state")
    store.delete("state")

    assert not store.replace("state", b"two", version=version)
    assert list(store.list("")) == []


def test_one_of_many_processes_creates(place: Place) -> None:
    won = place.race('print(store.create("lock", sys.argv[3].encode()))', count=4)

    assert sorted(won) == ["False", "False", "False", "True"]
    assert place.storage.read("lock") == str(won.index("True")).encode()


def test_one_of_many_processes_replaces(place: Place) -> None:
    place.storage.create("count", b"0")
    # Each adds 1 five times over: a lost update would show in the sum.
    code = """
for _ in range(5):
    while True:
        data, version = store.read_versioned("count")
        if store.replace("count", str(int(data) + 1).encode(), version=version):
            break
"""
    place.race(code, count=3)

    assert place.storage.read("count") == b"15"


def test_a_writer_killed_half_way_leaves_nothing(place: Place) -> None:
    place.storage.write("folder/old", b"old")
    code = """
with store.open_output("folder/new") as one, store.open_output("folder/old") as two:
    one.write(b"x" * 3_000_000); one.flush(); two.write(b"x"); two.flush()
    print("half", flush=True)
    sys.stdin.readline()
"""
    (writer,) = place.processes(code, 1)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "half\n"
    writer.kill()
    writer.wait()

    assert list(place.storage.list("")) == ["folder/old"]
    assert place.storage.read("folder/old") == b"old"
    assert place.storage.create("folder/new", b"new")


def small_table() -> pa.Table:
    rows = [
        {"theme_id": f"theme_2023Q1_{n:03d}", "name": f"Name {n}", "description": "Two. Sentences.",
         "keywords": ["a", "b"], "n_topics": n, "n_firms": 2, "n_sentences": 2 * n, "label": "a, b",
         "kind": "subject", "group_id": 0, "group_name": "a", "quarter": "2023Q1"}
        for n in range(5000)
    ]  # fmt: skip
    return schemas.table_from_rows(rows, schemas.THEMES, run_id="run-1", where="themes")


def test_tables_are_read_back_by_column(store: Storage) -> None:
    table = small_table()
    tables.write_table(store, "t.parquet", table)

    assert tables.read_table(store, "t.parquet", schemas.THEMES).equals(table)
    names = tables.read_table(store, "t.parquet", schemas.THEMES, columns=["name"])
    assert names.column_names == ["name"]
    assert names["name"].equals(table["name"])


def test_an_error_while_a_table_is_written_leaves_no_table(store: Storage) -> None:
    def parts() -> Any:
        yield small_table()
        store.read("missing")

    with pytest.raises(ObjectMissingError):
        tables.write_batches(store, "t.parquet", schemas.THEMES, parts(), run_id="run-1")

    assert list(store.list("")) == []


def test_a_damaged_table_is_named_and_not_believed(store: Storage) -> None:
    tables.write_table(store, "t.parquet", small_table())
    good = bytearray(store.read("t.parquet"))
    offset = pq.ParquetFile(pa.BufferReader(bytes(good))).metadata.row_group(0).column(4)
    for place in (10, offset.data_page_offset + 40, len(good) - 20):
        damaged = bytearray(good)
        damaged[place] ^= 0xFF
        store.write("t.parquet", bytes(damaged))
        with pytest.raises(InputError) as caught:
            tables.read_table(store, "t.parquet", schemas.THEMES)
        assert store.describe("t.parquet") in caught.value.where
    store.write("t.parquet", bytes(good[: len(good) // 2]))
    with pytest.raises(InputError, match="not a readable Parquet file"):
        tables.read_table(store, "t.parquet", schemas.THEMES)
