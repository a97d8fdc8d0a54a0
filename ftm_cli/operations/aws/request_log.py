"""What vLLM's own log says of the requests that it served in the time of a run."""

from __future__ import annotations

import datetime as dt

from ftm_cli.operations.aws import names
from ftm_cli.operations.aws.errors import AwsMissingError
from ftm_cli.operations.aws.logs import Logs
from ftm_core.checks.result import Check
from ftm_core.contracts.records import RunIdentity

# vLLM logs one such line for each request it has answered.
REQUESTS = '"POST /v1/chat/completions"'


def check_requests(logs: Logs, identity: RunIdentity) -> Check:
    """Whether vLLM logged requests between the beginning and the end of a run.

    Raises AwsMissingError when no log shows it: there is none, or it no longer reaches back.
    """
    started = dt.datetime.fromisoformat(identity.started)
    finished = dt.datetime.fromisoformat(identity.finished) if identity.finished else None
    count = sum(
        1
        for event in logs.events("vllm", started, pattern=REQUESTS)
        if finished is None or event.time <= finished
    )
    retained_from = logs.retained_from("vllm")
    if not count and retained_from is not None and started < retained_from:
        raise AwsMissingError(
            f"The log group {names.VLLM_LOGS}",
            f"no longer reaches back to {identity.started}",
            "Trust the checks of the cached responses of the run: they need no log.",
        )
    span = f"from {identity.started} to {identity.finished or 'now'}"
    return Check(
        id="vllm-requests",
        group="serving",
        title="vLLM's own log shows requests in the time of the run",
        passed=count > 0,
        value=f"{count:,} request{'' if count == 1 else 's'}",
        detail="" if count else f"{names.VLLM_LOGS} holds no {REQUESTS} {span}",
    )
