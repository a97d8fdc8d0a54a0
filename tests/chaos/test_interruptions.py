"""Runs killed and stopped at any moment, resumed: as if nothing had happened."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from ftm_core.contracts import keys
from ftm_core.storage import tables
from tests.chaos.conftest import Reference
from tests.chaos.interruptions import (
    KILL,
    TERMINATE,
    InterruptedRun,
    Tally,
    let_live,
    moments,
)
from tests.fakes.chaos_llm import SUMMARY, THEME, FakeLlm
from tests.fakes.chaos_runs import FIRMS, Place, Q, assert_same_rows, rows_of

# The long form continues until it has killed this often.
LONG_KILLS = int(os.environ.get("FTM_CHAOS_KILLS", "100"))
# Seconds: about as long as a run with the bundled LLM, so that every part is hit.
LONGEST_LIFE = 40.0


@pytest.mark.models
def test_fault_9_fault_19_killed_run_gives_uninterrupted_rows(
    place: Place, llm: FakeLlm, reference: Reference
) -> None:
    tally = Tally()
    run = InterruptedRun(place, llm, tally)

    # Killed amid the summaries: responses are cached, the firms in flight are not finished.
    llm.hold(SUMMARY, after=7)
    killed = place.start("--workers", "1", "--batch-size", "7")
    killed.wait_for(lambda: run.n_asked() >= 11)
    run.interrupt(killed, KILL)
    assert tally.n_lost_in_flight == 4

    # Stopped amid the summaries: everything finished is saved, however small the part.
    llm.reset()
    llm.hold(SUMMARY, after=12)
    stopped = place.start("--workers", "2", "--batch-size", "7")
    stopped.wait_for(lambda: run.n_asked() >= 16)
    run.interrupt(stopped, TERMINATE)
    finished = place.n_completed()
    assert 0 < finished < FIRMS

    # Killed amid the themes.
    llm.reset()
    llm.hold(THEME, after=1)
    last = place.start("--workers", "1", "--batch-size", "7")
    last.wait_for(lambda: run.n_asked(THEME) >= 2)
    run.interrupt(last, KILL)
    llm.reset()
    run.finish("--workers", "1", "--batch-size", "7")

    assert tally.done == {KILL: 2, TERMINATE: 1}
    assert tally.n_asked_again == 0
    assert_same_rows(rows_of(place.storage), reference.rows)


@pytest.mark.models
@pytest.mark.parametrize(
    ("batch_size", "workers"),
    [
        (1, 1),
        *(
            pytest.param(size, workers, marks=pytest.mark.long)
            for size in (1, 7, 50)
            for workers in (1, 2)
            if (size, workers) != (1, 1)
        ),
    ],
)
def test_fault_19_neither_batches_nor_workers_change_a_row(
    batch_size: int, workers: int, place: Place, reference: Reference
) -> None:
    place.finish("--batch-size", str(batch_size), "--workers", str(workers))

    assert_same_rows(rows_of(place.storage), reference.rows)


@pytest.mark.long
@pytest.mark.models
def test_long_fault_9_kills_at_any_moment_lose_nothing(
    corpus: Path, tmp_path: Path, recorded_llm: FakeLlm, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = Tally()
    chance = random.Random(3)
    waiting = iter(moments(10_000, LONGEST_LIFE, seed=3))
    n_rounds = n_topics = 0
    while tally.done[KILL] < LONG_KILLS:
        n_rounds += 1
        place = Place.over(corpus, tmp_path / f"round{n_rounds}", recorded_llm.environment)
        run = InterruptedRun(place, recorded_llm, tally)
        # The plan stays with the run, independent of later processes.
        options = ("--batch-size", str(chance.choice([1, 7, 50])), "--workers")
        interrupted = True
        while interrupted and tally.done[KILL] < LONG_KILLS:
            how, seconds = next(waiting)
            process = place.start(*options, str(chance.choice([1, 2])))
            let_live(process, how, seconds)
            interrupted = run.interrupt(process, how)
            with capsys.disabled():
                print(f"\rround {n_rounds}: {dict(tally.done)}", end="", flush=True)
        if interrupted:
            run.finish(*options, "1")
        rows = rows_of(place.storage)
        n_topics += len(rows["topics of the map"])
        # What the model writes may follow what it answers beside: an uninterrupted run is given
        # the same answers, so that all else can be compared. It must find every one of them.
        n_asked = len(recorded_llm.asked())
        place.finish("--batch-size", "50", "--workers", "1", "--restart")
        assert len(recorded_llm.asked()) == n_asked
        assert_same_rows(rows, rows_of(place.storage))
    with capsys.disabled():
        print(
            f"\n{dict(tally.done)} over {n_rounds} rounds, {n_topics} topics, "
            f"{len(recorded_llm.asked())} questions: slowest stop {tally.slowest_stop:.1f} s, "
            f"{tally.n_lost_in_flight} answers lost in flight, {tally.n_asked_again} kept ones "
            "asked again; each round's rows as uninterrupted"
        )
    assert tally.done[TERMINATE]


@pytest.mark.long
@pytest.mark.models
def test_long_fault_19_cached_responses_survive_kills(corpus: Path, tmp_path: Path) -> None:
    # Texts may depend on what it answers at the same time: only cached responses compare.
    place = Place.over(corpus, tmp_path / "place", {})
    place.firms = 4
    for n_parts in (1, 2):
        process = place.start("--workers", "1", "--batch-size", "2")
        process.wait_for(lambda wanted=n_parts: place.n_completed() >= wanted)
        process.kill()
    place.finish("--workers", "1", "--batch-size", "2")
    interrupted = rows_of(place.storage)
    answers = sorted(place.storage.list(keys.answers_prefix(Q)))
    first_run = tables.read_run_id(place.storage, keys.themes(Q))

    place.finish("--workers", "2", "--batch-size", "50", "--restart")

    assert tables.read_run_id(place.storage, keys.themes(Q)) != first_run
    assert sorted(place.storage.list(keys.answers_prefix(Q))) == answers
    assert_same_rows(rows_of(place.storage), interrupted)
