"""Run identity: changes refused and named, one run at a time, takeover of the dead, restart."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ftm_core.contracts import keys, settings
from ftm_core.contracts.errors import (
    ExitCode,
    InputError,
    RunRefusedError,
    StorageError,
    StorageRetryableError,
)
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import LeaseOwner, RunIdentity, to_json
from ftm_core.data import lease
from ftm_core.run_inputs import run_inputs
from ftm_core.storage.local import LocalStorage
from tests.unit.data.builders import manifest

REPOSITORY = Path(__file__).resolve().parents[3]
PARTS: dict[str, Any] = {"settings": {"themes": {"min_firms": 2}}, "prompt_version": "1"}

RUN_PROCESS = """
import sys
from pathlib import Path
from ftm_core.data import lease
from ftm_core.contracts.errors import FtmError
from ftm_core.contracts.quarters import Quarter
from ftm_core.storage.local import LocalStorage
folder, name = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
parts = {"settings": {"themes": {"min_firms": 2}}, "prompt_version": "1"}
try:
    lease.acquire(LocalStorage(Path(folder)), Quarter(2023, 1), parts, lease.this_process(name))
except FtmError as error:
    print(error, flush=True)
    sys.exit(error.exit_code)
print("holding", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def store(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def start_run(store: LocalStorage, name: str) -> subprocess.Popen[str]:
    """A process about to begin a run: it waits for a line, and holds the quarter till the next."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN_PROCESS, store.uri, name],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def release(process: subprocess.Popen[str]) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def elsewhere(run_name: str, seconds_ago: float) -> LeaseOwner:
    seen = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds_ago)
    return LeaseOwner(run_name, "another-host", 1, 0.0, seen.isoformat(timespec="seconds"))


def begin(
    store: LocalStorage, name: str, parts: dict[str, Any] = PARTS, *, restart: bool = False
) -> RunIdentity:
    owner = lease.this_process(name)
    return lease.acquire(store, Quarter(2023, 1), parts, owner, restart=restart)


def test_run_starts_once_and_is_resumed_with_its_identity(
    store: LocalStorage, quarter: Quarter
) -> None:
    first = begin(store, "one")
    lease.release(store, quarter, "one", finished=False)
    second = begin(store, "two")

    assert first.run_id.startswith("one-")
    assert second.run_id == first.run_id
    assert second.owner is not None
    assert second.owner.run_name == "two"
    assert lease.read_identity(store, quarter) == second


def test_a_quarter_without_a_run_has_no_identity(store: LocalStorage, quarter: Quarter) -> None:
    assert lease.read_identity(store, quarter) is None
    with pytest.raises(InputError, match="has no run"):
        lease.require_lease(store, quarter, "one")


def test_a_finished_run_says_so_until_it_is_taken_up_again(
    store: LocalStorage, quarter: Quarter
) -> None:
    begin(store, "one")
    lease.release(store, quarter, "one", finished=True)
    finished = lease.read_identity(store, quarter)
    assert finished is not None
    assert finished.finished is not None
    assert finished.owner is None

    assert begin(store, "two").finished is None


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"MIN_FIRMS": "3"}, "min_firms 2 -> 3"),
        ({"LLM_MODEL_NAME": "other"}, "model_name 'Qwen/Qwen3-8B' -> 'other'"),
        ({"FIRM_MIN_TOPIC_SIZE": "7", "THEME_SEED": "8"}, "min_topic_size 3 -> 7, seed 42 -> 8"),
    ],
)
def test_fault_5_changed_settings_are_refused_and_named(
    store: LocalStorage, quarter: Quarter, environment: dict[str, str], named: str
) -> None:
    before = run_inputs(manifest(), settings.resolve(environment={}).settings)
    after = run_inputs(manifest(), settings.resolve(environment=environment).settings)
    begin(store, "one", before)
    lease.release(store, quarter, "one", finished=True)
    stored = store.read(keys.run_identity(quarter))

    with pytest.raises(RunRefusedError) as caught:
        begin(store, "two", after)

    assert named in caught.value.cause
    assert "--restart" in caught.value.hint
    assert caught.value.exit_code == ExitCode.USAGE
    assert store.read(keys.run_identity(quarter)) == stored


def test_fault_5_changed_transcripts_are_refused_and_named(
    store: LocalStorage, quarter: Quarter
) -> None:
    values = settings.resolve(environment={}).settings
    begin(store, "one", run_inputs(manifest("a" * 64), values))
    lease.release(store, quarter, "one", finished=True)

    with pytest.raises(RunRefusedError, match="transcripts"):
        begin(store, "two", run_inputs(manifest("b" * 64), values))


def test_settings_that_rows_do_not_depend_on_may_change() -> None:
    chosen = {"BATCH_SIZE": "7", "MAP_WORKERS": "3", "LLM_TIMEOUT": "5", "LLM_BASE_URL": "http://x"}
    before = run_inputs(manifest(), settings.resolve(environment={}).settings)
    after = run_inputs(manifest(), settings.resolve(environment=chosen).settings)

    assert lease.fingerprint(before) == lease.fingerprint(after)


def test_changes_name_what_is_new_gone_or_different() -> None:
    before = {"a": 1, "b": {"c": 1, "d": 2}, "list": [1], "gone": 1}
    after = {"a": 1, "b": {"c": 1, "d": 3}, "list": [2], "new": {"x": 1}}

    named = lease.changes(before, after)

    assert named == "d 2 -> 3, gone 1 -> None, list (content), new (content)"


@pytest.mark.slow
def test_fault_7_second_process_is_refused_naming_the_first(
    store: LocalStorage, quarter: Quarter
) -> None:
    first, second = start_run(store, "first-run"), start_run(store, "second-run")
    assert release(first) == "holding"

    refusal = release(second)

    assert second.wait(timeout=30) == ExitCode.USAGE
    assert "first-run" in refusal
    assert str(first.pid) in refusal
    held = lease.require_lease(store, quarter, "first-run")
    assert held.owner is not None
    assert held.owner.pid == first.pid
    release(first)
    assert first.wait(timeout=30) == 0


@pytest.mark.slow
@pytest.mark.parametrize("names", [("one", "two", "three"), ("same", "same", "same")])
def test_fault_7_one_of_several_at_once_gets_the_quarter(
    store: LocalStorage, names: tuple[str, ...]
) -> None:
    # Runs are named after the second they begin in, so even the name may be the same.
    processes = [start_run(store, name) for name in names]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()

    said = []
    for process in processes:
        assert process.stdout is not None
        said.append(process.stdout.readline().strip())
    for process in processes:
        process.communicate()

    assert said.count("holding") == 1
    winner = said.index("holding")
    for number, text in enumerate(said):
        if number != winner:
            assert f"is leased to the run {names[winner]} (process {processes[winner].pid} " in text


def test_lease_of_a_killed_process_is_acquired(store: LocalStorage) -> None:
    killed = start_run(store, "killed-run")
    assert release(killed) == "holding"
    os.kill(killed.pid, signal.SIGKILL)
    # Not waited for: while nobody asks after it, it stays a zombie, and yet is dead.
    os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)

    taken = begin(store, "next-run")

    assert taken.run_id.startswith("killed-run-")
    assert taken.owner is not None
    assert taken.owner.run_name == "next-run"
    killed.wait()


@pytest.mark.slow
def test_several_take_over_from_the_dead_and_one_gets_it(
    store: LocalStorage, quarter: Quarter
) -> None:
    lease.acquire(store, quarter, PARTS, elsewhere("dead", lease.LEASE_SECONDS + 60))
    processes = [start_run(store, f"run-{number}") for number in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = []
    for process in processes:
        assert process.stdout is not None
        said.append(process.stdout.readline().strip())
    for process in processes:
        process.communicate()

    assert said.count("holding") == 1
    winner = f"run-{said.index('holding')}"
    assert all(winner in text for text in said if text != "holding")


def test_process_with_the_number_of_the_dead_is_not_the_owner(store: LocalStorage) -> None:
    mine = lease.this_process("one")
    earlier = dataclasses.replace(mine, process_started=mine.process_started - 3600)

    assert lease.is_alive(mine)
    assert not lease.is_alive(earlier)


def test_process_number_in_another_container_is_another_process() -> None:
    mine = lease.this_process("one")
    neighbour = dataclasses.replace(
        mine, process_namespace="pid:[1]", process_started=mine.process_started - 3600
    )

    # Nothing can be known of it but its heartbeat, which is fresh.
    assert lease.is_alive(neighbour)


def test_a_second_attempt_on_the_same_host_is_another_process(
    monkeypatch: pytest.MonkeyPatch, store: LocalStorage, quarter: Quarter
) -> None:
    """Fault A23: host, namespace and number may all be those of the attempt before."""
    monkeypatch.setenv("AWS_BATCH_JOB_ID", "01234567-89ab-cdef-0123-456789abcdef")
    monkeypatch.setenv("AWS_BATCH_JOB_ATTEMPT", "1")
    first = lease.this_process("one")
    monkeypatch.setenv("AWS_BATCH_JOB_ATTEMPT", "2")
    second = lease.this_process("one")
    assert (first.host, first.pid) == (second.host, second.pid)
    assert first.process_namespace != second.process_namespace

    lease.acquire(store, quarter, PARTS, first)
    taken = lease.acquire(store, quarter, PARTS, second)
    assert taken.owner == second


@pytest.mark.parametrize(
    ("seconds_ago", "alive"),
    [(0, True), (lease.LEASE_SECONDS - 30, True), (lease.LEASE_SECONDS + 30, False)],
)
def test_an_owner_elsewhere_lives_as_long_as_its_heartbeat(
    store: LocalStorage, quarter: Quarter, seconds_ago: float, alive: bool
) -> None:
    lease.acquire(store, quarter, PARTS, elsewhere("far-run", seconds_ago))

    if alive:
        with pytest.raises(RunRefusedError, match="far-run"):
            begin(store, "near-run")
    else:
        assert begin(store, "near-run").owner == dataclasses.replace(
            lease.this_process("near-run"), heartbeat=_heartbeat(store, quarter)
        )


def _heartbeat(store: LocalStorage, quarter: Quarter) -> str:
    identity = lease.read_identity(store, quarter)
    assert identity is not None
    assert identity.owner is not None
    return identity.owner.heartbeat


def test_a_run_whose_container_was_lost_may_plan_again(
    store: LocalStorage, quarter: Quarter
) -> None:
    lease.acquire(store, quarter, PARTS, elsewhere("smoke-test-1", 5))

    assert begin(store, "smoke-test-1").run_id.startswith("smoke-test-1-")


def test_heartbeat_renews_the_lease(store: LocalStorage, quarter: Quarter) -> None:
    lease.acquire(store, quarter, PARTS, elsewhere("far-run", 500))
    before = _heartbeat(store, quarter)

    lease.renew(store, quarter, "far-run")

    assert _heartbeat(store, quarter) > before
    with pytest.raises(RunRefusedError, match="leased to the run far-run, not to the run other"):
        lease.renew(store, quarter, "other")


def test_a_heartbeat_just_renewed_by_a_sister_job_is_left(
    store: LocalStorage, quarter: Quarter
) -> None:
    lease.acquire(store, quarter, PARTS, elsewhere("far-run", 10))
    before = store.read(keys.run_identity(quarter))

    lease.renew(store, quarter, "far-run")

    assert store.read(keys.run_identity(quarter)) == before


def test_run_that_lost_the_lease_fails_at_its_next_heartbeat(
    store: LocalStorage, quarter: Quarter
) -> None:
    lease.acquire(store, quarter, PARTS, elsewhere("slow-run", lease.LEASE_SECONDS + 1))
    begin(store, "new-run")

    with pytest.raises(RunRefusedError, match="leased to the run new-run, not to the run slow-run"):
        lease.renew(store, quarter, "slow-run")
    with pytest.raises(RunRefusedError, match="leased to the run new-run, not to the run slow-run"):
        lease.require_lease(store, quarter, "slow-run")
    with pytest.raises(RunRefusedError, match="leased to the run new-run"):
        lease.release(store, quarter, "slow-run", finished=True)


class RestlessStorage(LocalStorage):
    """A folder where someone else is always quicker."""

    def replace(self, key: str, data: bytes, *, version: str) -> bool:
        return False


def test_lease_that_cannot_be_renewed_or_released_is_no_success(
    tmp_path: Path, quarter: Quarter
) -> None:
    lease.acquire(LocalStorage(tmp_path), quarter, PARTS, elsewhere("run", 500))

    with pytest.raises(StorageRetryableError):
        lease.renew(RestlessStorage(tmp_path), quarter, "run")
    with pytest.raises(StorageRetryableError):
        lease.release(RestlessStorage(tmp_path), quarter, "run", finished=True)


# What --restart removes, what it keeps, and what belongs to others.
MADE_BY_A_RUN = [
    "progress/2023Q1/batches.json",
    "progress/2023Q1/reduce.json",
    "progress/2023Q1/timings.json",
    "progress/2023Q1/themes_failures.json",
    "progress/2023Q1/2023Q1_batch_0000_checkpoint.json",
    "progress/2023Q1/2023Q1_batch_0000_failures.json",
    "intermediate/firm-topics/quarter=2023Q1/2023Q1_batch_0000_part_0000.parquet",
    "intermediate/sentences/quarter=2023Q1/2023Q1_batch_0000_part_0000.parquet",
    "processed/themes/quarter=2023Q1/themes.parquet",
    "processed/themes/quarter=2023Q1/theme_contributions.parquet",
    "processed/firms/quarter=2023Q1/firms.parquet",
    "processed/sentences/quarter=2023Q1/sentences.parquet",
    "processed/topics/quarter=2023Q1/topics.parquet",
    "sentiment-ready/quarter=2023Q1/themes_for_sentiment.parquet",
]
KEPT = [
    "progress/2023Q1/answers/ab.jsonl",
    "prefetch/transcripts/quarter=2023Q1/manifest.json",
    "prefetch/transcripts/quarter=2023Q1/chunk_0000.parquet",
    "something/else.txt",
]


def others_keys() -> list[str]:
    return [key.replace("2023Q1", "2023Q2") for key in [*MADE_BY_A_RUN, *KEPT]]


def fill(store: LocalStorage) -> None:
    for key in [*MADE_BY_A_RUN, *KEPT, *others_keys()]:
        store.write(key, b"x")


def test_restart_clears_exactly_the_quarters_own_keys(
    store: LocalStorage, quarter: Quarter
) -> None:
    begin(store, "one")
    lease.release(store, quarter, "one", finished=True)
    fill(store)

    fresh = begin(store, "two", {"prompt_version": "2"}, restart=True)

    left = set(store.list(""))
    assert left == {*KEPT, *others_keys(), keys.run_identity(quarter)}
    assert fresh.run_id.startswith("two-")
    assert fresh.inputs == {"prompt_version": "2"}
    assert lease.read_identity(store, quarter) == fresh


def test_restart_does_not_drive_out_a_live_run(store: LocalStorage, quarter: Quarter) -> None:
    lease.acquire(store, quarter, PARTS, elsewhere("far-run", 5))
    fill(store)
    before = set(store.list(""))

    with pytest.raises(RunRefusedError, match="far-run"):
        begin(store, "two", restart=True)
    assert set(store.list("")) == before


def test_restart_gets_over_a_damaged_identity(store: LocalStorage, quarter: Quarter) -> None:
    fill(store)
    store.write(keys.run_identity(quarter), b'{"run_id": "half')

    with pytest.raises(InputError, match="--restart"):
        begin(store, "one")
    fresh = begin(store, "two", restart=True)

    assert lease.read_identity(store, quarter) == fresh
    assert not any(store.exists(key) for key in MADE_BY_A_RUN)


class DyingStorage(LocalStorage):
    """A folder whose ``n``-th change never happens, nor any after it: the process is gone."""

    def __init__(self, root: Path, survives: int) -> None:
        super().__init__(root)
        self.left = survives

    def _live(self) -> None:
        if self.left == 0:
            raise StorageError("store", "died here", "Nothing.")
        self.left -= 1

    def delete(self, key: str) -> None:
        self._live()
        super().delete(key)

    def create(self, key: str, data: bytes) -> bool:
        self._live()
        return super().create(key, data)

    def replace(self, key: str, data: bytes, *, version: str) -> bool:
        self._live()
        return super().replace(key, data, version=version)


@pytest.mark.parametrize("survives", range(len(MADE_BY_A_RUN) + 3))
def test_a_restart_cut_short_is_never_taken_for_a_fresh_run(
    tmp_path: Path, quarter: Quarter, survives: int
) -> None:
    store = LocalStorage(tmp_path)
    old = begin(store, "one")
    lease.release(store, quarter, "one", finished=True)
    fill(store)
    changed = {"prompt_version": "2"}
    dead = dataclasses.replace(lease.this_process("two"), process_started=0.0)

    with pytest.raises(StorageError):
        lease.acquire(DyingStorage(tmp_path, survives), quarter, changed, dead, restart=True)

    left = lease.read_identity(store, quarter)
    assert left is not None
    assert left.run_id == old.run_id
    # Where anything is gone, the quarter no longer counts as finished.
    if not all(store.exists(key) for key in MADE_BY_A_RUN):
        assert left.finished is None
    # Parts may be missing only after every checkpoint is.
    if not all(store.exists(key) for key in MADE_BY_A_RUN if not key.startswith("progress")):
        assert not any(store.exists(key) for key in MADE_BY_A_RUN if key.startswith("progress"))
    with pytest.raises(RunRefusedError, match="--restart"):
        begin(store, "three", changed)
    assert begin(store, "four", changed, restart=True).run_id.startswith("four-")
    assert not any(store.exists(key) for key in MADE_BY_A_RUN)


def test_an_identity_of_another_version_is_refused_by_name(
    store: LocalStorage, quarter: Quarter
) -> None:
    identity = begin(store, "one")
    store.write(
        keys.run_identity(quarter), to_json(identity).replace(b'"run_id"', b'"identifier"', 1)
    )

    with pytest.raises(InputError, match=r"run\.json"):
        lease.read_identity(store, quarter)


def test_a_run_is_named_after_quarter_and_time(quarter: Quarter) -> None:
    name = lease.new_run_name(quarter)

    assert dt.datetime.strptime(name, "2023Q1-%Y%m%d-%H%M%S").year >= 2023
