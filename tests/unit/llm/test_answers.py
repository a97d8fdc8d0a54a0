"""Responses cached by content: found again, never torn, safe in a folder and in a bucket."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ftm_core.contracts import keys
from ftm_core.contracts.errors import StorageError
from ftm_core.contracts.quarters import Quarter
from ftm_core.llm.answers import FLUSH_ANSWERS, FLUSH_SECONDS, AnswerStore
from ftm_core.llm.journals import LINES_PER_OBJECT, FileJournal
from ftm_core.llm.messages import Answer, Parameters, Prompt, content_hash
from ftm_core.storage.local import LocalStorage
from tests.fakes.llm_bucket import BucketLike
from tests.fakes.needs import skip_or_fail

QUARTER = Quarter.parse("2023Q1")


def answer(number: int, text: str | None = None) -> Answer:
    question = Prompt("s", f"question {number}")
    asked = content_hash(question, model="m", parameters=Parameters(20, 42))
    return Answer(text or f"Text {number}.", "m", 10, 5, "stop", asked, from_store=False)


def reopened(storage: Any) -> AnswerStore:
    return AnswerStore.open(storage, QUARTER)


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return LocalStorage(tmp_path) if request.param == "folder" else BucketLike(tmp_path)


def test_an_answer_is_found_again_by_hash(storage: Any) -> None:
    with AnswerStore.open(storage, QUARTER, writer="2023Q1_batch_0000") as store:
        store.add(answer(1, "Übersicht “quoted”\nsecond line \U0001f600"))
        store.add(answer(2))

    again = reopened(storage)

    assert len(again) == 2
    found = again.find(answer(1).content_hash)
    assert found is not None
    assert found.text == "Übersicht “quoted”\nsecond line \U0001f600"
    assert (found.model, found.prompt_tokens, found.finish_reason) == ("m", 10, "stop")
    assert found.from_store
    assert again.contains(answer(2).content_hash)
    assert {kept.content_hash for kept in again.answers()} == {
        answer(1).content_hash,
        answer(2).content_hash,
    }


def test_usage_counts_each_question_once(storage: Any) -> None:
    with AnswerStore.open(storage, QUARTER, writer="job") as store:
        assert store.usage() == (0, 0, 0)
        store.add(answer(1))
        store.add(answer(1))
        store.add(answer(2, "Übersicht \U0001f600"))
    assert reopened(storage).usage() == (2, 20, 10)


@pytest.mark.parametrize(
    "line",
    ["null", "[]", '{"hash": "a", "text": "b"}', '{"hash": 1}', "1", '{"text": null}'],
)
def test_a_line_that_is_no_answer_is_skipped(tmp_path: Path, line: str) -> None:
    storage = LocalStorage(tmp_path)
    with AnswerStore.open(storage, QUARTER, writer="job") as store:
        store.add(answer(1))
    [path] = tmp_path.rglob("*.jsonl")
    path.write_text(f"{line}\n{path.read_text()}")
    again = reopened(storage)
    assert (len(again), again.n_unreadable) == (1, 1)


def test_what_was_never_answered_is_not_found(storage: Any) -> None:
    with AnswerStore.open(storage, QUARTER, writer="job") as store:
        store.add(answer(1))
    again = reopened(storage)
    assert again.find(answer(2).content_hash) is None
    assert not again.contains(answer(2).content_hash)
    assert len(AnswerStore.open(storage, Quarter.parse("2023Q2"))) == 0


def test_the_hash_depends_on_all_that_shapes_the_answer() -> None:
    def hashed(system: str = "s", user: str = "u", model: str = "m", **parameters: Any) -> str:
        chosen = Parameters(**{"max_tokens": 20, "seed": 42, **parameters})
        return content_hash(Prompt(system, user), model=model, parameters=chosen)

    different = [
        hashed(),
        hashed(system="s2"),
        hashed(user="u2"),
        hashed(model="m2"),
        hashed(max_tokens=21),
        hashed(seed=1),
        hashed(temperature=0.5),
        hashed(enable_thinking=True),
        hashed(system="su", user=""),
    ]
    assert len(set(different)) == len(different)
    assert hashed() == hashed()


def test_a_question_answered_twice_keeps_its_first_answer(storage: Any) -> None:
    with AnswerStore.open(storage, QUARTER, writer="job") as store:
        store.add(answer(1, "First."))
        store.add(answer(1, "Second."))
    found = reopened(storage).find(answer(1).content_hash)
    assert found is not None
    assert found.text == "First."


def test_several_jobs_at_once_keep_all_their_answers(storage: Any) -> None:
    def work(job: int) -> None:
        with AnswerStore.open(storage, QUARTER, writer=f"batch/{job}") as store:
            for number in range(50):
                store.add(answer(1000 * job + number))
                store.flush()

    threads = [threading.Thread(target=work, args=(job,)) for job in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reopened(storage)) == 200


@pytest.mark.slow
def test_thirty_thousand_answers_are_few_objects_and_load_fast(storage: Any) -> None:
    with AnswerStore.open(storage, QUARTER, writer="job") as store:
        for number in range(30_000):
            store.add(answer(number))
            if store.due:
                store.flush()
    n_objects = len(list(storage.list(keys.answers_prefix(QUARTER))))
    assert n_objects <= 30_000 / LINES_PER_OBJECT + 1
    began = time.process_time()
    assert len(reopened(storage)) == 30_000
    assert time.process_time() - began < 10


def test_every_cut_of_the_last_line_is_skipped(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    with AnswerStore.open(storage, QUARTER, writer="job") as store:
        store.add(answer(1))
        store.add(answer(2))
    [path] = tmp_path.rglob("*.jsonl")
    whole = path.read_bytes()
    first_line = whole.index(b"\n") + 1
    for length in range(first_line, len(whole) - 1):
        path.write_bytes(whole[:length])
        again = reopened(storage)
        assert len(again) == 1
        assert again.contains(answer(1).content_hash)
        assert again.n_unreadable == (length > first_line)
    path.write_bytes(whole[:first_line] + b"\0" * 64)
    assert len(reopened(storage)) == 1


def test_a_kill_loses_no_answer_that_was_received(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys
        from ftm_core.contracts.quarters import Quarter
        from ftm_core.llm.answers import AnswerStore
        from ftm_core.llm.messages import Answer
        from ftm_core.storage import open_storage
        store = AnswerStore.open(open_storage(sys.argv[1]), Quarter.parse("2023Q1"), writer="job")
        for number in range(10**9):
            store.add(Answer("Text.", "m", 1, 1, "stop", f"{number:064d}", False))
            print(number, flush=True)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        received = [int(process.stdout.readline()) for _ in range(200)]
        process.kill()
        received += [int(line) for line in process.stdout if line.endswith("\n")]
    again = reopened(LocalStorage(tmp_path))
    assert all(again.contains(f"{number:064d}") for number in received)


def test_answers_wait_a_bounded_time_before_a_bucket_write(tmp_path: Path) -> None:
    now = 0.0
    storage: Any = BucketLike(tmp_path)
    store = AnswerStore.open(storage, QUARTER, writer="job", clock=lambda: now)
    store.add(answer(0))
    assert not store.due
    assert storage.writes == []
    now = FLUSH_SECONDS
    assert store.due
    store.flush()
    assert not store.due
    assert len(reopened(storage)) == 1
    for number in range(1, FLUSH_ANSWERS + 1):
        store.add(answer(number))
    assert store.due


def test_failed_flush_to_a_bucket_keeps_answers_for_the_next(tmp_path: Path) -> None:
    storage: Any = BucketLike(tmp_path)
    store = AnswerStore.open(storage, QUARTER, writer="job")
    store.add(answer(1))
    storage.failing = True
    with pytest.raises(StorageError):
        store.flush()
    storage.failing = False
    store.flush()
    assert len(reopened(storage)) == 1


def test_full_disk_is_reported_and_loses_only_that_answer(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        skip_or_fail("this system has no /dev/full")
    journal = FileJournal(Path("/dev/full"))
    with pytest.raises(StorageError, match="disk is full"):
        journal.append(b"{}\n")


def test_a_line_after_a_torn_one_is_not_joined_to_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = FileJournal(path)
    journal.append(b'{"first": 1}\n')
    reading, writing = os.pipe()
    os.close(reading)
    sound = os.dup(journal._descriptor)  # type: ignore[arg-type]
    os.dup2(writing, journal._descriptor)  # type: ignore[arg-type]
    with pytest.raises(StorageError):
        journal.append(b'{"lost": 1}\n')
    os.dup2(sound, journal._descriptor)  # type: ignore[arg-type]
    journal.append(b'{"second": 1}\n')
    assert path.read_bytes() == b'{"first": 1}\n\n{"second": 1}\n'


def test_a_store_opened_for_reading_writes_nothing(storage: Any) -> None:
    store = AnswerStore.open(storage, QUARTER)
    with pytest.raises(ValueError, match="reading"):
        store.add(answer(1))
    store.flush()
    assert list(storage.list("")) == []
