"""`ftm ingest`: transcripts from a file or folder into a quarter's chunks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ftm_cli.options import DataOption, JsonOption, QuarterOption

if TYPE_CHECKING:
    from ftm_core.transcripts.ingest import IngestReport
    from ftm_core.transcripts.rejects import Reject

SAMPLE = "sample"
REJECTS_SHOWN = 20
_FILES = "files"


class SourceGroup(TyperGroup):
    """A group whose first word may be a source: what names no subcommand goes to ``files``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``files`` before a source or an option of it."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_FILES, *args]
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the help of ``files`` as that of the group, then the subcommands."""
        files = self.commands[_FILES]
        own = files.context_class(files, info_name=ctx.info_name, parent=ctx.parent)
        files.format_help(own, formatter)
        if not all(command.hidden for command in self.commands.values()):
            super().format_help(ctx, formatter)


ingest_app = typer.Typer(
    cls=SourceGroup,
    help="Other sources and steps:",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@ingest_app.command(_FILES, hidden=True)
def ingest_command(
    source: Annotated[
        str,
        typer.Argument(
            help="A CSV, Parquet or JSON Lines file, a folder of YYYYMMDD_TICKER/text.txt, or "
            "`sample` for the sample corpus.",
            show_default=False,
        ),
    ],
    quarter: QuarterOption,
    layout: Annotated[
        str | None,
        typer.Option(
            help="ftm, capital-iq or maec; told by the column names when left out.",
            show_default=False,
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="One of our columns and the source's name for it, such as permno=lpermno; "
            "may be given many times.",
            metavar="OURS=THEIRS",
            show_default=False,
        ),
    ] = None,
    data: DataOption = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove the quarter's transcripts first.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse the source if one row is rejected.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Ingest a quarter's transcripts: check every row, split turns into sentences, write chunks.

    Rows that cannot be taken as they stand are rejected, listed with the reason, and kept in
    `rejects.csv` beside the chunks. The same content again does nothing.

    Examples:

        ftm ingest sample --quarter 2023Q1

        ftm ingest calls.csv --quarter 2023Q1 --column permno=lpermno --data s3://my-bucket
    """
    from pathlib import Path

    from ftm_cli.console import progress_listener
    from ftm_cli.views.target import open_data
    from ftm_core.contracts.quarters import Quarter
    from ftm_core.transcripts.ingest import IngestOptions, ingest
    from ftm_core.transcripts.layouts import parse_overrides
    from ftm_core.transcripts.rejects import RejectedRowsError
    from ftm_core.transcripts.sources import sample_corpus

    wanted = Quarter.parse(quarter)
    is_sample = source == SAMPLE
    options = IngestOptions(
        layout=layout,
        columns=parse_overrides(column or ()),
        replace=replace,
        strict=strict,
        name=SAMPLE if is_sample else None,
    )
    path = sample_corpus(wanted) if is_sample else Path(source)
    storage = open_data(data)
    try:
        with progress_listener() as listener:
            report = ingest(path, wanted, storage, options, listener)
    except RejectedRowsError as error:
        _show_rejects(error.first, count=error.count, place=None)
        raise
    _show_rejects(report.rejects, count=report.manifest.n_rejected_rows, place=report.rejects_place)
    _render(report, data=storage.uri, as_json=json_output)


def _show_rejects(rejects: Sequence[Reject], *, count: int, place: str | None) -> None:
    """The first rejected rows on stderr, and where the others are."""
    if not rejects:
        return
    from ftm_cli.console import print_table, say, stderr
    from ftm_core.transcripts.rejects import COLUMNS

    shown = rejects[:REJECTS_SHOWN]
    title = f"Rejected rows ({len(shown)} of {count:,})"
    print_table(title, COLUMNS, shown, console=stderr)
    if place is not None:
        say(f"All of them: {place}")


def _render(report: IngestReport, *, data: str, as_json: bool) -> None:
    """The outcome as a table or as one JSON document."""
    from ftm_cli.console import print_json, print_table, say

    manifest = report.manifest
    facts: dict[str, Any] = {
        "quarter": str(report.quarter),
        "data": data,
        "source": manifest.source,
        "already_ingested": report.already_ingested,
        "layout": report.layout,
        "firms": manifest.n_firms,
        "firms_without_permno": manifest.n_firms_without_permno,
        "calls": manifest.n_calls,
        "sentences": manifest.n_sentences,
        "chunks": len(manifest.chunks),
        "rejected_rows": manifest.n_rejected_rows,
    }
    if as_json:
        rejects = [reject._asdict() for reject in report.rejects]
        print_json(
            {
                **facts,
                "rows": report.n_rows,
                "rejects": rejects,
                "rejects_by_reason": dict(report.rejects_by_reason),
                "rejects_file": report.rejects_place,
                "source_sha256": manifest.source_sha256,
                "seconds": round(report.seconds, 2),
            }
        )
        return
    if report.already_ingested:
        say(f"{report.quarter} is ingested already from this content: nothing to do.")
    hidden = {"quarter", "already_ingested"}
    rows = [
        (name.replace("_", " "), f"{value:,}" if isinstance(value, int) else value)
        for name, value in facts.items()
        if name not in hidden
    ]
    print_table(f"Transcripts of {report.quarter}", ("", ""), rows)
    say(f"Next: ftm run --quarter {report.quarter}")
