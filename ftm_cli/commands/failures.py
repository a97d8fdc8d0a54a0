"""`ftm failures`: the firms and topics of a quarter that failed, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftm_cli.options import DataOption, JsonOption, OptionalQuarterOption

if TYPE_CHECKING:
    from ftm_core.data.failures import FailuresReport


def failures_command(
    quarter: OptionalQuarterOption = None,
    data: DataOption = None,
    json_output: JsonOption = False,
) -> None:
    """List the recorded failures of a quarter, finished or not.

    The next `ftm run` of the quarter tries each of them again.

    JSON: `ftm schema failures`.

    Examples:

        ftm failures

        ftm failures --quarter 2023Q1 --data s3://my-bucket --json
    """
    from ftm_cli.console import print_json
    from ftm_cli.results.quarters import FailuresResult
    from ftm_cli.views.target import open_data
    from ftm_core.contracts.quarters import Quarter
    from ftm_core.data.failures import collect_failures, latest_run_quarter

    storage = open_data(data)
    chosen = Quarter.parse(quarter) if quarter else latest_run_quarter(storage)
    report = collect_failures(storage, chosen)
    if json_output:
        print_json(FailuresResult.model_validate(report.as_json()).as_json())
    else:
        _show(report)


def _show(report: FailuresReport) -> None:
    from ftm_cli.console import counted, print_table, say

    if report.failures:
        rows = [
            (
                item.batch_id,
                item.failure.firm_id,
                item.failure.topic_id,
                item.failure.error_type,
                item.failure.attempts,
                item.failure.timestamp,
                item.failure.error_message,
            )
            for item in report.failures
        ]
        columns = ("batch", "firm_id", "topic_id", "error", "attempts", "time", "reason")
        print_table(f"Recorded failures of {report.quarter}", columns, rows)
    say(
        f"{report.quarter}: {report.n_failed_firms} of {report.n_firms} firms failed, "
        f"{counted(len(report.failures), 'failure')} recorded."
    )
