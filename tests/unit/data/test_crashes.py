"""A batch killed at any change to its storage, once or twice, ends as if it had never been."""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftm_core.contracts import keys, schemas
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.checkpoints import BatchCheckpoints, read_checkpoint, read_failures
from ftm_core.storage import tables
from ftm_core.storage.local import LocalStorage
from tests.unit.data.builders import batch, failure, finished_firm

pytestmark = pytest.mark.slow

Q = Quarter(2023, 1)
RUN = "run-1"
N_TOPICS = 2

# How the attempts at one firm end, in turn; when the list is used up, all goes well.
OUTCOMES = st.lists(st.sampled_from(["whole", "one topic fails", "fails"]), max_size=3)
CORPORA = st.lists(OUTCOMES, min_size=1, max_size=5)


class Killed(BaseException):
    """The process is gone: nothing may catch this."""


class MortalStorage(LocalStorage):
    """A folder that is gone after ``survives`` changes; the fatal one may still happen."""

    def __init__(self, root: Path, survives: int, *, last_one_happens: bool = False) -> None:
        super().__init__(root)
        self._left = survives
        self._last_one_happens = last_one_happens
        self.n_changes = 0

    @contextmanager
    def open_output(self, key: str) -> Iterator[IO[bytes]]:
        if self._left == 0 and not self._last_one_happens:
            raise Killed
        with super().open_output(key) as file:
            yield file
        self._count()

    def delete(self, key: str) -> None:
        if self._left == 0 and not self._last_one_happens:
            raise Killed
        super().delete(key)
        self._count()

    def _count(self) -> None:
        if self._left == 0:
            raise Killed
        self._left -= 1
        self.n_changes += 1


class World:
    """A batch, how each attempt at its firms ends, and what survives a process."""

    def __init__(self, root: Path, corpus: list[list[str]], interval: int) -> None:
        self.root = root
        self.batch = batch(*(f"F{number}" for number in range(len(corpus))))
        self._interval = interval
        self._outcomes = {
            firm: iter([*outcomes, *itertools.repeat("whole", 50)])
            for firm, outcomes in zip(self.batch.firm_ids, corpus, strict=True)
        }

    def work(self, storage: LocalStorage) -> BatchCheckpoints:
        """One process: resume, work through what is pending, save every so many firms."""
        progress = BatchCheckpoints.open(storage, self.batch, RUN)
        self.check_resumed(progress)
        unsaved = []
        for firm in progress.pending:
            outcome = next(self._outcomes[firm])
            if outcome == "fails":
                progress.record_failure(failure(firm))
                continue
            n_failed = 1 if outcome == "one topic fails" else 0
            unsaved.append(finished_firm(firm, N_TOPICS, failed_topics=n_failed))
            if len(unsaved) == self._interval:
                progress.save(unsaved)
                unsaved = []
        progress.save(unsaved)
        return progress

    def check_resumed(self, progress: BatchCheckpoints) -> None:
        """After ``open``: no leftovers, and every firm either complete in full or pending."""
        rows = self.check_disk()
        store = LocalStorage(self.root)
        checkpoint = read_checkpoint(store, Q, self.batch.batch_id)
        numbers = [part.number for part in checkpoint.parts] if checkpoint else []
        assert sorted(store.list("intermediate/")) == sorted(
            name(Q, self.batch.batch_id, number)
            for number in numbers
            for name in (keys.firm_topics_part, keys.sentences_part)
        )
        assert set(progress.pending) == set(self.batch.firm_ids) - set(rows)
        assert all(count == N_TOPICS for count in rows.values())

    def check_disk(self) -> dict[str, int]:
        """At any moment: what the checkpoint names is there, once, and what lacks is on record."""
        store = LocalStorage(self.root)
        checkpoint = read_checkpoint(store, Q, self.batch.batch_id)
        if checkpoint is None:
            return {}
        topics: Counter[str] = Counter()
        sentences: Counter[str] = Counter()
        for part in checkpoint.parts:
            topic_key = keys.firm_topics_part(Q, self.batch.batch_id, part.number)
            read = firms_of(store, topic_key, schemas.FIRM_TOPICS)
            topics.update(read["firm_id"].to_pylist())
            assert read.num_rows == part.n_topics
            sentence_key = keys.sentences_part(Q, self.batch.batch_id, part.number)
            read = firms_of(store, sentence_key, schemas.MAP_SENTENCES)
            sentences.update(read["firm_id"].to_pylist())
            assert set(sentences) >= set(part.firm_ids)
        assert set(sentences) == set(checkpoint.completed_firm_ids)
        assert len(set(checkpoint.completed_firm_ids)) == len(checkpoint.completed_firm_ids)
        assert set(sentences.values()) <= {3}
        manifest = read_failures(store, Q, self.batch.batch_id)
        on_record = Counter(
            item.firm_id for item in (manifest.failures if manifest else ()) if item.topic_id
        )
        for firm in checkpoint.completed_firm_ids:
            assert topics[firm] + on_record[firm] >= N_TOPICS, "a missing topic is not on record"
            assert topics[firm] <= N_TOPICS
        return {firm: topics[firm] for firm in checkpoint.completed_firm_ids}

    def finish(self) -> None:
        """Run until nothing fails any more: every topic of every firm is there, once."""
        for _ in range(5):
            progress = self.work(LocalStorage(self.root))
            if not progress.failures:
                break
        assert progress.failures == ()
        assert self.check_disk() == dict.fromkeys(self.batch.firm_ids, N_TOPICS)
        assert read_failures(LocalStorage(self.root), Q, self.batch.batch_id) is not None


def firms_of(store: LocalStorage, key: str, schema: pa.Schema) -> pa.Table:
    return tables.read_table(store, key, schema, columns=["firm_id"], run_id=RUN)


def killed_at(world: World, survives: int, last_one_happens: bool) -> bool:
    """Let one process work until it is killed; whether it was."""
    storage = MortalStorage(world.root, survives, last_one_happens=last_one_happens)
    try:
        world.work(storage)
    except Killed:
        world.check_disk()
        return True
    return False


def fast_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder in memory where there is one: bringing each write to the disk takes its time."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)


@pytest.mark.parametrize("last_one_happens", [False, True])
@pytest.mark.parametrize(("runs_before", "at_least"), [(0, 8), (1, 12)])
def test_killed_at_every_change_in_turn(
    runs_before: int, at_least: int, last_one_happens: bool
) -> None:
    # The second run retries failed firms, and so rewrites parts.
    corpus = [[], ["one topic fails", "one topic fails"], ["fails"], ["one topic fails"], []]
    for survives in itertools.count():
        with fast_folder() as folder:
            world = World(Path(folder), corpus, interval=2)
            for _ in range(runs_before):
                world.work(LocalStorage(world.root))
            killed = killed_at(world, survives, last_one_happens)
            world.finish()
        if not killed:
            break
    assert survives >= at_least


@settings(max_examples=30)
@given(
    corpus=CORPORA,
    interval=st.integers(1, 3),
    kills=st.lists(st.tuples(st.integers(0, 14), st.booleans()), max_size=4),
)
def test_killed_again_and_again(
    corpus: list[list[str]], interval: int, kills: list[tuple[int, bool]]
) -> None:
    with fast_folder() as folder:
        world = World(Path(folder), corpus, interval)
        for survives, last_one_happens in kills:
            killed_at(world, survives, last_one_happens)
        world.finish()


@settings(max_examples=15)
@given(corpus=CORPORA, intervals=st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_the_interval_changes_no_row(corpus: list[list[str]], intervals: tuple[int, int]) -> None:
    found = []
    for interval in intervals:
        with fast_folder() as folder:
            world = World(Path(folder), corpus, interval)
            progress = world.work(LocalStorage(world.root))
            record = [(f.firm_id, f.topic_id, f.error_type, f.attempts) for f in progress.failures]
            found.append((world.check_disk(), record))
    assert found[0] == found[1]
