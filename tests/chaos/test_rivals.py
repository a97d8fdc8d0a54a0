"""Two runs at once, changed settings, another run's leftovers, and processes left behind."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from ftm_core.contracts import keys, schemas
from ftm_core.contracts.errors import ExitCode
from ftm_core.storage import tables
from tests.chaos.conftest import Reference
from tests.fakes.chaos_llm import SUMMARY, FakeLlm
from tests.fakes.chaos_runs import Place, Q, assert_same_rows, gone, rows_of


@pytest.mark.models
def test_fault_5_fault_6_fault_7_quarter_belongs_to_one_run(
    place: Place, llm: FakeLlm, reference: Reference
) -> None:
    n_log = len(llm.log())
    llm.hold(SUMMARY, after=5)
    first = place.start("--workers", "2")
    first.wait_for(lambda: len(llm.asked(n_log)) >= 9)
    name = (place.storage.read(keys.run_identity(Q))).decode().split('"run_name": "')[1][:22]

    # A second run of the quarter, while the first is at work.
    second = place.start()
    assert second.wait() == ExitCode.USAGE
    assert "is leased to the run" in second.output
    assert name.split('"')[0] in second.output.replace("\n", "")
    restarted = place.start("--restart")
    assert restarted.wait() == ExitCode.USAGE
    assert "is leased to the run" in restarted.output

    # The first is killed: nothing of it is left, and the quarter can be taken over.
    children = first.descendants()
    first.kill()
    assert len(children) >= 2
    assert gone(children) == []

    # With settings changed, refused; the change is named, and nothing is touched.
    before = contents(place)
    changed = place.start(THEME_SEED="7")
    assert changed.wait() == ExitCode.USAGE
    assert "seed" in changed.output
    assert "--restart" in changed.output
    assert contents(place) == before

    # Parts of another run lie about, under this plan's names and others.
    for number, batch in ((0, "2023Q1_batch_0000"), (7, "2023Q1_batch_0000"), (0, "old_batch")):
        for key, schema in (
            (keys.firm_topics_part(Q, batch, number), schemas.FIRM_TOPICS),
            (keys.sentences_part(Q, batch, number), schemas.MAP_SENTENCES),
        ):
            table = schemas.table_from_rows([], schema, run_id="another-run", where=key)
            tables.write_table(place.storage, key, table)

    llm.reset()
    place.finish("--workers", "1")
    assert_same_rows(rows_of(place.storage), reference.rows)


def contents(place: Place) -> dict[str, bytes]:
    return {key: place.storage.read(key) for key in place.storage.list("")}


@pytest.mark.models
def test_a_run_of_a_finished_quarter_does_nothing(place: Place, reference: Reference) -> None:
    before = contents(reference.place)

    again = reference.place.finish("--workers", "1", "--batch-size", "50")

    assert "nothing to do" in again.output
    assert contents(reference.place) == before


@pytest.mark.models
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_local_server_and_the_workers_end_with_the_run(
    number: signal.Signals, corpus: Path, tmp_path: Path
) -> None:
    place = Place.over(corpus, tmp_path / "place", {})
    run = place.start()
    run.wait_for(lambda: has(run.descendants(), "local_server_process", "multiprocessing.spawn"))
    # A worker that is still loading must go too.
    children = run.descendants()
    if number == signal.SIGKILL:
        run.kill()
    else:
        assert run.terminate() == ExitCode.RETRYABLE, run.output
        assert "SIGTERM" in run.output

    assert gone(children) == []


def has(processes: list[object], *words: str) -> bool:
    found = [command_of(process) for process in processes]
    return all(any(word in command for command in found) for word in words)


def command_of(process: object) -> str:
    import psutil

    assert isinstance(process, psutil.Process)
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_sigterm_before_the_work_starts_is_retryable_too(place: Place, llm: FakeLlm) -> None:
    run = place.start()
    run.wait_until_stoppable()
    began = time.monotonic()

    code = run.terminate()

    assert code == ExitCode.RETRYABLE, run.output
    assert time.monotonic() - began < 10
    assert "Traceback" not in run.output
    assert "leaked" not in run.output
