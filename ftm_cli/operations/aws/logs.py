"""CloudWatch logs of vLLM and of the jobs: the last minutes, and what comes after."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ftm_cli.operations.aws import names
from ftm_cli.operations.aws.errors import AwsBusyError, translated
from ftm_cli.operations.aws.session import AwsSession
from ftm_cli.operations.aws.waiting import Clock
from ftm_core.contracts.errors import InputError

SOURCES = ("vllm", "plan", "map", "reduce")
_SINCE = re.compile(r"(\d+)([smhd])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# CloudWatch may take in an event this much later than its time says.
_LATE_MS = 15_000
_FOLLOW_SECONDS = 2.0


@dataclass(frozen=True)
class LogEvent:
    """One line of a log."""

    id: str
    time: dt.datetime
    stream: str
    message: str

    def as_json(self) -> dict[str, str]:
        """The documented JSON shape of one line of `ftm logs`."""
        return {"time": self.time.isoformat(), "stream": self.stream, "message": self.message}


def parse_since(text: str) -> dt.timedelta:
    """A time such as ``30m``, ``2h`` or ``1d``; raises InputError on anything else."""
    match = _SINCE.fullmatch(text)
    if match is None:
        raise InputError(
            f"The time {text}", "cannot be read", "Write for example 90s, 30m, 2h or 1d."
        )
    return dt.timedelta(seconds=int(match[1]) * _UNIT_SECONDS[match[2]])


class Logs:
    """The two log groups of the pinned account."""

    def __init__(self, session: AwsSession, *, clock: Clock | None = None) -> None:
        self._profile = session.pin.profile
        self._logs = session.client("logs")
        self._clock = clock or Clock()

    def events(
        self, source: str, start: dt.datetime, *, pattern: str | None = None
    ) -> Iterator[LogEvent]:
        """Lines since ``start``, oldest first; raises AwsMissingError without the log group."""
        group, prefix = _place(source)
        arguments: dict[str, Any] = {
            "logGroupName": group,
            "startTime": int(start.timestamp() * 1000),
        }
        if prefix:
            arguments["logStreamNamePrefix"] = prefix
        if pattern:
            arguments["filterPattern"] = pattern
        token: str | None = None
        while True:
            more = {"nextToken": token} if token else {}
            with translated(f"The log group {group}", self._profile):
                page = self._logs.filter_log_events(**arguments, **more)
            for item in page["events"]:
                if item["logStreamName"].startswith(prefix):
                    yield _event(item)
            token = page.get("nextToken")
            if not token:
                return

    def retained_from(self, source: str) -> dt.datetime | None:
        """The earliest time that the log still holds; None when it never expires."""
        group, _ = _place(source)
        with translated(f"The log group {group}", self._profile):
            found = self._logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        for item in found:
            if item["logGroupName"] == group and "retentionInDays" in item:
                return dt.datetime.now(dt.UTC) - dt.timedelta(days=item["retentionInDays"])
        return None

    def follow(
        self, source: str, start: dt.datetime, *, pattern: str | None = None
    ) -> Iterator[LogEvent | None]:
        """Lines since ``start`` and all later ones, each once; None after each poll."""
        seen: dict[str, dt.datetime] = {}
        newest = start
        while True:
            try:
                for event in self.events(source, start, pattern=pattern):
                    if event.id not in seen:
                        seen[event.id] = event.time
                        newest = max(newest, event.time)
                        yield event
            except AwsBusyError:
                self._clock.sleep(_FOLLOW_SECONDS)
            yield None
            start = max(start, newest - dt.timedelta(milliseconds=_LATE_MS))
            seen = {name: time for name, time in seen.items() if time >= start}
            self._clock.sleep(_FOLLOW_SECONDS)


def _place(source: str) -> tuple[str, str]:
    if source == "vllm":
        return names.VLLM_LOGS, ""
    if source not in SOURCES:
        raise InputError(f"The log {source}", "is not known", f"Use one of {', '.join(SOURCES)}.")
    return names.BATCH_LOGS, names.STREAMS[source]


def _event(item: dict[str, Any]) -> LogEvent:
    time = dt.datetime.fromtimestamp(item["timestamp"] / 1000, dt.UTC)
    return LogEvent(item["eventId"], time, item["logStreamName"], item["message"].rstrip())
