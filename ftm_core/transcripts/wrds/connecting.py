"""Connect to WRDS, and explain to its user what went wrong when that or a query fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from ftm_core.contracts.errors import FtmError, InputError, RetryableError
from ftm_core.transcripts.wrds.credentials import Login

_AGAIN = "Run the same command again: it resumes after the last chunk that was saved."
_LOCKOUT = (
    "The server may say the same for a wrong password, an expired account, a locked one and a Duo "
    "prompt that was not approved. Look at the phone for a Duo push (PostgreSQL logins accept Duo "
    "Mobile only) and approve it within the connection timeout; check that the password still "
    "works on the WRDS website. ftm does not try again by itself, because repeated refusals may "
    "lock the account; if it is locked, wait, or write to WRDS support."
)
_REFUSED = (
    "authentication failed",
    "no password supplied",
    "is not permitted to log in",
    "account is locked",
    "password has expired",
)
# What libpq says before there is a session, in lower case, and what to do about it.
_SETTINGS = {
    "no pg_hba.conf entry": "The server takes no login from this address, user and encryption: "
    "leave PGSSLMODE unset (WRDS wants encryption), or log in from your institution's network.",
    "does not support ssl": "This is not WRDS's own server: for one without encryption set "
    "PGSSLMODE=disable.",
    "does not exist": "Check --database and --user.",
    "could not translate host name": "Check --host and PGHOST, and that this machine is online.",
    "invalid sslmode": "Correct PGSSLMODE or leave it unset.",
}
# Server states after which the same query can succeed on a new connection: shutdown, crash,
# recovery, a standby that cancelled it, out of connections or memory.
_PASSING = ("08", "53", "57P", "40")


class ConnectionLostError(RetryableError):
    """The connection could not be made or was lost; nothing that was saved is affected."""


@dataclass(frozen=True)
class Limits:
    """How long things may take, in seconds.

    The connection waits for a Duo push to be approved. ``statement`` bounds every single answer
    of the server; ``idle`` is the longest pause between two fetches.
    """

    connect: int = 120
    statement: int = 3600
    idle: int = 3600


DEFAULT_LIMITS = Limits()


def connect(login: Login, limits: Limits = DEFAULT_LIMITS) -> psycopg.Connection:
    """A read-only connection whose whole work is one snapshot of the tables.

    Raises InputError when the login is refused, ConnectionLostError when the server cannot be
    reached.
    """
    where = f"The WRDS server at {login.host}:{login.port}"
    refusal: FtmError | None = None
    try:
        # The password goes straight into the call: no variable of this frame ever holds it.
        connection = psycopg.connect(
            host=login.host,
            port=login.port,
            dbname=login.database,
            user=login.user,
            client_encoding="UTF8",
            application_name="ftm",
            connect_timeout=limits.connect,
            keepalives=1,
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=5,
            tcp_user_timeout=120_000,
            **_given(login),
        )
    except psycopg.Error as error:
        refusal = explain(where, error)
    if refusal is not None:
        # Raised out here, it has no psycopg error as its context: those frames hold the password.
        raise refusal
    with translated():
        # The session runs one transaction: the plan and the text must be of the same state.
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        _set_limits(connection, limits)
    return connection


def _given(login: Login) -> dict[str, Any]:
    """Parameters that libpq gets only if we know them; otherwise it finds its own."""
    return {
        **({"sslmode": login.sslmode} if login.sslmode is not None else {}),
        **({"password": login.password.reveal()} if login.password is not None else {}),
    }


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn an error of a query into an FtmError with what to do."""
    try:
        yield
    except psycopg.Error as error:
        raise explain("WRDS query", error) from error


def explain(where: str, error: psycopg.Error) -> FtmError:
    """What a psycopg error means to the operator, and whether it can pass."""
    message = _first_line(error)
    state = error.sqlstate or ""
    lowered = str(error).lower()
    if state.startswith("28") or any(text in lowered for text in _REFUSED):
        return InputError(where, f"refused the login ({message})", _LOCKOUT)
    for text, hint in _SETTINGS.items():
        if not state and text in lowered:
            return InputError(where, f"could not be logged in to ({message})", hint)
    if state == "57014" and "statement timeout" in lowered:
        return RetryableError(
            where, "took longer than the statement timeout",
            f"Raise --statement-timeout, or try at a quieter hour. {_AGAIN}",
        )  # fmt: skip
    if state == "42501":
        return InputError(
            where,
            f"does not let the account read a table ({message})",
            "The Capital IQ transcripts and the CRSP/Compustat links are separate WRDS "
            "subscriptions: ask your WRDS representative for ciq and crsp.",
        )
    if state in {"42P01", "3F000", "42703"}:
        return InputError(
            where,
            f"lacks a table or column ({message})",
            "This is not the WRDS database, or WRDS has changed its layout: check --database.",
        )
    if state.startswith(_PASSING) or (isinstance(error, psycopg.OperationalError) and not state):
        return ConnectionLostError(
            where,
            f"could not be reached, or closed the connection ({message})",
            f"Check network, VPN and host name. {_AGAIN}",
        )
    return FtmError(where, f"could not run a query ({message})", "Report this with the text above.")


def _first_line(error: psycopg.Error) -> str:
    """What the server said; libpq's later lines repeat it for every address it tried."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _set_limits(connection: psycopg.Connection, limits: Limits) -> None:
    """Set by a query, because connection poolers refuse them as start-up options."""
    for name, value in (
        ("statement_timeout", f"{limits.statement}s"),
        ("idle_in_transaction_session_timeout", f"{limits.idle}s"),
        # Every row is fetched, so the plan for all of them is wanted, not the quickest first row.
        ("cursor_tuple_fraction", "1.0"),
    ):
        connection.execute("SELECT set_config(%s, %s, false)", (name, value))
