"""`ftm themes`: what becomes of themes from quarter to quarter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ftm_cli.options import DataOption, JsonOption

if TYPE_CHECKING:
    from ftm_core.quality.linking import Step, Theme


def themes_command(
    quarters: Annotated[
        str, typer.Option("--quarters", help="First and last quarter, such as 2016Q3..2017Q1.")
    ],
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            min=0.0,
            max=1.0,
            help="Similarity from which two themes are the same; that of ftm.toml when left out.",
            show_default=False,
        ),
    ] = None,
    data: DataOption = None,
    json_output: JsonOption = False,
) -> None:
    """Follow themes over successive quarters: continued, merged, gone, split, born, with growth.

    Quarters between the first and the last without a run are skipped and named.

    JSON: `ftm schema themes`.

    Examples:

        ftm themes --quarters 2016Q3..2017Q1

        ftm themes --quarters 2016Q3..2016Q4 --threshold 0.4 --json
    """
    from pathlib import Path

    from ftm_cli.console import print_json, say
    from ftm_cli.results.quarters import ThemesReport
    from ftm_cli.views.target import open_data
    from ftm_core.contracts.settings import PROJECT_FILE, resolve
    from ftm_core.quality.linking import follow, parse_range, with_a_run

    wanted = parse_range(quarters)
    thresholds = resolve(project_file=Path(PROJECT_FILE)).settings.quality
    least = thresholds.link_threshold if threshold is None else threshold
    storage = open_data(data)
    present = with_a_run(storage, wanted)
    skipped = [str(quarter) for quarter in wanted if quarter not in present]
    if skipped:
        say(f"{', '.join(skipped)}: skipped, because there is no run.", style="yellow")
    steps = follow(storage, present, least)
    if json_output:
        report = ThemesReport.model_validate(
            {
                "quarters": [str(quarter) for quarter in present],
                "skipped": skipped,
                "threshold": least,
                "steps": [step.as_json() for step in steps],
            }
        )
        print_json(report.as_json())
    else:
        _show(steps)


def _show(steps: Sequence[Step]) -> None:
    from ftm_cli.console import print_table, say
    from ftm_core.quality.linking import KINDS

    for step in steps:
        rows = [
            (
                link.kind,
                _named(link.before),
                _named(link.after),
                "" if link.similarity is None else f"{link.similarity:.2f}",
                _firms(link.before),
                _firms(link.after),
                "" if link.growth is None else f"{link.growth:+d}",
            )
            for link in step.links
        ]
        print_table(
            f"{step.earlier} to {step.later}",
            ("", step.earlier, step.later, "similar", "firms", "then", "growth"),
            rows,
        )
        counts = ", ".join(f"{step.count(kind)} {kind}" for kind in KINDS)
        say(f"{step.earlier} to {step.later}: {counts}.")


def _named(theme: Theme | None) -> str:
    return "" if theme is None else f"{theme.theme_id} {theme.name}"


def _firms(theme: Theme | None) -> str:
    return "" if theme is None else str(theme.n_firms)
