"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

ExecutionArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="EXECUTION",
        help="Name or ARN of the execution, here the quarter; the latest when left out.",
        show_default=False,
    ),
]
QuarterOption = Annotated[
    str, typer.Option("--quarter", "-q", help="Calendar quarter, such as 2023Q1.")
]
OptionalQuarterOption = Annotated[
    str | None,
    typer.Option("--quarter", "-q", help="Calendar quarter; the latest one when left out."),
]
QuartersOption = Annotated[
    str | None,
    typer.Option(
        "--quarters",
        help="Many quarters: a range 2016Q3..2017Q1, or a list 2016Q3,2017Q1.",
        show_default=False,
    ),
]
AllQuartersOption = Annotated[
    bool, typer.Option("--all", help="All quarters in the data location.")
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        envvar="FTM_DATA",
        help="Data folder or s3://bucket; `data` here, or the pinned bucket, when left out.",
        show_default=False,
    ),
]
MaxFirmsOption = Annotated[
    int | None, typer.Option("--max-firms", min=1, help="Take only the first N firms.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show the plan, change nothing.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
TargetOption = Annotated[
    str | None,
    typer.Option(
        "--target", help="local, aws or slurm; aws when a profile is pinned.", show_default=False
    ),
]
