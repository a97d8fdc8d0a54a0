"""Checkpoints of a batch: nothing lost, nothing doubled, failures on record, leftovers unread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from ftm_core.contracts import keys, schemas
from ftm_core.contracts.errors import InputError, StorageError, StorageRetryableError
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import Batch, Failure
from ftm_core.data.checkpoints import BatchCheckpoints, read_checkpoint, read_failures
from ftm_core.data.map_output import MapOutput, iterate_sentences, read_map_output
from ftm_core.storage import tables
from ftm_core.storage.local import LocalStorage
from tests.unit.data.builders import batch, failure, finished_firm

BATCH = batch("F0", "F1", "F2", "F3")
Q = Quarter(2023, 1)


@pytest.fixture
def store(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def read_topics(store: LocalStorage, output: MapOutput) -> list[dict[str, Any]]:
    parts = tables.iterate_tables(
        store, output.topic_keys(), schemas.FIRM_TOPICS, run_id=output.run_id
    )
    return [row for part in parts for row in part.to_pylist()]


def rows_by_firm(store: LocalStorage, *plan: Batch, run_id: str = "run-1") -> dict[str, list[str]]:
    """Topics of each firm, as reduce reads them."""
    found: dict[str, list[str]] = {}
    output = read_map_output(store, Q, plan or [BATCH], run_id)
    for row in read_topics(store, output):
        found.setdefault(row["firm_id"], []).append(row["topic_id"])
    return found


def part_files(store: LocalStorage) -> list[str]:
    return [*store.list(keys.firm_topics_prefix(Q)), *store.list(keys.sentences_prefix(Q))]


def test_a_new_batch_has_everything_pending(store: LocalStorage) -> None:
    progress = BatchCheckpoints.open(store, BATCH, "run-1")

    assert progress.pending == list(BATCH.firm_ids)
    assert (progress.n_completed, progress.n_topics, progress.failures) == (0, 0, ())
    assert list(store.list("")) == []


def test_fault_9_what_is_saved_at_a_stop_is_finished(store: LocalStorage) -> None:
    # A stop saves all that is finished, however far the next checkpoint would have been.
    BatchCheckpoints.open(store, BATCH, "run-1").save([finished_firm("F2")])

    resumed = BatchCheckpoints.open(store, BATCH, "run-1")

    assert resumed.pending == ["F0", "F1", "F3"]
    assert (resumed.n_completed, resumed.n_topics) == (1, 2)
    with pytest.raises(InputError, match="3 firms are pending"):
        rows_by_firm(store)


def test_parts_hold_every_firm_once(store: LocalStorage) -> None:
    progress = BatchCheckpoints.open(store, BATCH, "run-1")
    progress.save([finished_firm("F1"), finished_firm("F0", 0)])
    progress.save([finished_firm("F3", 1), finished_firm("F2")])

    assert rows_by_firm(store) == {
        "F1": ["F1_0", "F1_1"],
        "F2": ["F2_0", "F2_1"],
        "F3": ["F3_0"],
    }
    output = read_map_output(store, Q, [BATCH], "run-1")
    sentences = [table["firm_id"].to_pylist() for table in iterate_sentences(store, output)]
    assert sentences == [["F1"] * 3 + ["F0"] * 3, ["F3"] * 3 + ["F2"] * 3]
    checkpoint = read_checkpoint(store, Q, BATCH.batch_id)
    assert checkpoint is not None
    assert checkpoint.completed_firm_ids == ("F1", "F0", "F3", "F2")
    assert [(p.number, p.firm_ids, p.n_topics, p.n_sentences) for p in checkpoint.parts] == [
        (0, ("F1", "F0"), 2, 6),
        (1, ("F3", "F2"), 3, 6),
    ]


def test_fault_6_parts_of_a_crash_are_never_read(store: LocalStorage) -> None:
    progress = BatchCheckpoints.open(store, BATCH, "run-1")
    progress.save([finished_firm("F0"), finished_firm("F1"), finished_firm("F2")])
    # Killed after the next part was written and before its checkpoint was.
    copy_part(store, 0, 1)
    progress = BatchCheckpoints.open(store, BATCH, "run-1")
    progress.save([finished_firm("F3")])

    assert sorted(rows_by_firm(store)) == ["F0", "F1", "F2", "F3"]
    assert len(part_files(store)) == 4


def test_fault_6_parts_without_a_checkpoint_are_removed(store: LocalStorage) -> None:
    BatchCheckpoints.open(store, BATCH, "run-1").save([finished_firm("F0")])
    copy_part(store, 0, 1)

    BatchCheckpoints.open(store, BATCH, "run-1")

    assert part_files(store) == [
        keys.firm_topics_part(Q, BATCH.batch_id, 0),
        keys.sentences_part(Q, BATCH.batch_id, 0),
    ]


def copy_part(store: LocalStorage, source: int, target: int) -> None:
    for name in (keys.firm_topics_part, keys.sentences_part):
        content = store.read(name(Q, BATCH.batch_id, source))
        store.write(name(Q, BATCH.batch_id, target), content)


def test_fault_6_parts_and_failures_of_another_run_are_ignored(store: LocalStorage) -> None:
    old = BatchCheckpoints.open(store, BATCH, "run-0")
    old.record_failure(failure("F3"))
    old.save([finished_firm("F0", 5), finished_firm("F1"), finished_firm("F2")])

    with pytest.raises(InputError, match="4 firms are pending"):
        rows_by_firm(store)
    fresh = BatchCheckpoints.open(store, BATCH, "run-1")

    assert fresh.pending == list(BATCH.firm_ids)
    assert fresh.failures == ()
    assert part_files(store) == []
    assert read_failures(store, Q, BATCH.batch_id) is None
    fresh.save([finished_firm(firm) for firm in BATCH.firm_ids])
    assert rows_by_firm(store)["F0"] == ["F0_0", "F0_1"]


def test_fault_6_part_of_another_run_under_a_key_is_refused(store: LocalStorage) -> None:
    progress = BatchCheckpoints.open(store, BATCH, "run-1")
    progress.save([finished_firm(firm) for firm in BATCH.firm_ids])
    key = keys.firm_topics_part(Q, BATCH.batch_id, 0)
    stale = schemas.table_from_rows([], schemas.FIRM_TOPICS, run_id="run-0", where=key)
    tables.write_table(store, key, stale)

    with pytest.raises(InputError, match="written by run run-0"):
        rows_by_firm(store)


def test_fault_6_a_checkpoint_of_another_plan_counts_for_nothing(store: LocalStorage) -> None:
    BatchCheckpoints.open(store, BATCH, "run-1").save([finished_firm("F0"), finished_firm("F3")])

    progress = BatchCheckpoints.open(store, batch("F0", "F1"), "run-1")

    assert progress.pending == ["F0", "F1"]
    assert part_files(store) == []


def test_leftovers_of_other_batches_and_quarters_are_left(store: LocalStorage) -> None:
    others = [
        keys.firm_topics_part(Q, "2023Q1_batch_0001", 0),
        keys.firm_topics_part(Q, f"{BATCH.batch_id}0", 0),
        keys.firm_topics_part(Quarter(2023, 2), BATCH.batch_id, 0),
    ]
    for key in others:
        store.write(key, b"x")

    BatchCheckpoints.open(store, BATCH, "run-1")

    assert sorted(store.list("")) == sorted(others)


def test_fault_10_failures_are_on_record_with_their_reason(store: LocalStorage) -> None:
    progress = BatchCheckpoints.open(store, BATCH, "run-1")
    progress.record_failure(failure("F1", message="no sentences"))
    progress.save([finished_firm("F0", 3, failed_topics=1), finished_firm("F2")])

    manifest = read_failures(store, Q, BATCH.batch_id)
    assert manifest is not None
    assert manifest.n_failures == 2
    assert [(f.firm_id, f.topic_id, f.error_message) for f in manifest.failures] == [
        ("F0", "F0_2", "400"),
        ("F1", None, "no sentences"),
    ]
    assert progress.failed_firms == {"F0", "F1"}


def test_fault_10_batch_in_which_all_failed_is_on_record(
    store: LocalStorage,
) -> None:
    for attempts in (1, 2):
        progress = BatchCheckpoints.open(store, BATCH, "run-1")
        assert progress.pending == list(BATCH.firm_ids)
        for firm in BATCH.firm_ids:
            progress.record_failure(failure(firm))
        progress.save([])

        output = read_map_output(store, Q, [BATCH], "run-1")
        assert output.failed_firms == set(BATCH.firm_ids)
        assert {item.attempts for item in output.failures} == {attempts}


def test_fault_10_a_failure_stays_on_record_until_it_is_retried(store: LocalStorage) -> None:
    progress = BatchCheckpoints.open(store, BATCH, "run-1")
    progress.record_failure(failure("F1"))
    progress.save([finished_firm("F0")])

    # Stopped before F1 came round again.
    BatchCheckpoints.open(store, BATCH, "run-1").save([finished_firm("F2")])
    assert {item.firm_id for item in failures_on_record(store)} == {"F1"}

    BatchCheckpoints.open(store, BATCH, "run-1").save([finished_firm("F1"), finished_firm("F3")])
    assert failures_on_record(store) == ()
    assert sorted(rows_by_firm(store)) == ["F0", "F1", "F2", "F3"]


def failures_on_record(store: LocalStorage) -> tuple[Failure, ...]:
    manifest = read_failures(store, Q, BATCH.batch_id)
    assert manifest is not None
    return manifest.failures


def test_a_firm_with_a_failed_topic_is_retried_without_doubling(store: LocalStorage) -> None:
    progress = BatchCheckpoints.open(store, BATCH, "run-1")
    progress.save([finished_firm("F0"), finished_firm("F1", 3, failed_topics=2)])
    progress.save([finished_firm("F2", failed_topics=1)])
    progress.save([finished_firm("F3")])
    assert rows_by_firm(store) == {
        "F0": ["F0_0", "F0_1"],
        "F1": ["F1_0"],
        "F2": ["F2_0"],
        "F3": ["F3_0", "F3_1"],
    }

    retried = BatchCheckpoints.open(store, BATCH, "run-1")
    assert retried.pending == ["F1", "F2"]
    # While its rows are taken out, the quarter is not finished, even if the record says so.
    with pytest.raises(InputError, match="2 firms are pending"):
        rows_by_firm(store)
    retried.save([finished_firm("F1", 3), finished_firm("F2", failed_topics=1)])

    assert rows_by_firm(store) == {
        "F0": ["F0_0", "F0_1"],
        "F1": ["F1_0", "F1_1", "F1_2"],
        "F2": ["F2_0"],
        "F3": ["F3_0", "F3_1"],
    }
    assert [(item.topic_id, item.attempts) for item in retried.failures] == [("F2_1", 2)]
    # The rewritten parts are gone, and each that is left is named.
    assert len(part_files(store)) == 2 * 3


def test_firm_that_now_fails_wholly_leaves_no_topic_failures(store: LocalStorage) -> None:
    only = batch("F0")
    BatchCheckpoints.open(store, only, "run-1").save([finished_firm("F0", 3, failed_topics=2)])
    progress = BatchCheckpoints.open(store, only, "run-1")
    progress.record_failure(failure("F0", message="worker died"))
    progress.save([])

    assert [(f.topic_id, f.error_message) for f in progress.failures] == [(None, "worker died")]
    assert rows_by_firm(store, only) == {}


class BrokenStorage(LocalStorage):
    """A folder whose parts, checkpoints or failures cannot be written."""

    def __init__(self, root: Path, broken: str, error: StorageError) -> None:
        super().__init__(root)
        self._broken = broken
        self._error = error

    @contextmanager
    def open_output(self, key: str) -> Iterator[IO[bytes]]:
        if self._broken in key:
            raise self._error
        with super().open_output(key) as file:
            yield file


@pytest.mark.parametrize("kind", [StorageError, StorageRetryableError])
@pytest.mark.parametrize("broken", ["firm-topics", "sentences", "checkpoint", "failures"])
def test_fault_16_a_storage_error_passes_and_blames_no_firm(
    tmp_path: Path, broken: str, kind: type[StorageError]
) -> None:
    storage = BrokenStorage(tmp_path, broken, kind("bucket", "throttled", "Later."))
    progress = BatchCheckpoints.open(storage, BATCH, "run-1")

    with pytest.raises(kind) as caught:
        progress.save([finished_firm("F0")])

    assert caught.value.where == "bucket"
    assert progress.failures == ()
    later = BatchCheckpoints.open(LocalStorage(tmp_path), BATCH, "run-1")
    assert later.pending == list(BATCH.firm_ids)
    assert later.failures == ()
    assert part_files(LocalStorage(tmp_path)) == []
