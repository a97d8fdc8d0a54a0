"""Several executions at once, a bounded number of them, with one vLLM for all."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ftm_cli.operations.aws.errors import AwsBusyError
from ftm_cli.operations.aws.executions import Execution, Executions
from ftm_cli.operations.aws.remote_run import RemoteOutcome, RemoteRun, raise_if_failed
from ftm_cli.operations.aws.waiting import (
    Clock,
    StopSignal,
    Waits,
    ignore_signals,
    stopped_by_signals,
)
from ftm_cli.operations.plan import RunPlan
from ftm_cli.results.runs import AwsRunDetails, FirmCounts, RunResult
from ftm_cli.targets.base import QuarterOutcome, QuarterPlan
from ftm_cli.targets.local import failed_outcome
from ftm_core.contracts.errors import FtmError
from ftm_core.contracts.events import Listener, Note
from ftm_core.contracts.states import RunState
from ftm_core.data.progress import ProgressReader
from ftm_core.storage import Storage

# An execution is given up on after this many failed polls in a row.
_POLLS = 30


@dataclass
class _Active:
    """An execution that has not ended, and what is known of it."""

    plan: QuarterPlan
    execution: Execution
    states: tuple[str, ...] = ()
    failed_polls: int = 0


class ConcurrentRuns:
    """The executions of several quarters in the pinned account."""

    def __init__(
        self,
        runs: Mapping[str, RemoteRun],
        plans: Sequence[QuarterPlan],
        executions: Executions,
        storage: Storage,
        listener: Listener,
        *,
        clock: Clock | None = None,
        waits: Waits | None = None,
    ) -> None:
        self._runs = runs
        self._plans = plans
        self._executions = executions
        self._storage = storage
        self._listener = listener
        self._clock = clock or Clock()
        self._waits = waits or Waits.from_environment()
        self._active: dict[str, _Active] = {}
        self._ended: dict[str, QuarterOutcome] = {}

    def run(self, *, at_once: int) -> dict[str, QuarterOutcome]:
        """Run all quarters; returns their outcomes by the name of the run.

        With scale auto vLLM is at 0 afterwards, however the runs ended; runs that are still active
        are stopped first. Raises InterruptedRunError when a signal stopped it.
        """
        self._executions.check_deployed()
        lead = self._runs[self._plans[0].run]
        with stopped_by_signals(), lead.vllm_for_the_run():
            try:
                self._run_all(at_once)
            except BaseException as error:
                self._end_early(error)
                raise
        return self._ended

    def _run_all(self, at_once: int) -> None:
        waiting = deque(self._plans)
        while waiting or self._active:
            while waiting and len(self._active) < at_once:
                self._start(waiting.popleft())
            for active in list(self._active.values()):
                self._poll(active)
            if self._active:
                self._clock.sleep(self._waits.poll)

    def _start(self, plan: QuarterPlan) -> None:
        try:
            execution = self._executions.start(plan.run, native_plan(plan).payload)
        except FtmError as error:
            self._end(plan, failed_outcome(plan, error, 0.0))
            return
        self._active[plan.run] = _Active(plan, execution)
        self._listener(Note(f"Started {execution.name}"))

    def _poll(self, active: _Active) -> None:
        plan = active.plan
        try:
            now = self._executions.describe(active.execution.arn)
            states = self._executions.current_states(now) if now.is_running else ()
        except AwsBusyError as error:
            active.failed_polls += 1
            if active.failed_polls > _POLLS:
                self._end(plan, failed_outcome(plan, error, 0.0))
            return
        active.execution, active.failed_polls = now, 0
        for name in states:
            if name not in active.states:
                self._listener(Note(f"{plan.quarter}: state {name}"))
        active.states = states
        if now.is_running:
            return
        try:
            raise_if_failed(now)
        except FtmError as error:
            self._end(plan, failed_outcome(plan, error, now.seconds(dt.datetime.now(dt.UTC))))
            return
        progress = ProgressReader(self._storage, plan.quarter).read_or_none()
        self._end(plan, QuarterOutcome(aws_result(RemoteOutcome(now, progress, None))))

    def _end(self, plan: QuarterPlan, outcome: QuarterOutcome) -> None:
        self._active.pop(plan.run, None)
        self._ended[plan.run] = outcome
        level = "info" if outcome.error is None else "warning"
        why = f": {outcome.error}" if outcome.error else ""
        self._listener(Note(f"{plan.quarter}: {outcome.result.state.lower()}{why}", level))

    def _end_early(self, error: BaseException) -> None:
        """Stop what is running, unless vLLM is not ours and the command alone was stopped."""
        if isinstance(error, StopSignal) and native_plan(self._plans[0]).scale == "none":
            names = ", ".join(self._active)
            raise error.interruption(
                "stopped this command, but the runs themselves keep running",
                f"Watch them with `ftm monitor`: {names}.",
            ) from error
        with ignore_signals():
            for active in self._active.values():
                with contextlib.suppress(FtmError):
                    self._executions.stop(active.execution, "ftm run was stopped")
                    self._listener(Note(f"Stopped {active.execution.name}; finished work is saved"))


def native_plan(plan: QuarterPlan) -> RunPlan:
    """The plan of the execution."""
    assert isinstance(plan.native, RunPlan)
    return plan.native


def aws_result(ended: RemoteOutcome) -> RunResult:
    """The result of an execution that ended, or that was started."""
    found, execution = ended.progress, ended.execution
    firms = None
    if found is not None:
        firms = FirmCounts(total=found.firms, finished=found.finished, failed=found.failed)
    return RunResult(
        quarter=execution.quarter or "",
        run=execution.name,
        state=RunState(execution.status),
        nothing_to_do=False,
        firms=firms,
        seconds=round(execution.seconds(dt.datetime.now(dt.UTC))),
        aws=AwsRunDetails(execution_arn=execution.arn, vllm_is_off=ended.vllm_is_off),
    )
