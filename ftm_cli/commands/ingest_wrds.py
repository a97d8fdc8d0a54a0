"""`ftm ingest wrds`: a quarter's transcripts and identifiers straight from WRDS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ftm_cli.options import DataOption, JsonOption, QuarterOption

if TYPE_CHECKING:
    from ftm_core.transcripts.wrds.credentials import SecretsClient
    from ftm_core.transcripts.wrds.fetching import FetchReport


def wrds_command(
    quarter: QuarterOption,
    data: DataOption = None,
    user: Annotated[
        str | None,
        typer.Option(help="WRDS user name; else WRDS_USERNAME, PGUSER or the password file."),
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(
            help="Secret of AWS Secrets Manager with username and password, such as ftm/wrds; "
            "else WRDS_SECRET_ID."
        ),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Server, if not WRDS's own.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Its port.")] = None,
    database: Annotated[str | None, typer.Option(help="Its database.")] = None,
    connect_timeout: Annotated[
        int, typer.Option(min=5, help="Seconds to wait for login, Duo approval included.")
    ] = 120,
    statement_timeout: Annotated[
        int, typer.Option(min=10, help="Seconds that one answer of the server may take.")
    ] = 3600,
    firms_per_chunk: Annotated[
        int, typer.Option(min=1, help="Firms that are saved together.")
    ] = 200,
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove the quarter's transcripts first.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Fetch a quarter's earnings calls from WRDS, with gvkey, permno and link date.

    Run it on your own machine: the login needs a password and a Duo approval, which no Batch job
    has. The password comes from ~/.pgpass, WRDS_PASSWORD or PGPASSWORD, or AWS Secrets Manager,
    and is never shown. A fetch that stopped resumes after its last whole chunk.

    JSON: `ftm schema ingest-wrds`.

    Examples:

        ftm ingest wrds --quarter 2023Q1

        ftm ingest wrds --quarter 2023Q1 --secret ftm/wrds --data s3://my-bucket
    """
    import datetime as dt
    import os
    import time

    from ftm_cli.console import say
    from ftm_cli.progress import progress_listener
    from ftm_cli.views.target import open_data
    from ftm_core.contracts.quarters import Quarter
    from ftm_core.transcripts.wrds.credentials import LoginFlags, find_login

    wanted = Quarter.parse(quarter)
    storage = open_data(data)
    _require_psycopg()
    from ftm_core.transcripts.wrds.connecting import Limits, connect
    from ftm_core.transcripts.wrds.fetching import FetchRequest, fetch_quarter

    flags = LoginFlags(host=host, port=port, database=database, user=user, secret_id=secret)
    login = find_login(flags, os.environ, secrets_client=_secrets_client)
    say(f"Logging in to {login.host} as {login.user} (password from {login.origin}).")
    say(f"If the phone shows a Duo prompt, approve it within {connect_timeout} s.")
    limits = Limits(connect=connect_timeout, statement=statement_timeout)
    request = FetchRequest(wanted, replace=replace, firms_per_chunk=firms_per_chunk)
    started = time.monotonic()
    with progress_listener() as listener:
        report = fetch_quarter(
            storage,
            request,
            lambda: connect(login, limits),
            listener,
            today=dt.datetime.now(dt.UTC).date(),
        )
    _render(report, storage.uri, time.monotonic() - started, as_json=json_output)


def _require_psycopg() -> None:
    """Raise InputError when the optional PostgreSQL driver is not installed."""
    from importlib.util import find_spec

    from ftm_core.contracts.errors import InputError

    if find_spec("psycopg") is None:
        raise InputError(
            "The command `ftm ingest wrds`",
            "needs the package psycopg",
            "Run `pip install 'ftm[wrds]'`.",
        )


def _secrets_client() -> SecretsClient:
    from ftm_cli.operations.aws.session import pinned_session

    client: SecretsClient = pinned_session().client("secretsmanager")
    return client


def _render(report: FetchReport, data: str, seconds: float, *, as_json: bool) -> None:
    """The outcome as a table or as one JSON document."""
    from ftm_cli.console import print_json, print_table, say
    from ftm_cli.results.ingest import WrdsResult
    from ftm_core.memory import peak_memory_mib

    manifest = report.manifest
    facts: dict[str, Any] = {
        "quarter": manifest.quarter,
        "data": data,
        "source": manifest.source,
        "already_ingested": report.already_complete,
        "firms": manifest.n_firms,
        "firms_resumed": report.n_firms_resumed,
        "firms_without_permno": manifest.n_firms_without_permno,
        "firms_without_gvkey": report.n_firms_without_gvkey,
        "firms_with_rival_links": report.n_firms_with_rival_links,
        "calls": manifest.n_calls,
        "calls_without_text": report.n_calls_without_text,
        "older_versions_skipped": report.n_older_versions,
        "components": report.n_components,
        "blank_components": report.n_blank_components,
        "sentences": manifest.n_sentences,
        "chunks": len(manifest.chunks),
        "seconds": round(seconds, 2),
        "peak_memory_mib": round(peak_memory_mib(), 1),
    }
    if as_json:
        result = WrdsResult(**facts, source_sha256=manifest.source_sha256)
        print_json(result.as_json())
        return
    if report.already_complete:
        say(f"{manifest.quarter} is fetched already, and WRDS has not changed: nothing to do.")
    hidden = {"quarter", "already_ingested"}
    rows = [
        (name.replace("_", " "), f"{value:,}" if isinstance(value, int) else value)
        for name, value in facts.items()
        if name not in hidden
    ]
    print_table(f"Transcripts of {manifest.quarter}", ("", ""), rows)
    say(f"Next: ftm run --quarter {manifest.quarter}")
