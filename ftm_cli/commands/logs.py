"""`ftm logs`: what vLLM and the jobs write."""

from __future__ import annotations

from typing import Annotated

import typer

from ftm_cli.options import DataOption, JsonOption, TargetOption


def logs_command(
    source: Annotated[str, typer.Argument(help="vllm, plan, map or reduce.")],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new lines as they come, until Ctrl-C.")
    ] = False,
    filter_pattern: Annotated[
        str | None,
        typer.Option("--filter", help="Words to search for; on AWS a CloudWatch pattern."),
    ] = None,
    since: Annotated[str, typer.Option("--since", help="How far back: 90s, 30m, 2h, 1d.")] = "10m",
    data: DataOption = None,
    target: TargetOption = None,
    json_output: JsonOption = False,
) -> None:
    """Show the log of vLLM or of the jobs.

    JSON: `ftm schema logs`, one object per line.

    Examples:

        ftm logs vllm --follow --filter '"POST /v1/chat/completions"'

        ftm logs map --since 30m --filter ERROR

        ftm logs reduce --target slurm
    """
    import contextlib
    import json
    import sys

    from ftm_cli.console import say
    from ftm_cli.operations.aws.logs import parse_since
    from ftm_cli.results.setup import LogLineResult
    from ftm_cli.streams import stdout_is_lost
    from ftm_cli.targets.base import LogLine, SupportsLogs
    from ftm_cli.views.target import announced_target
    from ftm_core.contracts.errors import InputError

    def show(event: LogLine) -> None:
        moment = event.time
        if json_output:
            result = LogLineResult(
                time=moment.isoformat() if moment else None,
                stream=event.stream,
                message=event.message,
            )
            line = json.dumps(result.as_json(), ensure_ascii=False)
        else:
            line = f"{moment:%Y-%m-%d %H:%M:%S} " if moment else ""
            line += f"{event.stream} {event.message}"
        sys.stdout.write(line + "\n")

    start = parse_since(since)
    chosen = announced_target(target, data)
    if not isinstance(chosen, SupportsLogs):
        raise InputError(
            f"The command `ftm logs --target {chosen.name}`",
            "has no logs to show: a run here writes to its own terminal",
            "Read that terminal, or name --target aws or slurm.",
        )
    is_empty = True
    with contextlib.suppress(KeyboardInterrupt):
        for event in chosen.logs(source, start, filter_pattern, follow=follow):
            if event is not None:
                show(event)
                is_empty = False
                continue
            sys.stdout.flush()
            if stdout_is_lost():
                return
    if is_empty:
        say("No line was found. --since says how far back the log is read.")
