"""`ftm report`: one HTML page about a finished quarter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ftm_cli.options import (
    AllQuartersOption,
    DataOption,
    JsonOption,
    OptionalQuarterOption,
    QuartersOption,
)

if TYPE_CHECKING:
    from ftm_core.report.content import ReportContent


def report_command(
    quarter: OptionalQuarterOption = None,
    quarters: QuartersOption = None,
    every: AllQuartersOption = False,
    open_page: Annotated[
        bool, typer.Option("--open", help="Open the page in the web browser.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File to write; report/QUARTER.html when left out.",
            show_default=False,
        ),
    ] = None,
    data: DataOption = None,
    json_output: JsonOption = False,
) -> None:
    """Write one self-contained HTML page: counts, map, themes, heatmap, checks, quality, run.

    The page needs no network and holds no more than a browser can show; what it samples, it says.
    The exit code is 0 when the page is written, even if checks failed; that of
    `ftm evaluate` says whether they did.

    JSON: `ftm schema report`.

    Examples:

        ftm report --quarter 2023Q1 --open

        ftm report --data s3://my-bucket --output 2023Q1.html --json
    """
    from ftm_cli.console import print_json
    from ftm_cli.progress import progress_listener
    from ftm_cli.results.quarters import ReportReport
    from ftm_cli.targets.quarters import select_finished
    from ftm_cli.views.target import open_data
    from ftm_core.contracts.errors import InputError
    from ftm_core.contracts.settings import PROJECT_FILE, resolve
    from ftm_core.report.content import collect
    from ftm_core.report.page import render_page
    from ftm_core.storage.files import check_output_file
    from ftm_core.storage.local import LocalStorage

    storage = open_data(data)
    many = quarters is not None or every
    if many and output is not None:
        raise InputError(
            "The option --output",
            "names one file, but several quarters are asked for",
            "Leave it out, or ask for one quarter.",
        )
    settings = resolve(project_file=Path(PROJECT_FILE)).settings
    pages = []
    for chosen in select_finished(storage, quarter, quarters, every):
        path = (output or Path("report") / f"{chosen}.html").resolve()
        check_output_file(path)
        with progress_listener() as listener:
            content = collect(storage, chosen, settings, listener)
        page = render_page(content, _cost(content))
        LocalStorage(path.parent).write(path.name, page)
        pages.append({"quarter": str(chosen), **_facts(content, path, len(page))})
        if not json_output:
            typer.echo(path)
            _say_what_is_wrong(content)
        if open_page:
            _open(path)
    if json_output:
        print_json(ReportReport.model_validate({"quarters": pages}).as_json())


def _facts(content: ReportContent, path: Path, size: int) -> dict[str, Any]:
    return {
        "path": str(path),
        "bytes": size,
        "themes": len(content.views.themes),
        "topics": content.views.topic_map["n_topics"],
        "topics_on_map": len(content.views.topic_map["x"]),
        "checks_failed": len(content.evaluation.failed),
        "quality_warnings": len(content.quality.warnings),
    }


def _open(path: Path) -> None:
    import webbrowser

    from ftm_cli.console import say

    if not webbrowser.open(path.as_uri()):
        say(f"No web browser was found here; open {path} in one.", style="yellow")


def _cost(content: ReportContent) -> str:
    """What is known of the cost: `ftm runs` estimates the same."""
    from ftm_cli.operations.costs import DEFAULT_INSTANCE, read_prices

    if not content.data.startswith("s3://"):
        return "nothing on AWS; the price of the LLM server's answers is not known to ftm"
    if content.seconds is None:
        return "not known: the run did not record its end"
    prices = read_prices()
    dollars = prices.vllm_hourly(1) * content.seconds / 3600
    return (
        f"about ${dollars:,.2f} for one {DEFAULT_INSTANCE} with vLLM from start to finish, if it "
        f"ran on AWS ({prices.note})"
    )


def _say_what_is_wrong(content: ReportContent) -> None:
    from ftm_cli.console import say

    failed = content.evaluation.failed
    if failed:
        names = ", ".join(check.id for check in failed)
        say(
            f"{len(failed)} of {len(content.evaluation.checks)} checks failed: {names}", style="red"
        )
    warnings = content.quality.warnings
    if warnings:
        names = ", ".join(measure.id for measure in warnings)
        say(
            f"{len(warnings)} of {len(content.quality.measures)} measures warn: {names}",
            style="yellow",
        )
