"""`ftm evaluate`: every check of a finished quarter, with its value."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftm_cli.options import (
    AllQuartersOption,
    DataOption,
    JsonOption,
    OptionalQuarterOption,
    QuartersOption,
)

if TYPE_CHECKING:
    from ftm_core.checks.result import EvaluationReport
    from ftm_core.contracts.quarters import Quarter
    from ftm_core.storage import Storage


ChecksOption = Annotated[
    Path | None,
    typer.Option("--checks", help="Folder of SQL files to run as further checks."),
]


def evaluate_command(
    quarter: OptionalQuarterOption = None,
    quarters: QuartersOption = None,
    every: AllQuartersOption = False,
    data: DataOption = None,
    checks: ChecksOption = None,
    json_output: JsonOption = False,
) -> None:
    """Check a finished quarter: the runbook's checklist, and that all tables fit together.

    Shows a table of all checks and sample rows. Ends with exit code 3 when a check fails. For the
    deployed bucket vLLM's own log must also show that it served the run. Of a sound quarter it
    also shows which measures of `ftm quality` are beyond their thresholds; these are warnings, and
    the exit code stays 0.

    JSON: `ftm schema evaluate`.

    Examples:

        ftm evaluate --quarter 2023Q1

        ftm evaluate --quarters 2016Q3..2017Q1

        ftm evaluate --data s3://my-bucket --json

        ftm evaluate --checks my-checks
    """
    from ftm_cli.console import print_json
    from ftm_cli.results.quarters import EvaluateReport
    from ftm_cli.targets.quarters import select_finished
    from ftm_cli.views.target import open_data
    from ftm_core.checks.evaluate import evaluate
    from ftm_core.contracts.errors import ChecksFailedError
    from ftm_core.contracts.settings import PROJECT_FILE, resolve

    storage = open_data(data)
    settings = resolve(project_file=Path(PROJECT_FILE)).settings
    reports = []
    for chosen in select_finished(storage, quarter, quarters, every):
        report = evaluate(storage, chosen, settings, own_checks=checks)
        if _is_deployed(storage):
            report = _with_request_log(report, storage, chosen)
        reports.append(report)
        if not json_output:
            _show(report)
    failed = [report for report in reports if not report.passed]
    if json_output:
        listed = [report.as_json() for report in reports]
        result = EvaluateReport.model_validate({"passed": not failed, "quarters": listed})
        print_json(result.as_json())
    if failed:
        first = failed[0]
        raise ChecksFailedError(
            f"The quarter {first.quarter}"
            if not failed[1:]
            else f"The quarters {', '.join(str(report.quarter) for report in failed)}",
            ("failed checks, the first of them " if failed[1:] else "failed ")
            + f"{len(first.failed)} of {len(first.checks)} checks: "
            + ", ".join(check.id for check in first.failed),
            "Read docs/reference/evaluation.md for what each check means and what to do.",
        )


def _is_deployed(storage: Storage) -> bool:
    """Whether the data is that of the pinned account's deploy, whose vLLM served it."""
    from ftm_cli.operations.aws.outputs import deployed_bucket
    from ftm_cli.targets import chosen_target
    from ftm_core.contracts.errors import InputError

    if not storage.uri.startswith("s3://") or chosen_target(None) != "aws":
        return False
    try:
        return storage.uri == f"s3://{deployed_bucket()}"
    except InputError:
        # Nothing was deployed from this folder, so no vLLM of ours either.
        return False


def _with_request_log(
    report: EvaluationReport, storage: Storage, quarter: Quarter
) -> EvaluationReport:
    """The report with the requests in vLLM's log during the run; without them where none shows."""
    from dataclasses import replace

    from ftm_cli.console import say
    from ftm_cli.operations.aws.errors import AwsForbiddenError, AwsMissingError
    from ftm_cli.operations.aws.logs import Logs
    from ftm_cli.operations.aws.request_log import check_requests
    from ftm_cli.operations.aws.session import pinned_session
    from ftm_core.data.lease import read_identity

    identity = read_identity(storage, quarter)
    assert identity is not None
    try:
        check = check_requests(Logs(pinned_session()), identity)
    except (AwsMissingError, AwsForbiddenError) as error:
        say(f"It could not be checked whether vLLM served the run. {error.sentence}")
        return report
    return replace(report, checks=(*report.checks, check))


def _show(report: EvaluationReport) -> None:
    """The checks, what is wrong in those that failed, and the sample rows."""
    from ftm_cli.console import print_table, say
    from ftm_cli.views.run import warn_of

    rows = [
        ("pass" if check.passed else "FAIL", check.id, check.title, check.value)
        for check in report.checks
    ]
    title = f"{report.quarter} in {report.data}, run {report.run_id}"
    print_table(title, ("", "check", "what", "value"), rows)
    for heading, sample in (
        ("Topics", report.samples.topics),
        ("Themes", report.samples.themes),
        ("Theme contributions", report.samples.contributions),
    ):
        if sample:
            print_table(heading, list(sample[0]), [list(row.values()) for row in sample])
    if report.failed:
        wrong = [(check.id, check.value, check.detail) for check in report.failed]
        print_table("Failed checks", ("check", "value", "what is wrong"), wrong)
    warn_of(report.warnings or ())
    passed = len(report.checks) - len(report.failed)
    say(f"{passed} of {len(report.checks)} checks passed.")
