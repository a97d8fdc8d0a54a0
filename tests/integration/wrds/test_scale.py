"""A large quarter: memory stays where it was, and the server is asked a fixed number of times."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ftm_core.transcripts.wrds.fetching import FetchReport
from tests.fakes import wrds_tables
from tests.fakes.wrds_postgres import USER, PostgresServer

SMALL, LARGE = 10_000, 100_000


def fetch_in_a_process(server: PostgresServer, folder: Path, n_components: int) -> dict[str, Any]:
    wrds_tables.load(server, wrds_tables.with_bulk(n_components))
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from ftm_cli.app import main; main()"),
            *("ingest", "wrds", "-q", "2023Q1", "--data", str(folder), "--json"),
        ],
        env={**os.environ, **server.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    reported: dict[str, Any] = json.loads(done.stdout)
    return reported


def test_memory_does_not_grow_with_the_quarter(server: PostgresServer, tmp_path: Path) -> None:
    small = fetch_in_a_process(server, tmp_path / "small", SMALL)
    large = fetch_in_a_process(server, tmp_path / "large", LARGE)

    # Ten times the text, which is more than 60 MB: held at once it would show.
    assert large["components"] >= LARGE * 0.99
    assert large["sentences"] > 9 * small["sentences"]
    assert large["peak_memory_mib"] < small["peak_memory_mib"] + 40


@pytest.fixture
def logged(server: PostgresServer) -> Callable[[], int]:
    """How many queries the researcher has sent so far, fetches of a cursor left out."""
    wrds_tables.load(server, wrds_tables.with_bulk(3000, per_call=20))
    with psycopg.connect(server.owner_dsn(), autocommit=True) as connection:
        connection.execute(f"ALTER ROLE {USER} SET log_statement = 'all'")
    seen = len(server.log())

    def count() -> int:
        sent = re.findall(r"LOG: +(?:statement|execute [^:]*): *(\w+)", server.log()[seen:])
        return len([word for word in sent if word.upper() != "FETCH"])

    return count


def test_queries_are_as_many_for_a_hundred_firms_as_for_one(
    server: PostgresServer,
    logged: Callable[[], int],
    fetch: Callable[..., FetchReport],
    tmp_path: Path,
) -> None:
    report = fetch(tmp_path, firms_per_chunk=20)

    with psycopg.connect(server.owner_dsn(), autocommit=True) as connection:
        connection.execute(f"ALTER ROLE {USER} RESET log_statement")
    assert report.manifest.n_firms > 100
    assert 4 <= logged() < 15
