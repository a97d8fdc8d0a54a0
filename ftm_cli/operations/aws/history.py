"""Runs that were, here and on AWS, with their time, cost and outcome."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ftm_cli.operations.aws.executions import Execution, Executions
from ftm_cli.operations.costs import Prices
from ftm_core.contracts import keys
from ftm_core.contracts.errors import InputError, ObjectMissingError
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import RunIdentity, from_json
from ftm_core.storage import Storage


@dataclass(frozen=True)
class RunRecord:
    """One run: where, which, how it stands; cost is an estimate, None where nothing is paid."""

    target: str
    run: str
    quarter: str
    state: str
    started: str
    seconds: float | None
    cost_usd: float | None

    def as_json(self) -> dict[str, Any]:
        """The documented JSON shape of one run."""
        return asdict(self)


def local_runs(storage: Storage) -> Iterator[RunRecord]:
    """The last run of each quarter under a data folder, latest quarter first."""
    names = {key.split("/")[1] for key in storage.list("progress/") if key.count("/") > 1}
    quarters = []
    for name in names:
        try:
            quarters.append(Quarter.parse(name))
        except InputError:
            continue
    for quarter in sorted(quarters, reverse=True):
        key = keys.run_identity(quarter)
        try:
            identity = from_json(RunIdentity, storage.read(key), where=storage.describe(key))
        except ObjectMissingError:
            continue
        yield _local(identity)


def aws_runs(
    executions: Executions, prices: Prices, instance_type: str, *, limit: int
) -> Iterator[RunRecord]:
    """Runs of the state machine, newest first; the cost is vLLM's, one instance for its time."""
    now = dt.datetime.now(dt.UTC)
    for execution in executions.recent(limit=limit):
        seconds = execution.seconds(now)
        yield RunRecord(
            target="aws",
            run=execution.name,
            quarter=_quarter_of(execution),
            state=execution.status,
            started=execution.started.astimezone(dt.UTC).isoformat(timespec="seconds"),
            seconds=round(seconds),
            cost_usd=round(prices.vllm_hourly(1, instance_type) * seconds / 3600, 2),
        )


def _quarter_of(execution: Execution) -> str:
    """The quarter by the run's input, else by its name; empty when neither says it."""
    if execution.quarter:
        return execution.quarter
    head = execution.name.split("-", 1)[0]
    return head if len(head) == 6 and head[4] == "Q" else ""


def _local(identity: RunIdentity) -> RunRecord:
    seconds: float | None = None
    if identity.finished:
        began = dt.datetime.fromisoformat(identity.started)
        seconds = (dt.datetime.fromisoformat(identity.finished) - began).total_seconds()
    held = "RUNNING" if identity.owner else "UNFINISHED"
    return RunRecord(
        target="local",
        run=identity.run_id,
        quarter=identity.quarter,
        state="SUCCEEDED" if identity.finished else held,
        started=identity.started,
        seconds=seconds,
        cost_usd=None,
    )
