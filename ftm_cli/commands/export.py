"""`ftm export`: all tables of a finished quarter in a format that other tools read."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ftm_cli.options import DataOption, JsonOption, OptionalQuarterOption


class ExportFormat(StrEnum):
    """Formats of `ftm export`."""

    CSV = "csv"
    PARQUET = "parquet"
    JSONL = "jsonl"
    DUCKDB = "duckdb"


def export_command(
    export_format: Annotated[
        ExportFormat, typer.Option("--format", "-f", help="What to write.")
    ] = ExportFormat.PARQUET,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder to write into; export/QUARTER when left out.",
            show_default=False,
        ),
    ] = None,
    quarter: OptionalQuarterOption = None,
    data: DataOption = None,
    json_output: JsonOption = False,
) -> None:
    """Export firms, sentences, topics, themes, contributions and the sentiment-ready table.

    DuckDB gives one database with a table each, the others a file a table. In CSV, lists are JSON
    within their cell.

    JSON: {quarter, format, tables: [{table, n_rows, path}]}.

    Examples:

        ftm export --format csv --quarter 2023Q1

        ftm export --format duckdb --output event-study
    """  # fmt: skip
    import dataclasses

    from ftm_cli.console import print_json, print_table, progress_listener
    from ftm_cli.targets import chosen_quarter
    from ftm_cli.views.target import open_data
    from ftm_core.themes.export import export_quarter

    storage = open_data(data)
    chosen = chosen_quarter(storage, quarter)
    folder = output or Path("export") / str(chosen)
    with progress_listener() as listener:
        tables = export_quarter(storage, chosen, export_format, folder, listener)
    if json_output:
        listed = [dataclasses.asdict(table) for table in tables]
        print_json({"quarter": str(chosen), "format": str(export_format), "tables": listed})
    else:
        rows = [(table.table, table.n_rows, table.path) for table in tables]
        print_table(f"Exported {chosen}", ("table", "rows", "file"), rows)
