"""Errors of PostgreSQL and PAM, and the message to the operator."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from ftm_core.contracts.errors import FtmError, InputError, RetryableError
from ftm_core.transcripts.wrds.connecting import ConnectionLostError, explain

AT_LOGIN = 'connection to server at "192.0.2.1", port 9737 failed: '


@pytest.mark.parametrize(
    ("error", "kind", "hint"),
    [
        (
            psycopg.OperationalError(AT_LOGIN + 'FATAL:  PAM authentication failed for user "a"'),
            InputError,
            "Duo",
        ),
        (
            psycopg.OperationalError(AT_LOGIN + 'FATAL:  password authentication failed for "a"'),
            InputError,
            "lock",
        ),
        (
            psycopg.OperationalError(AT_LOGIN + "fe_sendauth: no password supplied"),
            InputError,
            "password",
        ),
        (
            psycopg.OperationalError(AT_LOGIN + 'FATAL:  no pg_hba.conf entry for host "1.2.3.4"'),
            InputError,
            "network",
        ),
        (
            psycopg.OperationalError(AT_LOGIN + 'FATAL:  database "wrsd" does not exist'),
            InputError,
            "--database",
        ),
        (
            psycopg.OperationalError('could not translate host name "wrds-pg" to address'),
            InputError,
            "--host",
        ),
        (
            psycopg.OperationalError(AT_LOGIN + "Connection refused"),
            ConnectionLostError,
            "VPN",
        ),
        (psycopg.errors.ConnectionTimeout("connection timeout expired"), ConnectionLostError, ""),
        (
            psycopg.OperationalError(AT_LOGIN + 'FATAL:  too many connections for role "a"'),
            ConnectionLostError,
            "again",
        ),
        (
            psycopg.OperationalError("consuming input failed: server closed the connection"),
            ConnectionLostError,
            "last chunk",
        ),
        (errors.AdminShutdown("terminating connection"), ConnectionLostError, "last chunk"),
        (errors.CrashShutdown("crash of another process"), ConnectionLostError, "last chunk"),
        (
            errors.SerializationFailure("canceling statement due to conflict with recovery"),
            ConnectionLostError,
            "again",
        ),
        (
            errors.QueryCanceled("canceling statement due to statement timeout"),
            RetryableError,
            "--statement-timeout",
        ),
        (errors.InsufficientPrivilege("permission denied"), InputError, "subscription"),
        (errors.UndefinedTable('relation "ciq.x" does not exist'), InputError, "layout"),
        (errors.UndefinedColumn('column "x" does not exist'), InputError, "layout"),
        (errors.DataError("odd"), FtmError, "Report"),
    ],
)
def test_each_failure_has_its_kind_and_its_remedy(
    error: psycopg.Error, kind: type[FtmError], hint: str
) -> None:
    reported = explain("WRDS", error)

    assert type(reported) is kind
    assert hint in reported.hint
    assert str(error).split(": ")[-1] in reported.cause or "timeout" in reported.cause
