"""Logging in: every source of the password, the message of a refusal, and that nothing shows it."""

from __future__ import annotations

import datetime as dt
import json
import os
import stat
import subprocess
import sys
import traceback
from pathlib import Path
from types import TracebackType

import boto3
import psycopg
import pytest

from ftm_core.contracts.errors import ExitCode, FtmError, InputError, RetryableError
from ftm_core.contracts.quarters import Quarter
from ftm_core.transcripts.wrds.connecting import ConnectionLostError, Limits, connect
from ftm_core.transcripts.wrds.credentials import LoginFlags, find_login
from ftm_core.transcripts.wrds.planning import read_plan
from tests.fakes import wrds_tables
from tests.fakes.s3_emulator import S3Emulator
from tests.fakes.wrds_postgres import PASSWORD, USER, PostgresServer

TODAY = dt.date(2024, 6, 30)
QUICK = Limits(connect=10, statement=60)


@pytest.fixture(scope="module")
def filled(server: PostgresServer) -> PostgresServer:
    wrds_tables.load(server, wrds_tables.traps())
    return server


def without(environment: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in names}


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(":", "\\:")


def password_file(folder: Path, server: PostgresServer, password: str = PASSWORD) -> Path:
    path = folder / "passwords"
    path.write_text(
        "# WRDS\n"
        f"elsewhere:9737:wrds:someone:{escaped('other')}\n"
        f"127.0.0.1:{server.port}:*:{USER}:{escaped(password)}\n"
    )
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    return path


def run_cli(
    environment: dict[str, str], *arguments: str, folder: Path
) -> subprocess.CompletedProcess[str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "WRDS", "AWS", "FTM"))
    }
    return subprocess.run(
        [
            *(sys.executable, "-c", "from ftm_cli.app import main; main()"),
            *("--debug", "ingest", "wrds", "--quarter", "2023Q1", "--data", str(folder / "data")),
            *arguments,
        ],
        env={**inherited, "HOME": str(folder), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def assert_hidden(secret: str, *texts: str) -> None:
    for text in texts:
        assert secret not in text
        assert json.dumps(secret)[1:-1] not in text
        assert repr(secret)[1:-1] not in text


def test_password_comes_from_environment_or_password_file(
    filled: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = without(filled.environment(), "PGUSER", "PGPASSWORD")
    path = password_file(tmp_path, filled)
    sources = {
        "PGPASSWORD": filled.environment(),
        "WRDS_PASSWORD": {**base, "WRDS_USERNAME": USER, "WRDS_PASSWORD": PASSWORD},
        str(path): {**base, "PGPASSFILE": str(path)},
    }
    monkeypatch.setenv("PGPASSFILE", str(path))
    for origin, environment in sources.items():
        login = find_login(LoginFlags(), environment)
        assert login.origin == origin
        with connect(login, QUICK) as connection:
            assert connection.info.user == USER


def test_command_logs_in_by_an_aws_secret_and_never_shows_it(
    filled: PostgresServer, s3_server: S3Emulator, tmp_path: Path
) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        "[research]\naws_access_key_id = testing\naws_secret_access_key = testing\n"
    )
    (tmp_path / "ftm.toml").write_text(
        '[aws]\nprofile = "research"\naccount_id = "123456789012"\nregion = "us-west-2"\n'
    )
    aws = {"AWS_ENDPOINT_URL": s3_server.url}
    client = boto3.client(
        "secretsmanager",
        endpoint_url=s3_server.url,
        region_name="us-west-2",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    value = json.dumps({"username": USER, "password": PASSWORD})
    client.create_secret(Name="ftm/wrds", SecretString=value)
    environment = {**without(filled.environment(), "PGUSER", "PGPASSWORD"), **aws}

    done = run_cli(environment, "--secret", "ftm/wrds", "--json", folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["firms_without_permno"] > 0
    assert "password from the secret ftm/wrds" in done.stderr
    assert_hidden(PASSWORD, done.stdout, done.stderr)

    missing = run_cli(environment, "--secret", "ftm/other", folder=tmp_path)

    assert missing.returncode == ExitCode.USAGE
    assert "ResourceNotFoundException" in missing.stderr


def test_a_refused_password_is_tried_once_and_shown_nowhere(
    filled: PostgresServer, tmp_path: Path
) -> None:
    wrong = "wr0ng-and-secret"

    done = run_cli({**filled.environment(), "PGPASSWORD": wrong}, folder=tmp_path)

    assert done.returncode == ExitCode.USAGE
    assert "password authentication failed" in done.stderr
    assert "Duo" in done.stderr
    assert "lock" in done.stderr
    assert_hidden(wrong, done.stdout, done.stderr)
    assert_hidden(PASSWORD, done.stdout, done.stderr)
    log = filled.log()
    assert log.count(f'password authentication failed for user "{USER}"') == 1


def test_a_password_is_not_in_a_traceback_with_all_its_variables(filled: PostgresServer) -> None:
    wrong = "wr0ng-and-secret"
    login = find_login(LoginFlags(), {**filled.environment(), "PGPASSWORD": wrong})

    with pytest.raises(InputError) as caught:
        connect(login, QUICK)

    ours = caught.value.with_traceback(_without_this_test(caught.value))
    shown = "".join(traceback.TracebackException.from_exception(ours, capture_locals=True).format())
    assert "Secret(***)" in shown
    assert_hidden(wrong, shown)


def _without_this_test(error: BaseException) -> TracebackType | None:
    """The error's frames below this module, whose own variables hold the password in clear."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    return frames


def test_login_refused_by_pam_is_explained_by_duo_and_lockout(filled: PostgresServer) -> None:
    login = find_login(LoginFlags(user="duo"), filled.environment())

    with pytest.raises(InputError, match="PAM authentication failed") as caught:
        connect(login, QUICK)

    assert "approve" in caught.value.hint
    assert "WRDS support" in caught.value.hint


def test_account_without_the_subscription_is_named(filled: PostgresServer) -> None:
    login = find_login(LoginFlags(user="stranger"), filled.environment())

    with connect(login, QUICK) as connection, pytest.raises(InputError) as caught:
        read_plan(connection, Quarter(2023, 1), today=TODAY)

    assert "permission denied for schema ciq" in caught.value.cause
    assert "subscription" in caught.value.hint


def test_database_without_the_tables_is_named(filled: PostgresServer) -> None:
    login = find_login(LoginFlags(database="postgres"), filled.environment())

    with connect(login, QUICK) as connection, pytest.raises(InputError) as caught:
        read_plan(connection, Quarter(2023, 1), today=TODAY)

    assert "does not exist" in caught.value.cause
    assert "--database" in caught.value.hint


def test_missing_server_is_reported_at_once_as_retryable(tmp_path: Path) -> None:
    environment = {"PGHOST": "127.0.0.1", "PGPORT": "1", "PGUSER": USER, "PGPASSWORD": PASSWORD}

    done = run_cli({**environment, "PGSSLMODE": "disable"}, folder=tmp_path)

    assert done.returncode == ExitCode.RETRYABLE
    assert "VPN" in done.stderr
    assert "Connecting again" not in done.stderr
    assert_hidden(PASSWORD, done.stderr)
    with pytest.raises(ConnectionLostError):
        connect(find_login(LoginFlags(), environment), QUICK)


def test_query_past_the_statement_timeout_names_the_option(
    filled: PostgresServer,
) -> None:
    login = find_login(LoginFlags(), filled.environment())
    with psycopg.connect(filled.owner_dsn()) as blocking:
        blocking.execute("LOCK TABLE ciq.wrds_transcript_detail IN ACCESS EXCLUSIVE MODE")
        with (
            connect(login, Limits(connect=10, statement=1)) as connection,
            pytest.raises(RetryableError) as caught,
        ):
            read_plan(connection, Quarter(2023, 1), today=TODAY)
        blocking.rollback()

    assert "statement timeout" in caught.value.cause
    assert "--statement-timeout" in caught.value.hint


def test_a_session_reads_one_state_and_can_change_nothing(filled: PostgresServer) -> None:
    login = find_login(LoginFlags(), filled.environment())

    with connect(login, QUICK) as connection:
        assert connection.execute("SHOW transaction_isolation").fetchone() == ("repeatable read",)
        assert connection.execute("SHOW transaction_read_only").fetchone() == ("on",)


def test_no_error_of_psycopg_leaves_the_wrds_modules(filled: PostgresServer) -> None:
    login = find_login(LoginFlags(), filled.environment())

    with connect(login, QUICK) as connection:
        connection.close()
        with pytest.raises(FtmError):
            read_plan(connection, Quarter(2023, 1), today=TODAY)
