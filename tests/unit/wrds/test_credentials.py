"""Where the login comes from, in which order, and what is said when it is not there."""

from __future__ import annotations

import json
import logging
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ftm_core.contracts.errors import InputError
from ftm_core.transcripts.wrds.credentials import (
    WRDS_HOST,
    WRDS_PORT,
    Login,
    LoginFlags,
    Secret,
    find_login,
)

KEY = "corr3ct-horse"


class Vault:
    """Holds one secret text, as Secrets Manager does."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self, *, SecretId: str) -> Mapping[str, Any]:  # noqa: N803
        logging.getLogger("botocore.parsers").debug("Response body: %s", self._text)
        return {"Name": SecretId, "SecretString": self._text}


def login(flags: LoginFlags | None = None, vault: str | None = None, **environment: str) -> Login:
    environment.setdefault("PGPASSFILE", "/nonexistent")
    client = (lambda: Vault(vault)) if vault is not None else None
    return find_login(flags or LoginFlags(), environment, secrets_client=client)


def test_wrds_itself_is_the_server_and_encryption_is_required() -> None:
    found = login(WRDS_USERNAME="ada", WRDS_PASSWORD=KEY)

    assert (found.host, found.port, found.database) == (WRDS_HOST, WRDS_PORT, "wrds")
    assert found.sslmode == "require"
    assert login(WRDS_USERNAME="ada", WRDS_PASSWORD=KEY, PGSSLMODE="verify-full").sslmode is None


def test_flags_precede_wrds_variables_and_those_postgres_ones() -> None:
    pg = {"PGHOST": "h", "PGPORT": "5", "PGDATABASE": "d", "PGUSER": "pg", "PGPASSWORD": "pg-key"}

    by_pg = login(None, None, **pg)
    by_wrds = login(None, None, **pg, WRDS_USERNAME="ada", WRDS_PASSWORD=KEY)
    by_flags = login(LoginFlags(host="f", port=6, database="e", user="flag"), None, **pg)

    assert (by_pg.host, by_pg.port, by_pg.database, by_pg.user) == ("h", 5, "d", "pg")
    assert by_pg.origin == "PGPASSWORD"
    assert (by_wrds.user, by_wrds.origin) == ("ada", "WRDS_PASSWORD")
    assert (by_flags.host, by_flags.port, by_flags.database, by_flags.user) == ("f", 6, "e", "flag")


def test_a_secret_gives_user_and_password_before_any_variable() -> None:
    text = json.dumps({"username": "grace", "password": KEY})

    found = login(LoginFlags(secret_id="ftm/wrds"), text, WRDS_USERNAME="ada", WRDS_PASSWORD="x")

    assert found.user == "grace"
    assert found.password is not None
    assert found.password.reveal() == KEY


@pytest.mark.parametrize("text", ["not json " + KEY, json.dumps([KEY]), json.dumps({"user": KEY})])
def test_an_unusable_secret_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(InputError) as caught:
        login(LoginFlags(secret_id="ftm/wrds"), text)

    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_the_answer_of_secrets_manager_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="botocore")

    login(LoginFlags(secret_id="ftm/wrds"), json.dumps({"username": "ada", "password": KEY}))

    assert KEY not in caplog.text
    assert logging.getLogger("botocore").level == logging.DEBUG


def test_the_user_is_taken_from_the_line_of_the_password_file(tmp_path: Path) -> None:
    path = tmp_path / "pgpass"
    path.write_text(f"# mine\n*:*:other:eve:no\n{WRDS_HOST}:{WRDS_PORT}:wrds:a\\:da:{KEY}\n")
    path.chmod(stat.S_IRUSR)

    found = login(PGPASSFILE=str(path))

    # The password itself is left to libpq.
    assert (found.user, found.password, found.origin) == ("a:da", None, str(path))


def test_password_file_readable_by_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pgpass"
    path.write_text(f"*:*:*:ada:{KEY}\n")
    path.chmod(0o644)

    with pytest.raises(InputError, match="chmod 600"):
        login(PGPASSFILE=str(path))


def test_what_is_missing_is_named_with_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no user name"):
        login(WRDS_PASSWORD=KEY)
    with pytest.raises(InputError, match=f"{WRDS_HOST}:{WRDS_PORT}:wrds:ada:PASSWORD"):
        login(WRDS_USERNAME="ada")
    with pytest.raises(InputError, match="PGPORT"):
        login(WRDS_USERNAME="ada", WRDS_PASSWORD=KEY, PGPORT="x")
    with pytest.raises(InputError, match="needs AWS access"):
        login(LoginFlags(secret_id="ftm/wrds"))


def test_a_secret_shows_itself_in_no_form() -> None:
    secret = Secret(KEY)

    for shown in (
        repr(secret),
        str(secret),
        f"{secret!r}",
        repr(login(PGUSER="a", PGPASSWORD=KEY)),
    ):
        assert KEY not in shown
