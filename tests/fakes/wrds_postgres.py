"""A real PostgreSQL server of its own in a temporary folder, to stand where WRDS stands."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

USER = "researcher"
PASSWORD = "p@ss word'\\ü:5"
DATABASE = "wrds"
_OWNER = "ftm_owner"


class PostgresServer:
    """A server on 127.0.0.1 that can be killed and started again with its data kept.

    Passwords are required over TCP; the role ``duo`` is sent through PAM, which refuses it the
    way WRDS refuses a login whose Duo prompt was not approved.
    """

    def __init__(self) -> None:
        self._programs = _programs()
        self._account = _account()
        self._folder = Path(tempfile.mkdtemp(prefix="ftm-pg-"))
        if self._account is not None:
            os.chown(self._folder, self._account.pw_uid, self._account.pw_gid)
        self._data = self._folder / "data"
        self.port = _free_port()
        self._initialise()
        self.start()

    def start(self) -> None:
        """Start, and return when connections are accepted."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", "60", "-l", self._log, "start")

    def kill(self) -> None:
        """Stop at once, cutting every connection, as a crash does."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def close(self) -> None:
        """Stop and remove everything."""
        if (self._data / "postmaster.pid").exists():
            self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """The variables by which a client finds this server and logs in."""
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGDATABASE": DATABASE,
            "PGUSER": USER,
            "PGPASSWORD": PASSWORD,
            "PGSSLMODE": "disable",
        }

    def owner_dsn(self, database: str = DATABASE) -> str:
        """How the tests themselves connect, to fill and change the tables."""
        return f"host={self._folder} port={self.port} user={_OWNER} dbname={database}"

    def log(self) -> str:
        """What the server has logged so far."""
        return Path(self._log).read_text()

    @property
    def _log(self) -> str:
        return str(self._folder / "server.log")

    def _initialise(self) -> None:
        self._run(
            *("initdb", "-D", str(self._data), "-U", _OWNER, "--encoding=UTF8", "--locale=C"),
            *("--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync"),
        )
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(
                f"port = {self.port}\nlisten_addresses = '127.0.0.1'\n"
                f"unix_socket_directories = '{self._folder}'\n"
                "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n"
                "max_connections = 20\nshared_buffers = 64MB\n"
            )
        rules = self._data / "pg_hba.conf"
        pam = "host all duo 127.0.0.1/32 pam pamservice=ftm-no-such-service\n"
        rules.write_text(pam + rules.read_text())

    def _run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs, as its own account when this one is root."""
        as_user: dict[str, object] = {}
        if self._account is not None:
            as_user = {
                "user": self._account.pw_uid,
                "group": self._account.pw_gid,
                "extra_groups": [],
            }
        done = subprocess.run(  # type: ignore[call-overload]
            [str(self._programs / program), *arguments],
            cwd=self._folder,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            # The server inherits a pipe and keeps it open, so its output goes to a file.
            stdout=(self._folder / "out.log").open("w"),
            stderr=subprocess.STDOUT,
            check=False,
            **as_user,
        )
        if done.returncode != 0:
            shown = (self._folder / "out.log").read_text()
            log = Path(self._log)
            raise RuntimeError(f"{program}: {shown}\n{log.read_text() if log.exists() else ''}")


def available() -> bool:
    """Whether PostgreSQL's programs are on this machine."""
    try:
        _programs()
    except FileNotFoundError:
        return False
    return True


def _programs() -> Path:
    """Folder of ``initdb`` and ``pg_ctl``; Debian keeps them off the PATH."""
    debian = sorted(
        (path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")),
        key=lambda folder: float(folder.parent.name),
    )
    if debian:
        return debian[-1]
    found = shutil.which("initdb")
    if found is None:
        raise FileNotFoundError("no initdb: install PostgreSQL (Debian: postgresql)")
    return Path(found).resolve().parent


def _account() -> pwd.struct_passwd | None:
    """The account to run the server as; None where this process is not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise FileNotFoundError("no account to run PostgreSQL as: it refuses to run as root")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
