"""`ftm logs`: what vLLM and the jobs write, from CloudWatch."""

from __future__ import annotations

from typing import Annotated

import typer

from ftm_cli.options import JsonOption


def logs_command(
    source: Annotated[str, typer.Argument(help="vllm, plan, map or reduce.")],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new lines until Ctrl-C.")
    ] = False,
    filter_pattern: Annotated[
        str | None,
        typer.Option("--filter", help="CloudWatch pattern; words in double quotes as one text."),
    ] = None,
    since: Annotated[str, typer.Option("--since", help="How far back: 90s, 30m, 2h, 1d.")] = "10m",
    json_output: JsonOption = False,
) -> None:
    """Show the log of vLLM or of the jobs.

    JSON: one object a line: {time, stream, message}.

    Examples:

        ftm logs vllm --follow --filter '"POST /v1/chat/completions"'

        ftm logs map --since 30m --filter ERROR
    """
    import contextlib
    import datetime as dt
    import json
    import sys

    from ftm_cli.operations.aws.logs import LogEvent, Logs, parse_since
    from ftm_cli.operations.aws.session import pinned_session
    from ftm_cli.streams import stdout_is_lost

    def show(event: LogEvent) -> None:
        if json_output:
            line = json.dumps(event.as_json(), ensure_ascii=False)
        else:
            line = f"{event.time:%Y-%m-%d %H:%M:%S} {event.stream} {event.message}"
        sys.stdout.write(line + "\n")

    start = dt.datetime.now(dt.UTC) - parse_since(since)
    logs = Logs(pinned_session())
    if not follow:
        for event in logs.events(source, start, pattern=filter_pattern):
            show(event)
        return
    with contextlib.suppress(KeyboardInterrupt):
        for found in logs.follow(source, start, pattern=filter_pattern):
            if found is not None:
                show(found)
                continue
            sys.stdout.flush()
            if stdout_is_lost():
                return
