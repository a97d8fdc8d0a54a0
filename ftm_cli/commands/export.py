"""`ftm export`: all tables of a finished quarter in a format that other tools read."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ftm_cli.options import (
    AllQuartersOption,
    DataOption,
    JsonOption,
    OptionalQuarterOption,
    QuartersOption,
)


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
    quarters: QuartersOption = None,
    every: AllQuartersOption = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Start the panel over: IDs of its themes may change.")
    ] = False,
    data: DataOption = None,
    json_output: JsonOption = False,
) -> None:
    """Export firms, sentences, topics, themes, contributions and the sentiment-ready table.

    DuckDB gives one database with a table each, the others a file a table. In CSV, lists are JSON
    within their cell.

    With --quarters or --all it exports the panel: panel_themes and panel_exposures of these
    quarters, where panel_theme_id names a theme over time. A quarter that comes later adds to the
    panel and renames nothing.

    JSON: `ftm schema export`.

    Examples:

        ftm export --format csv --quarter 2023Q1

        ftm export --format duckdb --output event-study

        ftm export --quarters 2016Q3..2017Q1 --format csv
    """  # fmt: skip
    from ftm_cli.console import print_json, print_table
    from ftm_cli.progress import progress_listener
    from ftm_cli.results.quarters import ExportReport
    from ftm_cli.targets.quarters import select_finished
    from ftm_cli.views.target import open_data
    from ftm_core.data.panel import extend_panel
    from ftm_core.themes.export import export_panel, export_quarter

    storage = open_data(data)
    chosen = select_finished(storage, quarter, quarters, every)
    name = "panel" if quarters is not None or every else str(chosen[0])
    folder = output or Path("export") / name
    with progress_listener() as listener:
        if name == "panel":
            panel = extend_panel(storage, chosen, rebuild=rebuild)
            tables = export_panel(panel, export_format, folder, listener)
        else:
            tables = export_quarter(storage, chosen[0], export_format, folder, listener)
    if json_output:
        report = ExportReport(quarter=name, format=str(export_format), tables=tables)
        print_json(report.as_json())
    else:
        rows = [(table.table, table.n_rows, table.path) for table in tables]
        print_table(f"Exported {name}", ("table", "rows", "file"), rows)
