"""`ftm themes`: what becomes of themes from quarter to quarter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftm_cli.options import AllQuartersOption, DataOption, JsonOption, QuartersOption

if TYPE_CHECKING:
    from ftm_cli.results.quarters import ThemesPlot
    from ftm_core.contracts.quarters import Quarter
    from ftm_core.quality.linking import Step, Theme
    from ftm_core.storage import Storage


ThresholdOption = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        min=0.0,
        max=1.0,
        help="Similarity from which two themes are the same; that of ftm.toml when left out.",
        show_default=False,
    ),
]
PlotOption = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        help="Draw exposure to themes over quarters into this .html, .svg, .png or .pdf file.",
        show_default=False,
    ),
]
PlottedThemesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--theme",
        help="Theme to plot: its ID, or words of its name or keywords; repeat for more. "
        "The five largest that last when left out.",
        show_default=False,
    ),
]


def themes_command(
    quarters: QuartersOption = None,
    every: AllQuartersOption = False,
    threshold: ThresholdOption = None,
    plot: PlotOption = None,
    theme: PlottedThemesOption = None,
    data: DataOption = None,
    json_output: JsonOption = False,
) -> None:
    """Follow themes over successive quarters: continued, merged, gone, split, born, with growth.

    Quarters of a range that have no themes are skipped and named. With --plot it draws the themes
    of the panel (`ftm export --quarters`), whose IDs stay the same when quarters are added.

    JSON: `ftm schema themes`.

    Examples:

        ftm themes --quarters 2016Q3..2017Q1

        ftm themes --quarters 2016Q3..2016Q4 --threshold 0.4 --json

        ftm themes --all --plot themes.html

        ftm themes --quarters 2016Q3..2017Q1 --plot oil.png --theme oil --theme panel_2016Q3_012
    """
    from ftm_cli.console import print_json
    from ftm_cli.results.quarters import ThemesReport
    from ftm_cli.views.target import open_data
    from ftm_core.contracts.errors import InputError
    from ftm_core.contracts.settings import PROJECT_FILE, resolve
    from ftm_core.quality.linking import follow

    if theme and plot is None:
        raise InputError(
            "The option --theme",
            "names what to plot, but not where",
            "Add --plot FILE to the command.",
        )
    if quarters is None and not every:
        raise InputError(
            "The command `ftm themes`",
            "needs two quarters or more",
            "Use --quarters 2016Q3..2017Q1 or --all.",
        )
    thresholds = resolve(project_file=Path(PROJECT_FILE)).settings.quality
    least = thresholds.link_threshold if threshold is None else threshold
    storage = open_data(data)
    present, skipped = _selected(storage, quarters, every=every)
    drawn = None if plot is None else _plot(storage, present, plot, theme or ())
    if drawn is not None and not json_output:
        _show_plot(drawn)
        return
    steps = follow(storage, present, least)
    if json_output:
        report = ThemesReport.model_validate(
            {
                "quarters": [str(quarter) for quarter in present],
                "skipped": skipped,
                "threshold": least,
                "steps": [step.as_json() for step in steps],
                "plot": drawn,
            }
        )
        print_json(report.as_json())
    else:
        _show(steps)


def _selected(
    storage: Storage, quarters: str | None, *, every: bool
) -> tuple[list[Quarter], list[str]]:
    """The quarters to follow, two or more, and those of the range that have no themes."""
    from ftm_cli.console import say
    from ftm_cli.targets.quarters import select_quarters
    from ftm_core.contracts.errors import InputError
    from ftm_core.contracts.quarters import parse_quarters
    from ftm_core.data.listing import quarters_with_themes

    present = select_quarters(
        quarters_with_themes(storage),
        quarters=quarters,
        every=every,
        what="themes",
        where=storage.uri,
    )
    skipped = [
        str(quarter)
        for quarter in (parse_quarters(quarters)[0] if quarters else ())
        if quarter not in present
    ]
    if skipped:
        say(f"{', '.join(skipped)}: skipped, because there are no themes.", style="yellow")
    if not present[1:]:
        raise InputError(
            f"The choice of quarters ({quarters or '--all'})",
            f"has themes in {present[0]} alone, but following takes two quarters",
            "Run another quarter, or name more of them.",
        )
    return present, skipped


def _plot(
    storage: Storage, quarters: Sequence[Quarter], path: Path, asked: Sequence[str]
) -> ThemesPlot:
    """Draw the themes of the panel that are asked for; what was drawn where."""
    from ftm_cli.results.quarters import ThemesPlot
    from ftm_core.contracts.errors import InputError
    from ftm_core.contracts.extras import require_extra
    from ftm_core.data.panel import extend_panel
    from ftm_core.report.panel_plot import FORMATS, find_themes, plot_panel, values_of
    from ftm_core.storage.files import check_output_file
    from ftm_core.storage.local import LocalStorage

    file_format = path.suffix.removeprefix(".").lower()
    if file_format not in FORMATS:
        raise InputError(
            f"The plot file {path}",
            "has no known file type",
            f"End its name with one of {', '.join(f'.{kind}' for kind in FORMATS)}.",
        )
    require_extra("report", "A plot", ["matplotlib"])
    path = path.resolve()
    check_output_file(path)
    panel = extend_panel(storage, quarters)
    chosen = find_themes(panel, asked)
    LocalStorage(path.parent).write(path.name, plot_panel(panel, chosen, file_format))
    values = values_of(panel, chosen).to_dict("records")
    return ThemesPlot.model_validate({"path": str(path), "values": values})


def _show_plot(drawn: ThemesPlot) -> None:
    from ftm_cli.console import print_table

    rows = [
        (
            value.panel_theme_id,
            value.quarter,
            f"{value.mean_share:.2%}",
            value.n_firms,
            value.panel_theme_name,
        )
        for value in drawn.values
    ]
    print_table("Mean share of a call", ("theme", "quarter", "share", "firms", "name"), rows)
    typer.echo(drawn.path)


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
