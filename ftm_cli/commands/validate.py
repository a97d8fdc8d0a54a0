"""`ftm validate`: everything that a run needs, looked at before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ftm_cli.options import DataOption, JsonOption, TargetOption

if TYPE_CHECKING:
    from ftm_cli.operations.preflight import Check
    from ftm_core.contracts.events import Listener
    from ftm_core.contracts.quarters import Quarter


def validate_command(
    quarter: Annotated[
        str | None,
        typer.Option("--quarter", "-q", help="Also see that this quarter's transcripts are there."),
    ] = None,
    data: DataOption = None,
    target: TargetOption = None,
    json_output: JsonOption = False,
) -> None:
    """Look at everything a run needs, before it begins; changes nothing.

    On AWS: Python, Terraform, Docker, the Terraform modules, the login, the bucket, the quarter's
    transcripts, the images, and the quotas of vCPUs. On this machine: Python, both models, the data
    folder, disk space and the transcripts. Each failed check says what to do; the exit code is 3.

    JSON: {target, passed, checks: [{name, passed, detail, next_step}]}.

    Examples:

        ftm validate --quarter 2023Q1

        ftm validate --target local --json
    """
    from ftm_cli.console import print_json, progress_listener
    from ftm_cli.targets import chosen_target
    from ftm_core.contracts.errors import ChecksFailedError
    from ftm_core.contracts.quarters import Quarter

    where = chosen_target(target)
    parsed = Quarter.parse(quarter) if quarter else None
    look = _look_at_aws if where == "aws" else _look_here
    with progress_listener() as listener:
        checks = look(data, parsed, listener)
    failed = [check.name for check in checks if not check.passed]
    if json_output:
        listed = [check.as_json() for check in checks]
        print_json({"target": where, "passed": not failed, "checks": listed})
    else:
        _show(where, checks)
    if failed:
        raise ChecksFailedError(
            "ftm validate",
            f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}",
            "Each failed check says what to do next.",
        )


def _look_here(data: str | None, quarter: Quarter | None, listener: Listener) -> Sequence[Check]:
    from ftm_cli.operations.local_run import local_settings
    from ftm_cli.operations.preflight import check_local
    from ftm_cli.targets import open_data

    return check_local(local_settings({}), open_data(data, target="local"), quarter, listener)


def _look_at_aws(data: str | None, quarter: Quarter | None, listener: Listener) -> Sequence[Check]:
    from ftm_cli.operations.aws.deployment import deploy_settings
    from ftm_cli.operations.aws.preflight import check_aws
    from ftm_cli.operations.aws.remote import bucket_of
    from ftm_cli.operations.aws.session import pinned_session

    session = pinned_session()
    given = {"s3_bucket_name": bucket_of(data) if data else None}
    settings = deploy_settings(session.pin, given, bucket_needed=False)
    return check_aws(session, settings, quarter, listener)


def _show(target: str, checks: Sequence[Check]) -> None:
    from ftm_cli.console import print_table, say

    rows = [
        (
            "pass" if check.passed else "FAIL",
            check.name,
            check.detail if check.passed else f"{check.detail}\nNext: {check.next_step}",
        )
        for check in checks
    ]
    here = "the pinned account" if target == "aws" else "this machine"
    print_table(f"What a run on {here} needs", ("", "check", "found"), rows)
    if all(check.passed for check in checks):
        say(f"All {len(checks)} checks passed.")
