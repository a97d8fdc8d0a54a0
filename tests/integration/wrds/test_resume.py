"""A fetch that is cut off resumes after its last whole chunk, with the same data or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ftm_core.contracts import keys, records, schemas
from ftm_core.contracts.errors import ExitCode, RetryableError, RunRefusedError
from ftm_core.contracts.events import Event, StageStarted
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.lease import acquire, release, this_process
from ftm_core.data.transcript_chunks import read_manifest
from ftm_core.storage.local import LocalStorage
from ftm_core.storage.tables import read_table
from ftm_core.transcripts.wrds.fetching import FetchReport
from tests.fakes import wrds_tables
from tests.fakes.wrds_postgres import PostgresServer

QUARTER = Quarter(2023, 1)
FIRMS_PER_CHUNK = 10
COMPONENTS = 4000

Fetch = Callable[..., FetchReport]


class AtChunk(LocalStorage):
    """A folder that does something once, when a given chunk has been written."""

    def __init__(self, root: Path, number: int, action: Callable[[], None]) -> None:
        super().__init__(root)
        self._key = keys.transcripts_chunk(QUARTER, number)
        self._action: Callable[[], None] | None = action
        self.written: Counter[str] = Counter()

    def write(self, key: str, data: bytes) -> None:
        super().write(key, data)
        self.written[key] += 1
        if key == self._key and self._action is not None:
            action, self._action = self._action, None
            action()


@pytest.fixture
def filled(server: PostgresServer) -> PostgresServer:
    """Fresh tables: tests of this module change them."""
    wrds_tables.load(server, wrds_tables.with_bulk(COMPONENTS))
    return server


@pytest.fixture
def small_fetch(fetch: Fetch) -> Fetch:
    """Few rows at a time, so that the server is needed all the way."""

    def run(folder: Path | LocalStorage, **request: Any) -> FetchReport:
        wanted = {"firms_per_chunk": FIRMS_PER_CHUNK, "rows_at_once": 50, **request}
        return fetch(folder, **wanted)

    return run


def chunks_of(folder: Path) -> list[records.ChunkRecord]:
    return list(read_manifest(LocalStorage(folder), QUARTER).chunks)


def sentence_ids(folder: Path) -> list[str]:
    storage = LocalStorage(folder)
    return [
        name
        for chunk in read_manifest(storage, QUARTER).chunks
        for name in read_table(storage, chunk.key, schemas.TRANSCRIPTS)
        .column("sentence_id")
        .to_pylist()
    ]


def change(server: PostgresServer, statement: str) -> None:
    with psycopg.connect(server.owner_dsn(), autocommit=True) as connection:
        connection.execute(statement)


def cut_connections(server: PostgresServer) -> None:
    change(
        server,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ftm'",
    )


@pytest.mark.parametrize("how", ["the server is killed", "an administrator cuts the connection"])
def test_lost_connection_is_made_again_with_the_same_quarter(
    how: str, filled: PostgresServer, small_fetch: Fetch, tmp_path: Path
) -> None:
    small_fetch(tmp_path / "whole")
    paused: list[float] = []
    if how == "the server is killed":
        storage = AtChunk(tmp_path / "cut", 2, filled.kill)
    else:
        storage = AtChunk(tmp_path / "cut", 2, lambda: cut_connections(filled))

    def wait(seconds: float) -> None:
        paused.append(seconds)
        if how == "the server is killed":
            filled.start()

    report = small_fetch(storage, pause=wait)

    assert len(paused) == 1
    assert chunks_of(tmp_path / "cut") == chunks_of(tmp_path / "whole")
    assert max(storage.written[chunk.key] for chunk in report.manifest.chunks) == 1
    assert max(Counter(sentence_ids(tmp_path / "cut")).values()) == 1


def test_server_that_stays_down_is_retryable_and_resumed(
    filled: PostgresServer, small_fetch: Fetch, tmp_path: Path
) -> None:
    small_fetch(tmp_path / "whole")
    paused: list[float] = []

    with pytest.raises(
        RetryableError, match="lost its connection to WRDS 6 times in a row"
    ) as caught:
        small_fetch(AtChunk(tmp_path / "cut", 2, filled.kill), pause=paused.append)

    assert caught.value.exit_code == ExitCode.RETRYABLE
    assert paused == [2.0, 5.0, 15.0, 30.0, 60.0]
    assert not (tmp_path / "cut" / keys.transcripts_manifest(QUARTER)).exists()
    kept = [tmp_path / "cut" / keys.transcripts_chunk(QUARTER, number) for number in range(3)]
    before = [path.read_bytes() for path in kept]

    filled.start()
    seen: list[Event] = []
    report = small_fetch(tmp_path / "cut", listener=seen.append)

    assert report.n_firms_resumed == 3 * FIRMS_PER_CHUNK
    assert next(event.done for event in seen if isinstance(event, StageStarted)) > 0
    assert [path.read_bytes() for path in kept] == before
    assert chunks_of(tmp_path / "cut") == chunks_of(tmp_path / "whole")
    assert max(Counter(sentence_ids(tmp_path / "cut")).values()) == 1


def test_killed_client_resumes_with_the_same_command(
    filled: PostgresServer, tmp_path: Path
) -> None:
    command = [
        *(sys.executable, "-c", "from ftm_cli.app import main; main()"),
        *("ingest", "wrds", "--quarter", "2023Q1"),
        *("--firms-per-chunk", "5", "--data", str(tmp_path)),
    ]
    environment = {**os.environ, **filled.environment()}
    third = tmp_path / keys.transcripts_chunk(QUARTER, 2)
    running = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 180
    while not third.exists() and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    running.kill()
    _, shown = running.communicate()
    assert third.exists(), shown.decode()
    assert not (tmp_path / keys.transcripts_manifest(QUARTER)).exists(), "was too fast to be cut"

    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert again.returncode == 0, again.stderr
    assert "done before" in again.stderr
    assert max(Counter(sentence_ids(tmp_path)).values()) == 1
    manifest = read_manifest(LocalStorage(tmp_path), QUARTER)
    assert sum(chunk.n_firms for chunk in manifest.chunks) == manifest.n_firms


CHANGES = {
    "a text": "UPDATE ciq.ciqtranscriptcomponent SET componenttext = reverse(componenttext) "
    "WHERE transcriptid = 30101",
    "an order": "UPDATE ciq.ciqtranscriptcomponent SET componentorder = 40 WHERE "
    "transcriptid = 40200 AND componentorder = 5",
    "a speaker": "UPDATE ciq.wrds_transcript_person SET speakertypename = 'Analysts' "
    "WHERE transcriptid = 30101",
    "a link": "UPDATE crsp.ccmxpf_linktable SET linkenddt = '2023-02-01' WHERE gvkey = '000103'",
    "a new version": "INSERT INTO ciq.wrds_transcript_detail (companyid, keydevid, transcriptid, "
    "mostimportantdateutc, keydeveventtypeid, companyname, transcriptpresentationtypeid, "
    "transcriptcreationdate_utc) VALUES (301, 3010, 30500, '2023-02-07', 48, 'X', 5, '2023-05-01')",
}


@pytest.mark.parametrize("what", CHANGES)
def test_wrds_changing_half_way_is_refused_until_replace(
    what: str, filled: PostgresServer, small_fetch: Fetch, tmp_path: Path
) -> None:
    with pytest.raises(RetryableError):
        small_fetch(AtChunk(tmp_path, 1, filled.kill), reconnects=0)
    filled.start()
    change(filled, CHANGES[what])

    with pytest.raises(RunRefusedError, match="WRDS's tables"):
        small_fetch(tmp_path)
    assert (tmp_path / keys.transcripts_chunk(QUARTER, 1)).exists()

    report = small_fetch(tmp_path, replace=True)

    assert report.n_firms_resumed == 0
    assert len(chunks_of(tmp_path)) == len(report.manifest.chunks)


def test_wrds_changing_while_the_connection_is_lost_is_noticed(
    filled: PostgresServer, small_fetch: Fetch, tmp_path: Path
) -> None:
    def start_changed(seconds: float) -> None:
        filled.start()
        change(filled, CHANGES["a text"])

    with pytest.raises(RunRefusedError, match="WRDS's tables"):
        small_fetch(AtChunk(tmp_path, 1, filled.kill), pause=start_changed)


def test_other_parameters_are_refused_half_way(
    filled: PostgresServer, small_fetch: Fetch, tmp_path: Path
) -> None:
    with pytest.raises(RetryableError):
        small_fetch(AtChunk(tmp_path, 1, filled.kill), reconnects=0)
    filled.start()

    with pytest.raises(RunRefusedError, match="firms_per_chunk 10 -> 11"):
        small_fetch(tmp_path, firms_per_chunk=11)


def test_replace_given_again_resumes_instead_of_starting_over(
    filled: PostgresServer, small_fetch: Fetch, tmp_path: Path
) -> None:
    with pytest.raises(RetryableError):
        small_fetch(AtChunk(tmp_path, 1, filled.kill), reconnects=0, replace=True)
    filled.start()

    assert small_fetch(tmp_path, replace=True).n_firms_resumed == 2 * FIRMS_PER_CHUNK


def test_a_finished_quarter_is_left_alone_until_wrds_changes(
    filled: PostgresServer, small_fetch: Fetch, tmp_path: Path
) -> None:
    first = small_fetch(tmp_path)
    second = small_fetch(tmp_path)

    assert second.already_complete
    assert second.manifest == first.manifest

    change(filled, CHANGES["a text"])
    with pytest.raises(RunRefusedError, match="WRDS's tables"):
        small_fetch(tmp_path)


def test_transcripts_of_another_source_are_not_overwritten(
    small_fetch: Fetch, tmp_path: Path
) -> None:
    storage = LocalStorage(tmp_path)
    manifest = records.Manifest(
        *("2023Q1", "calls.csv", "0" * 64, 0, 0, 0, 0, 0, (), {}, records.utc_now())
    )
    storage.write(keys.transcripts_manifest(QUARTER), records.to_json(manifest))

    # Refused before anyone logs in.
    with pytest.raises(RunRefusedError, match=r"already ingested from calls\.csv"):
        small_fetch(storage, connect=lambda: pytest.fail("logged in"))


def test_replace_under_a_run_is_refused_before_the_login(
    filled: PostgresServer, fetch: Fetch, connecting: Callable[[], Any], tmp_path: Path
) -> None:
    """Class: commands that ignore the quarter's lease. The transcripts stay as they are.

    Further members: a run that begins during the login, and a fetch after the run has ended.
    """
    fetch(tmp_path)
    before = chunks_of(tmp_path)
    storage = LocalStorage(tmp_path)

    def never() -> Any:
        raise AssertionError("logged in although a run owns the quarter")

    def start_run() -> None:
        acquire(storage, QUARTER, {}, this_process("2023Q1-20230601-120000"))

    def log_in_while_a_run_starts() -> Any:
        start_run()
        return connecting()

    with pytest.raises(RunRefusedError, match="2023Q1-20230601-120000"):
        fetch(tmp_path, replace=True, connect=log_in_while_a_run_starts)
    with pytest.raises(RunRefusedError, match="2023Q1-20230601-120000"):
        fetch(tmp_path, replace=True, connect=never)
    assert chunks_of(tmp_path) == before
    assert all((tmp_path / chunk.key).exists() for chunk in before)
    release(storage, QUARTER, "2023Q1-20230601-120000", finished=True)
    assert fetch(tmp_path, replace=True).manifest.n_firms
