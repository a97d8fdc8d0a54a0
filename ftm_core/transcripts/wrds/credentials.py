"""Where WRDS is and who logs in: flags, AWS Secrets Manager, environment, password file.

A password lives in a ``Secret`` until the moment it is handed to libpq, so that neither a
message, a log line nor a traceback with its variables can show it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ftm_core.contracts.errors import InputError, RetryableError

WRDS_HOST = "wrds-pgdata.wharton.upenn.edu"
WRDS_PORT = 9737
WRDS_DATABASE = "wrds"
_WHERE = "The WRDS login"


class SecretsClient(Protocol):
    """The one call of a boto3 Secrets Manager client that is used."""

    def get_secret_value(self, *, SecretId: str) -> Mapping[str, Any]:  # noqa: N803
        """A response with ``SecretString``."""
        ...


class Secret:
    """A password that shows itself to nobody but the caller of ``reveal``."""

    __slots__ = ("_reveal",)

    def __init__(self, value: str) -> None:
        # Held in a closure, because a debugger-style dump prints attributes but not cells.
        self._reveal: Callable[[], str] = lambda: value

    def reveal(self) -> str:
        """The password itself."""
        return self._reveal()

    def __repr__(self) -> str:
        return "Secret(***)"


@dataclass(frozen=True)
class Login:
    """Everything needed to reach the server; ``password`` is None where libpq reads it itself."""

    host: str
    port: int
    database: str
    user: str
    password: Secret | None
    origin: str
    sslmode: str | None = None


@dataclass(frozen=True)
class LoginFlags:
    """What the operator gave on the command line; None is not given."""

    host: str | None = None
    port: int | None = None
    database: str | None = None
    user: str | None = None
    secret_id: str | None = None


@dataclass(frozen=True)
class _PasswordLine:
    """One line of a password file, its password left out."""

    host: str
    port: str
    database: str
    user: str


@dataclass
class _Found:
    user: str | None = None
    password: Secret | None = field(default=None, repr=False)
    origin: str = ""


def find_login(
    flags: LoginFlags,
    environment: Mapping[str, str],
    *,
    secrets_client: Callable[[], SecretsClient] | None = None,
) -> Login:
    """Find server, user and password.

    Server and user: flag, then ``WRDS_*`` (user only), then ``PG*``, then WRDS's own address.
    Password: the secret named by flag or ``WRDS_SECRET_ID``, then ``WRDS_PASSWORD``, then
    ``PGPASSWORD``, then the file of ``PGPASSFILE`` or ``~/.pgpass``. Raises InputError, naming
    what was tried, when there is no user or no password, or the password file is open to others.
    """
    given = {name: value for name, value in environment.items() if value}
    host = flags.host or given.get("PGHOST") or WRDS_HOST
    port = flags.port or _port(given)
    database = flags.database or given.get("PGDATABASE") or WRDS_DATABASE
    secret_id = flags.secret_id or given.get("WRDS_SECRET_ID")
    found = _Found()
    if secret_id:
        found = _from_secrets_manager(secret_id, secrets_client)
    elif "WRDS_PASSWORD" in given:
        found = _Found(password=Secret(given["WRDS_PASSWORD"]), origin="WRDS_PASSWORD")
    elif "PGPASSWORD" in given:
        found = _Found(password=Secret(given["PGPASSWORD"]), origin="PGPASSWORD")
    user = flags.user or found.user or given.get("WRDS_USERNAME") or given.get("PGUSER")
    if found.password is None:
        line = _password_line(_passfile(given), (host, str(port), database), user)
        if line is not None:
            found.origin = str(_passfile(given))
            user = user or (line.user if line.user != "*" else None)
    if user is None:
        raise InputError(
            _WHERE,
            "has no user name",
            "Set WRDS_USERNAME, pass --user, or add a line "
            f"{host}:{port}:{database}:USER:PASSWORD to ~/.pgpass.",
        )
    if not found.origin:
        raise InputError(
            _WHERE,
            f"has no password for {user} in WRDS_PASSWORD, PGPASSWORD or {_passfile(given)}",
            f"Add a line {host}:{port}:{database}:{user}:PASSWORD to ~/.pgpass and run "
            "chmod 600 ~/.pgpass, or name a secret of AWS Secrets Manager with --secret.",
        )
    return Login(
        host=host,
        port=port,
        database=database,
        user=user,
        password=found.password,
        origin=found.origin,
        # WRDS takes encrypted logins only; PGSSLMODE, which libpq reads itself, may say otherwise.
        sslmode=None if "PGSSLMODE" in given else "require",
    )


def _from_secrets_manager(secret_id: str, client: Callable[[], SecretsClient] | None) -> _Found:
    """User and password from a secret with the JSON fields ``username`` and ``password``."""
    where = f"The secret {secret_id}"
    if client is None:
        raise InputError(where, "needs AWS access", "Pin a profile with `ftm pin-profile NAME`.")
    fields = _secret_fields(secret_id, client, where)
    password = fields.get("password") or fields.get("WRDS_PASSWORD")
    if password is None:
        raise InputError(
            where,
            "has no field `password`",
            'Store it as JSON: {"username": "...", "password": "..."}.',
        )
    user = fields.get("username") or fields.get("WRDS_USERNAME")
    return _Found(
        user=user.reveal() if user is not None else None,
        password=password,
        origin=f"the secret {secret_id}",
    )


def _secret_fields(
    secret_id: str, client: Callable[[], SecretsClient], where: str
) -> dict[str, Secret]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        with _without_wire_log():
            answer = Secret(client().get_secret_value(SecretId=secret_id).get("SecretString", ""))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        kind = RetryableError if code == "ThrottlingException" else InputError
        raise kind(
            where,
            f"could not be read ({code})",
            "Check its name and region, and that the profile may call "
            "secretsmanager:GetSecretValue on it (Terraform: enable_wrds_secrets).",
        ) from None
    except BotoCoreError as error:
        raise InputError(
            where,
            f"could not be read ({type(error).__name__})",
            "Check the AWS profile and the network.",
        ) from None
    try:
        fields = json.loads(answer.reveal())
        return {str(name): Secret(str(value)) for name, value in fields.items()}
    except (ValueError, AttributeError):
        # The parser's own error quotes the text, which is the secret.
        raise InputError(
            where,
            "is not a JSON object",
            'Store it as JSON: {"username": "...", "password": "..."}.',
        ) from None


@contextlib.contextmanager
def _without_wire_log() -> Iterator[None]:
    """Keep botocore from logging the response, which at DEBUG level it prints whole."""
    logger = logging.getLogger("botocore")
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)


def _port(given: Mapping[str, str]) -> int:
    text = given.get("PGPORT", str(WRDS_PORT))
    if not text.isdigit():
        raise InputError(
            "The environment variable PGPORT",
            f"is {text!r}, which is not a port",
            f"Unset it, or set it to {WRDS_PORT}, the port of WRDS.",
        )
    return int(text)


def _passfile(given: Mapping[str, str]) -> Path:
    if "PGPASSFILE" in given:
        return Path(given["PGPASSFILE"])
    try:
        return Path.home() / ".pgpass"
    except RuntimeError as error:
        raise InputError(
            _WHERE,
            f"has no password file, because there is no home folder ({error})",
            "Set HOME, or name the file in PGPASSFILE.",
        ) from error


def _password_line(
    path: Path, place: tuple[str, str, str], user: str | None
) -> _PasswordLine | None:
    """The first line for this server and user; the password on it is left to libpq."""
    if not path.is_file():
        return None
    if stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
        # libpq ignores such a file with no more than a line on stderr.
        raise InputError(
            f"The file {path}", "can be read by others, so it is not used", f"Run chmod 600 {path}."
        )
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        line = _parsed(text)
        wanted = (*place, user)
        if line is not None and all(
            entry in ("*", value) or value is None
            for entry, value in zip(
                (line.host, line.port, line.database, line.user), wanted, strict=True
            )
        ):
            return line
    return None


def _parsed(text: str) -> _PasswordLine | None:
    """The first four fields of ``host:port:database:user:password``, backslash escapes undone."""
    if text.startswith("#"):
        return None
    fields, current, escaped = [], "", False
    for letter in text:
        if escaped:
            current, escaped = current + letter, False
        elif letter == "\\":
            escaped = True
        elif letter == ":":
            fields.append(current)
            if len(fields) == 4:
                return _PasswordLine(*fields)
            current = ""
        else:
            current += letter
    return None
