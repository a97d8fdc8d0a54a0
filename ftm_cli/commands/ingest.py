"""`ftm ingest`: transcripts from files or folders into the chunks of their quarters."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from ftm_cli.commands.ingest_wrds import wrds_command
from ftm_cli.commands.merge_identifiers import merge_identifiers_command
from ftm_cli.ingest_options import (
    AcceptRejectsOption,
    AllQuartersOption,
    ColumnOption,
    DateFormatOption,
    DatesOption,
    EncodingOption,
    LayoutOption,
    MemoryLimitOption,
    NamePatternOption,
    PreviewOption,
    QuarterOption,
    ReplaceOption,
    SourceArgument,
    StrictOption,
    WithOption,
)
from ftm_cli.options import DataOption, JsonOption

SAMPLE = "sample"
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
ingest_app.command("wrds")(wrds_command)
ingest_app.command("merge-identifiers")(merge_identifiers_command)


@ingest_app.command(_FILES, hidden=True)
def ingest_command(
    source: SourceArgument,
    quarter: QuarterOption = None,
    all_quarters: AllQuartersOption = False,
    preview: PreviewOption = False,
    layout: LayoutOption = None,
    column: ColumnOption = None,
    with_table: WithOption = None,
    dates: DatesOption = None,
    name_pattern: NamePatternOption = None,
    date_format: DateFormatOption = None,
    encoding: EncodingOption = None,
    data: DataOption = None,
    replace: ReplaceOption = False,
    accept_rejects: AcceptRejectsOption = False,
    strict: StrictOption = False,
    memory_limit: MemoryLimitOption = "256MB",
    json_output: JsonOption = False,
) -> None:
    """Ingest transcripts: check every row, split turns into sentences, write chunks by quarter.

    Rows that cannot be taken as they stand are rejected, listed with the reason, and kept in
    `rejects.csv` beside the chunks. The same content again does nothing.

    JSON: `ftm schema ingest`.

    Examples:

        ftm ingest --preview calls.csv

        ftm ingest sample --quarter 2023Q1

        ftm ingest calls.csv --quarter 2023Q1 --column permno=lpermno --data s3://my-bucket

        ftm ingest components.csv --with detail.csv --with persons.csv --quarter 2018Q1..2021Q4
    """
    from ftm_cli.progress import progress_listener
    from ftm_cli.views import ingest as ingest_view
    from ftm_cli.views.target import open_data
    from ftm_core.transcripts.ingest import IngestOptions, ingest
    from ftm_core.transcripts.layouts import parse_overrides
    from ftm_core.transcripts.preview import preview as preview_source
    from ftm_core.transcripts.rejects import RejectedRowsError
    from ftm_core.transcripts.sources import sample_corpus

    wanted = _quarters(quarter, all_quarters=all_quarters, preview=preview)
    is_sample = source == [SAMPLE]
    options = IngestOptions(
        layout=layout,
        columns=parse_overrides(column or ()),
        date_format=date_format,
        name_pattern=name_pattern,
        encoding=encoding,
        with_tables=tuple(with_table or ()),
        dates=dates,
        replace=replace,
        accept_rejects=accept_rejects,
        strict=strict,
        memory_limit=memory_limit,
        name=SAMPLE if is_sample else None,
    )
    paths: list[Any] = [sample_corpus(q) for q in wanted or ()] if is_sample else list(source)
    if is_sample and not paths:
        paths = [sample_corpus(_sample_quarter())]
    if preview:
        ingest_view.show_preview(preview_source(paths, options, wanted), as_json=json_output)
        return
    storage = open_data(data)
    try:
        with progress_listener() as listener:
            report = ingest(paths, wanted, storage, options, listener)
    except RejectedRowsError as error:
        ingest_view.show_rejects(error.first, error.by_reason, count=error.count, place=None)
        raise
    ingest_view.show_report(report, data=storage.uri, as_json=json_output)


def _quarters(quarter: str | None, *, all_quarters: bool, preview: bool) -> Any:
    """The quarters that were asked for, None for all of the source's."""
    from ftm_core.contracts.errors import InputError
    from ftm_core.contracts.quarters import Quarter

    if quarter is not None and all_quarters:
        raise InputError(
            "The option --all-quarters",
            "cannot be given together with --quarter",
            "Leave out one of them.",
        )
    if quarter is not None:
        return Quarter.parse_range(quarter)
    if all_quarters or preview:
        return None
    raise InputError(
        "The command `ftm ingest`",
        "has no quarter to write to",
        "Add --quarter 2023Q1, a range such as --quarter 2018Q1..2021Q4, or --all-quarters; "
        "`ftm ingest --preview SOURCE` shows which quarters a source holds.",
    )


def _sample_quarter() -> Any:
    """The quarter of the sample corpus that is shipped."""
    from ftm_core.contracts.quarters import Quarter

    return Quarter(2023, 1)
