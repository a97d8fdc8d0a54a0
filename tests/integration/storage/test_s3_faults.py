"""S3 storage against a server that throttles, fails, breaks bodies and loses answers."""

from __future__ import annotations

import random

import pytest

from ftm_core.contracts import schemas
from ftm_core.contracts.errors import ExitCode, StorageAccessError, StorageRetryableError
from ftm_core.storage import open_storage, tables
from ftm_core.storage.s3 import S3Storage, client_config
from tests.fakes.s3_emulator import Fault, S3Emulator


@pytest.fixture
def store(s3_server: S3Emulator, bucket: str) -> S3Storage:
    return s3_server.storage(bucket)


@pytest.mark.parametrize(
    ("code", "status"),
    [("SlowDown", "503 Slow Down"), ("InternalError", "500 Internal Server Error")],
)
def test_throttling_and_server_errors_are_retried(
    s3_server: S3Emulator, store: S3Storage, code: str, status: str
) -> None:
    store.write("a", b"x")
    for method in ("PUT", "GET", "DELETE"):
        s3_server.faults.append(Fault(method, code=code, status=status))

    store.write("b", b"y")
    assert store.read("a") == b"x"
    store.delete("a")
    assert list(store.list("")) == ["b"]
    assert all(fault.times == 0 for fault in s3_server.faults)


def test_throttling_without_end_is_retryable(s3_server: S3Emulator, bucket: str) -> None:
    client = s3_server.client(total_max_attempts=2)
    store = S3Storage(client, bucket, pause=lambda _: None)
    s3_server.faults.append(Fault("PUT", times=100))
    s3_server.faults.append(Fault("GET", times=100))

    for attempt in (lambda: store.write("a", b"x"), lambda: store.read("a")):
        with pytest.raises(StorageRetryableError) as caught:
            attempt()
        assert caught.value.exit_code == ExitCode.RETRYABLE
        assert caught.value.where == f"The file s3://{bucket}/a"


def test_production_clients_retry_for_a_minute_at_most() -> None:
    config = client_config()

    # The attributes of botocore's Config exist at run time only.
    assert vars(config)["retries"] == {"mode": "standard", "total_max_attempts": 8}


def test_a_server_that_is_not_there_is_retryable() -> None:
    client = S3Emulator("http://127.0.0.1:9").client(total_max_attempts=1)

    with pytest.raises(StorageRetryableError, match="could not be reached"):
        S3Storage(client, "bucket").exists("a")


@pytest.mark.parametrize("fault", [Fault("GET", 2, cut_body_to=0.5), Fault("GET", 2, damage=True)])
def test_a_broken_body_is_read_again(s3_server: S3Emulator, store: S3Storage, fault: Fault) -> None:
    content = bytes(range(256)) * 1000
    store.write("a", content)
    s3_server.faults.append(Fault(**vars(fault)))

    assert store.read("a") == content
    assert s3_server.faults[-1].times == 0


@pytest.mark.parametrize(
    "fault", [Fault("GET", 100, cut_body_to=0.5), Fault("GET", 100, damage=True)]
)
def test_a_body_that_stays_broken_is_retryable(
    s3_server: S3Emulator, store: S3Storage, fault: Fault
) -> None:
    store.write("a", b"some content")
    s3_server.faults.append(Fault(**vars(fault)))

    with pytest.raises(StorageRetryableError, match="could not be read whole"):
        store.read("a")


def test_a_create_whose_answer_was_lost_still_counts(
    s3_server: S3Emulator, store: S3Storage
) -> None:
    s3_server.faults.append(Fault("PUT", lose_answer=True))

    # The client asks again and is refused by its own first attempt.
    assert store.create("lock", b"mine")
    assert not store.create("lock", b"mine")


def test_a_replace_whose_answer_was_lost_still_counts(
    s3_server: S3Emulator, store: S3Storage
) -> None:
    store.create("state", b"one")
    _, version = store.read_versioned("state")
    s3_server.faults.append(Fault("PUT", lose_answer=True))

    assert store.replace("state", b"two", version=version)
    assert not store.replace("state", b"two", version=version)


def test_a_conflict_of_conditional_writes_is_tried_again(
    s3_server: S3Emulator, store: S3Storage
) -> None:
    s3_server.faults.append(Fault("PUT", 2, "ConditionalRequestConflict", "409 Conflict"))
    assert store.create("lock", b"x")

    s3_server.faults.append(Fault("PUT", 100, "ConditionalRequestConflict", "409 Conflict"))
    with pytest.raises(StorageRetryableError, match="written by others"):
        store.create("other", b"x")


def test_a_missing_bucket_is_wrong_usage(s3_server: S3Emulator) -> None:
    store = s3_server.storage("no-such-bucket")
    attempts = (
        lambda: store.exists("a"),
        lambda: store.size("a"),
        lambda: list(store.list("")),
        lambda: store.read("a"),
        lambda: store.write("a", b""),
        lambda: store.create("a", b""),
        lambda: store.open_input("a").__enter__(),
    )
    for attempt in attempts:
        with pytest.raises(StorageAccessError, match="bucket") as caught:
            attempt()
        assert caught.value.exit_code == ExitCode.USAGE


def test_one_column_of_a_large_table_costs_a_part_of_it(
    s3_server: S3Emulator, store: S3Storage
) -> None:
    # Random digits compress badly, so the table has several megabytes.
    digits = random.Random(1)
    rows = [
        {"theme_id": f"t{n}", "name": "n", "description": digits.randbytes(800).hex(),
         "keywords": [], "n_topics": 1, "n_firms": 2, "n_sentences": 4, "label": "l",
         "kind": "subject", "group_id": 0, "group_name": "g", "quarter": "2023Q1"}
        for n in range(8000)
    ]  # fmt: skip
    tables.write_table(
        store, "t", schemas.table_from_rows(rows, schemas.THEMES, run_id="r", where="t")
    )
    assert store.size("t") > 4 * 2**20
    s3_server.bytes_sent = 0

    names = tables.read_table(store, "t", schemas.THEMES, columns=["name"])

    assert names.num_rows == 8000
    assert s3_server.bytes_sent < store.size("t") / 2


def test_a_small_table_costs_one_request(s3_server: S3Emulator, store: S3Storage) -> None:
    table = schemas.table_from_rows([], schemas.THEMES, run_id="r", where="t")
    tables.write_table(store, "t", table)
    s3_server.requests.clear()

    assert tables.read_table(store, "t", schemas.THEMES).equals(table)
    assert len(s3_server.requests) == 1


def test_an_object_replaced_while_it_is_read_is_noticed(store: S3Storage) -> None:
    store.write("a", b"1" * 3_000_000)
    with store.open_input("a") as file:
        store.write("a", b"2" * 3_000_000)
        with pytest.raises(StorageRetryableError, match="replaced while it was read"):
            file.read()


def test_a_range_that_breaks_half_way_is_read_again(
    s3_server: S3Emulator, store: S3Storage
) -> None:
    content = bytes(range(256)) * 12_000
    store.write("a", content)
    with store.open_input("a") as file:
        s3_server.faults.append(Fault("GET", 2, cut_body_to=0.3))
        assert file.read() == content


def test_a_bucket_is_opened_by_its_uri(s3_server: S3Emulator, bucket: str) -> None:
    for prefix in ("", "/", "/a", "/a/b/"):
        opened = open_storage(f"s3://{bucket}{prefix}", s3_client=s3_server.client)
        opened.write("key", prefix.encode())
        assert opened.uri == f"s3://{bucket}{prefix}".rstrip("/")
        assert opened.read("key") == prefix.encode()
        assert s3_server.storage(bucket).exists(f"{prefix.strip('/')}/key".lstrip("/"))
