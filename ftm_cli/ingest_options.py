"""Options of `ftm ingest`: the source, its quarters, and how it is read."""

from __future__ import annotations

from typing import Annotated

import typer

SourceArgument = Annotated[
    list[str],
    typer.Argument(
        help="Files, folders or globs: CSV, TSV, JSON, JSON Lines, Parquet, Stata, Excel, "
        "text or XML with a file for each call, also in gzip or zip; or `sample` for the "
        "sample corpus.",
        show_default=False,
    ),
]
QuarterOption = Annotated[
    str | None,
    typer.Option(
        "--quarter",
        "-q",
        help="Calendar quarter of the calls, such as 2023Q1, or several: 2018Q1..2021Q4.",
        show_default=False,
    ),
]
AllQuartersOption = Annotated[
    bool, typer.Option("--all-quarters", help="Ingest every quarter that the source holds.")
]
PreviewOption = Annotated[
    bool,
    typer.Option("--preview", help="Show how the source is read, and write nothing."),
]
LayoutOption = Annotated[
    str | None,
    typer.Option(
        help="ftm, turns, capital-iq, maec or calls; inferred from the column names when left out.",
        show_default=False,
    ),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        help="One of our columns and the source's name for it, such as permno=lpermno; "
        "may be given many times.",
        metavar="OURS=THEIRS",
        show_default=False,
    ),
]
WithOption = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        help="Another table of the same database, joined by its ids; may be given many times.",
        metavar="FILE",
        show_default=False,
    ),
]
DatesOption = Annotated[
    str | None,
    typer.Option(
        help="Table with the day of each call: file (or ticker and quarter) and call_date.",
        metavar="FILE",
        show_default=False,
    ),
]
NamePatternOption = Annotated[
    str | None,
    typer.Option(
        help="Pattern of the file names, such as {date}_{ticker}.txt. Fields: date, ticker, "
        "firm_id, firm_name, transcript_id, fiscal; * is anything.",
        metavar="PATTERN",
        show_default=False,
    ),
]
DateFormatOption = Annotated[
    str | None,
    typer.Option(
        help="Form of the dates in the terms of strptime, such as %m/%d/%Y.",
        metavar="FORMAT",
        show_default=False,
    ),
]
EncodingOption = Annotated[
    str | None,
    typer.Option(
        help="Encoding of the text, such as cp1252; found out when left out.",
        show_default=False,
    ),
]
ReplaceOption = Annotated[
    bool, typer.Option("--replace", help="Remove the quarter's transcripts first.")
]
AcceptRejectsOption = Annotated[
    bool,
    typer.Option(
        "--accept-rejects", help="Ingest the other rows though more than 2 % are rejected."
    ),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Refuse the source if one row is rejected.")
]
MemoryLimitOption = Annotated[
    str, typer.Option(help="Memory that sorting may take, such as 512MB.")
]
