"""`ftm validate`: everything that a run needs, checked before it starts."""

from __future__ import annotations

from typing import Annotated

import typer

from ftm_cli.options import DataOption, JsonOption, TargetOption


def validate_command(
    quarter: Annotated[
        str | None,
        typer.Option("--quarter", "-q", help="Also check this quarter's transcripts."),
    ] = None,
    data: DataOption = None,
    target: TargetOption = None,
    json_output: JsonOption = False,
) -> None:
    """Check everything a run needs, before it starts; changes nothing.

    On AWS: Python, Terraform, Docker, the Terraform modules, the login, the bucket, the quarter's
    transcripts, the images, and the quotas of vCPUs. On this machine: Python, both models, the data
    folder, disk space and the transcripts. Each failed check says what to do; the exit code is 3.

    JSON: `ftm schema validate`.

    Examples:

        ftm validate --quarter 2023Q1

        ftm validate --target local --json
    """
    from ftm_cli.console import print_json
    from ftm_cli.progress import progress_listener
    from ftm_cli.targets.reports import validate_report
    from ftm_cli.views.diagnosis import show_checks
    from ftm_cli.views.target import announced_target
    from ftm_core.contracts.errors import ChecksFailedError
    from ftm_core.contracts.quarters import Quarter

    parsed = Quarter.parse(quarter) if quarter else None
    chosen = announced_target(target, data)
    with progress_listener() as listener:
        checks = chosen.preflight(parsed, listener)
    failed = [check.name for check in checks if not check.passed]
    if json_output:
        print_json(validate_report(chosen, checks).as_json())
    else:
        show_checks(checks)
    if failed:
        raise ChecksFailedError(
            "The command `ftm validate`",
            f"found {len(failed)} of {len(checks)} checks failed: {', '.join(failed)}",
            "Do what each failed check says next.",
        )
