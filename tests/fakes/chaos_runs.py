"""Real `ftm run` process trees: started, waited for, killed, and their output compared."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

from ftm_core.contracts import keys
from ftm_core.contracts.quarters import Quarter
from ftm_core.data import lease
from ftm_core.data.batch_plan import read_plan
from ftm_core.data.map_output import iterate_sentences, read_map_output
from ftm_core.storage import Storage, tables
from ftm_core.storage.local import LocalStorage

Q = Quarter(2023, 1)
FIRMS = 8
# Short waits: the machine of a test is its own network.
QUICK = {"LLM_HEALTH_POLL": "1", "LLM_HEALTH_WAIT": "60", "CHECKPOINT_INTERVAL": "2"}
_OWN = ("LLM_", "FTM_", "MAP_", "FIRM_", "THEME_", "AWS_", "BATCH_", "CHECKPOINT_", "EMBEDDING_")
_POLL_SECONDS = 0.02


def clean_environment(more: Mapping[str, str]) -> dict[str, str]:
    """This machine's environment less every setting of ftm, with ``more`` in their place."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}
    return {**kept, **QUICK, **more}


class Process:
    """One process of ftm in a session of its own, its output kept in files."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", *command],
                env=dict(environment),
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._popen.pid

    @property
    def output(self) -> str:
        """All that it has printed."""
        return self._log.read_text(errors="replace")

    @property
    def has_ended(self) -> bool:
        return self._popen.poll() is not None

    def wait(self, seconds: float = 600) -> int:
        """Its exit code."""
        return self._popen.wait(seconds)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 300) -> None:
        """Return once ``condition`` holds; fails when the process ends first."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert not self.has_ended, f"ended early:\n{self.output}"
            assert time.monotonic() < deadline, f"waited in vain:\n{self.output}"
            time.sleep(_POLL_SECONDS)

    def wait_until_stoppable(self) -> None:
        """Return once SIGTERM is caught (bit 15 of SigCgt), or the process has ended."""
        while not self.has_ended:
            lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
            caught = next((line for line in lines if line.startswith("SigCgt")), "SigCgt: 0")
            if int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
                return
            time.sleep(_POLL_SECONDS)

    def wait_at_most(self, seconds: float) -> bool:
        """Whether it ended within ``seconds``."""
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def descendants(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """kill -9 of this process alone; its children must see for themselves."""
        self._popen.kill()
        self._popen.wait()

    def terminate(self, seconds: float = 10) -> int:
        """SIGTERM; the exit code, which must come within ``seconds``."""
        self._popen.send_signal(signal.SIGTERM)
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"was still there {seconds} s after SIGTERM") from None


class Place:
    """A data folder, and the runs over it."""

    def __init__(self, folder: Path, environment: Mapping[str, str], firms: int = FIRMS) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.environment = clean_environment(environment)
        self.firms = firms
        self._n_started = 0

    @classmethod
    def over(cls, corpus: Path, folder: Path, environment: Mapping[str, str]) -> Place:
        """A fresh place with the corpus ingested."""
        shutil.copytree(corpus, folder / "data")
        return cls(folder, environment)

    @property
    def storage(self) -> LocalStorage:
        return LocalStorage(self.data)

    def start(self, *options: str, **environment: str) -> Process:
        """Begin ``ftm run`` with these options and settings."""
        self._n_started += 1
        return Process(
            ["ftm_cli", "run", "--quarter", str(Q), "--data", str(self.data),
             "--max-firms", str(self.firms), *(options or ("--workers", "1"))],
            {**self.environment, **environment},
            self.folder / f"run{self._n_started}.log",
        )  # fmt: skip

    def finish(self, *options: str, **environment: str) -> Process:
        """Run to the end, and be sure that it went well."""
        process = self.start(*options, **environment)
        code = process.wait()
        assert code == 0, process.output
        return process

    def n_completed(self) -> int:
        """Firms that checkpoints name as finished."""
        plan = read_plan(self.storage, Q) or []
        return sum(
            len(point.completed_firm_ids)
            for point in (runs_checkpoint(self.storage, batch.batch_id) for batch in plan)
            if point is not None
        )


def runs_checkpoint(storage: Storage, batch_id: str) -> Any:
    from ftm_core.data.checkpoints import read_checkpoint

    return read_checkpoint(storage, Q, batch_id)


def gone(processes: Sequence[psutil.Process], seconds: float = 10) -> list[psutil.Process]:
    """Those of ``processes`` that are still there after ``seconds``."""
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


Rows = dict[str, list[dict[str, Any]]]


def rows_of(storage: Storage, quarter: Quarter = Q) -> Rows:
    """Every output row of the quarter, as a reader of the run's output meets it, sorted.

    Times of processing and the ids of runs are left out: they alone may differ between runs.
    """
    identity = lease.read_identity(storage, quarter)
    assert identity is not None
    output = read_map_output(storage, quarter, read_plan(storage, quarter) or [], identity.run_id)
    found: Rows = {
        "sentences of the map": [
            row for table in iterate_sentences(storage, output) for row in table.to_pylist()
        ],
        "topics of the map": [
            row for key in output.topic_keys() for row in _table(storage, key)
        ],
    }  # fmt: skip
    for key in (
        keys.themes(quarter),
        keys.theme_contributions(quarter),
        keys.theme_exposures(quarter),
        *(keys.processed_table(name, quarter) for name in keys.PROCESSED_TABLES),
        keys.sentiment_ready(quarter),
    ):
        found[key] = _table(storage, key)
    return {
        name: sorted(
            ({k: v for k, v in row.items() if k != "processing_timestamp"} for row in rows),
            key=repr,
        )
        for name, rows in found.items()
    }


def _table(storage: Storage, key: str) -> list[dict[str, Any]]:
    assert tables.read_run_id(storage, key)
    with storage.open_input(key) as source:
        rows: list[dict[str, Any]] = pq.read_table(source).to_pylist()
    return rows


def assert_same_rows(found: Rows, expected: Rows) -> None:
    """Fail naming the table, the counts and the first row that differs."""
    assert found.keys() == expected.keys()
    for name, rows in expected.items():
        assert rows, f"{name}: nothing to compare"
        assert len(found[name]) == len(rows), f"{name}: {len(found[name])} rows, not {len(rows)}"
        for mine, other in zip(found[name], rows, strict=True):
            differ = {
                column: (mine[column], other[column])
                for column in other
                if mine.get(column) != other[column]
            }
            assert not differ, f"{name}: {differ}"
