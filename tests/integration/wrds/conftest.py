"""A PostgreSQL server for the whole suite, and a quarter fetched from it into a folder."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from ftm_core.contracts.events import Listener, ignore
from ftm_core.contracts.quarters import Quarter
from ftm_core.storage.local import LocalStorage
from ftm_core.transcripts.wrds.connecting import Limits, connect
from ftm_core.transcripts.wrds.credentials import LoginFlags, find_login
from ftm_core.transcripts.wrds.fetching import FetchReport, FetchRequest, fetch_quarter
from tests.fakes.needs import skip_or_fail
from tests.fakes.wrds_postgres import PostgresServer, available

QUARTER = Quarter(2023, 1)
TODAY = dt.date(2024, 6, 30)

Connect = Callable[[], psycopg.Connection]
Fetch = Callable[..., FetchReport]


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A running server, for tests to fill with ``wrds_tables.load``."""
    if not available():
        skip_or_fail("PostgreSQL is not installed (Debian: postgresql)")
    running = PostgresServer()
    # Every login of the suite is unencrypted: the server is this machine's own.
    before = os.environ.get("PGSSLMODE")
    os.environ["PGSSLMODE"] = "disable"
    yield running
    os.environ.pop("PGSSLMODE")
    if before is not None:
        os.environ["PGSSLMODE"] = before
    running.close()


@pytest.fixture(scope="session")
def connecting(server: PostgresServer) -> Connect:
    """Logs in as the researcher."""
    login = find_login(LoginFlags(), server.environment())
    return lambda: connect(login, Limits(connect=10, statement=120))


@pytest.fixture(scope="session")
def fetch(connecting: Connect) -> Fetch:
    """Fetches 2023Q1 into a folder, as the command does, and never waits."""

    def run(
        folder: Path | LocalStorage,
        *,
        connect: Connect = connecting,
        listener: Listener = ignore,
        pause: Callable[[float], None] = lambda seconds: None,
        **request: object,
    ) -> FetchReport:
        storage = LocalStorage(folder) if isinstance(folder, Path) else folder
        wanted = FetchRequest(QUARTER, **request)  # type: ignore[arg-type]
        return fetch_quarter(storage, wanted, connect, listener, today=TODAY, pause=pause)

    return run
