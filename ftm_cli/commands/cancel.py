"""`ftm cancel`: stop a run that continues without its terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from ftm_cli.options import DataOption, JsonOption, TargetOption, YesOption


def cancel_command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Name of the run.")],
    data: DataOption = None,
    target: TargetOption = None,
    yes: YesOption = False,
    json_output: JsonOption = False,
) -> None:
    """Stop a run on AWS or Slurm; its jobs save what is finished.

    Starting the quarter again resumes it. A run on this machine is stopped by Ctrl-C or SIGTERM.

    JSON: `ftm schema cancel`.

    Examples:

        ftm cancel 2023Q1-20230601-120000 --target slurm
    """
    from ftm_cli.console import confirm_or_decline, print_json, say
    from ftm_cli.progress import progress_listener
    from ftm_cli.results.runs import CancelReport
    from ftm_cli.targets.base import SupportsCancel
    from ftm_cli.views.target import announced_target
    from ftm_core.contracts.errors import InputError

    chosen = announced_target(target, data)
    if not isinstance(chosen, SupportsCancel):
        raise InputError(
            f"The command `ftm cancel --target {chosen.name}`",
            "cannot stop a run: a run here belongs to the terminal that started it",
            "Stop the run with Ctrl-C there, or with `kill PID`: it saves what is finished.",
        )
    if not yes:
        confirm_or_decline(f"Stop {run}?", what="ftm cancel")
    with progress_listener() as listener:
        stopped = chosen.cancel(run, listener)
    if json_output:
        print_json(CancelReport(target=chosen.name, run=run, stopped=stopped).as_json())
    else:
        say(f"Stopped {run}.")
