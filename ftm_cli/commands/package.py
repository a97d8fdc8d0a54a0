"""`ftm package`: the downstream tables of a finished quarter, rebuilt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftm_cli.options import DataOption, JsonOption, OptionalQuarterOption

if TYPE_CHECKING:
    from ftm_core.contracts.quarters import Quarter
    from ftm_core.themes.downstream_tables import DownstreamReport


def package_command(
    quarter: OptionalQuarterOption = None,
    data: DataOption = None,
    json_output: JsonOption = False,
) -> None:
    """Write firms, sentences, topics and the sentiment-ready table of a finished quarter.

    Every run does this at its end. Firms without permno are left out of sentiment-ready, counted
    and listed.

    JSON: `ftm schema package`.

    Examples:

        ftm package --quarter 2023Q1

        ftm package --data s3://my-bucket --json
    """
    from ftm_cli.console import print_json
    from ftm_cli.progress import progress_listener
    from ftm_cli.results.quarters import PackagedQuarter, PackageReport
    from ftm_cli.targets import chosen_quarter
    from ftm_cli.views.target import open_data
    from ftm_core.themes.packaging import package_quarter

    storage = open_data(data)
    chosen = chosen_quarter(storage, quarter)
    with progress_listener() as listener:
        report = package_quarter(storage, chosen, listener)
    if json_output:
        packaged = PackagedQuarter(**vars(report), quarter=str(chosen))
        print_json(PackageReport(packaged).as_json())
    else:
        _show(chosen, report)


def _show(quarter: Quarter, report: DownstreamReport) -> None:
    from ftm_cli.console import counted, print_table, say

    rows = [
        ("firms", f"{counted(report.n_calls, 'call')} of {counted(report.n_firms, 'firm')}"),
        ("sentences", report.n_sentences),
        ("topics", f"{report.n_topics}, {report.n_topics_in_themes} of them in themes"),
        ("sentiment-ready", f"{counted(report.n_sentiment_rows, 'topic')} of firms with permno"),
        (
            "left out of sentiment-ready",
            f"{counted(report.n_rows_without_permno, 'topic')}, no permno",
        ),
        ("failed firms, in no table", ", ".join(report.failed_firms) or "none"),
    ]
    print_table(f"{quarter}", ("table", "rows"), rows)
    if report.firms_without_permno:
        listed = [(firm,) for firm in report.firms_without_permno]
        print_table("Firms without permno", ("firm_id",), listed)
    say(f"Next: ftm evaluate --quarter {quarter}")
