"""`ftm quality`: how good a finished quarter's topics and themes are, by measures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftm_cli.options import DataOption, JsonOption, OptionalQuarterOption

if TYPE_CHECKING:
    from ftm_core.contracts.quarters import Quarter
    from ftm_core.quality.quality_report import QualityReport
    from ftm_core.quality.theme_recovery import Key
    from ftm_core.storage import Storage


def quality_command(
    quarter: OptionalQuarterOption = None,
    data: DataOption = None,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            help="CSV of transcript_id, position and planted_theme; the sample's own by default.",
            show_default=False,
        ),
    ] = None,
    stability: Annotated[
        bool,
        typer.Option(
            "--stability",
            help="Find the themes again by several seeds and compare; takes longer.",
        ),
    ] = False,
    patterns: Annotated[
        Path | None,
        typer.Option(
            "--patterns",
            help="CSV of subjects and regular expressions: measures subject recovery.",
            show_default=False,
        ),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Measure topics and themes: coherence, diversity, coverage, grounding, stability, recovery.

    Values beyond the thresholds of `ftm config --thresholds` are warnings; the exit code stays 0.

    JSON: `ftm schema quality`.

    Examples:

        ftm quality --quarter 2023Q1

        ftm quality --stability --key themes_by_hand.csv --json
    """
    from ftm_cli.console import print_json
    from ftm_cli.results.quarters import QualityReportResult
    from ftm_cli.targets import chosen_quarter
    from ftm_cli.views.target import open_data
    from ftm_core.contracts.settings import PROJECT_FILE, resolve
    from ftm_core.quality.measure import measure_quality
    from ftm_core.quality.subjects import read_subjects

    storage = open_data(data)
    chosen = chosen_quarter(storage, quarter)
    settings = resolve(project_file=Path(PROJECT_FILE)).settings.quality
    report = measure_quality(
        storage,
        chosen,
        settings,
        _key(storage, chosen, key),
        with_stability=stability,
        subjects=read_subjects(patterns) if patterns is not None else (),
    )
    if json_output:
        print_json(QualityReportResult.model_validate(report.as_json()).as_json())
    else:
        _show(report)


def _key(storage: Storage, quarter: Quarter, path: Path | None) -> Key | None:
    """The key given, or that of the sample corpus when the quarter was ingested from it."""
    from ftm_core.data.transcript_chunks import read_manifest
    from ftm_core.quality.theme_recovery import own_key, read_key

    if path is not None:
        return read_key(path)
    return own_key(quarter, read_manifest(storage, quarter).source)


def _show(report: QualityReport) -> None:
    from ftm_cli.console import print_table, say
    from ftm_cli.views.run import warn_of

    rows = [
        (
            "WARN" if measure.warning else "",
            measure.id,
            measure.title,
            "-" if measure.value is None else f"{measure.value:.3f}",
            measure.threshold,
            measure.detail,
        )
        for measure in report.measures
    ]
    print_table(
        f"{report.quarter} in {report.data}, run {report.run_id}",
        ("", "measure", "what", "value", "wanted", "detail"),
        rows,
    )
    warn_of(report.warnings)
    say(f"{len(report.warnings)} of {len(report.measures)} measures warn.")
