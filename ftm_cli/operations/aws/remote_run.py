"""Carry out a run's plan on AWS: vLLM up, start, follow, and vLLM down however it ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ftm_cli.operations.aws import names
from ftm_cli.operations.aws.errors import AwsBusyError, AwsError, AwsMissingError
from ftm_cli.operations.aws.executions import SUCCEEDED, Execution, Executions
from ftm_cli.operations.aws.vllm import Vllm
from ftm_cli.operations.aws.waiting import (
    Clock,
    StopSignal,
    Waits,
    stopped_by_signals,
    undisturbed,
)
from ftm_cli.operations.plan import RunPlan
from ftm_core.contracts.errors import (
    ChecksFailedError,
    FtmError,
    InputError,
    RetryableError,
)
from ftm_core.contracts.events import (
    Listener,
    Note,
    StageAdvanced,
    StageFinished,
    StageStarted,
    ignore,
)
from ftm_core.contracts.states import FailureCause, RunState
from ftm_core.data.progress import Progress, ProgressReader
from ftm_core.storage import Storage

_STOP_ATTEMPTS = 5
# A look that fails because AWS is busy is repeated this often before the run is given up on.
_LOOKS = 30


@dataclass(frozen=True)
class RemoteOutcome:
    """How a run on AWS ended, or that it was left running."""

    execution: Execution
    progress: Progress | None
    vllm_is_off: bool | None


class RunFailedError(FtmError):
    """The execution failed: the jobs' own reason is the cause."""


class RemoteRun:
    """One planned run with the parts of AWS it needs."""

    def __init__(
        self,
        plan: RunPlan,
        executions: Executions,
        vllm: Vllm,
        storage: Storage,
        *,
        clock: Clock | None = None,
        waits: Waits | None = None,
        listener: Listener = ignore,
    ) -> None:
        self._plan = plan
        self._executions = executions
        self._vllm = vllm
        self._storage = storage
        self._clock = clock or Clock()
        self._waits = waits or Waits.from_environment()
        self._listener = _deaf_when_nobody_listens(listener)
        self._execution: Execution | None = None
        self._is_off: bool | None = None

    @property
    def vllm_is_off(self) -> bool:
        """Whether vLLM's desired counts were seen at 0 after the run."""
        return bool(self._is_off)

    def listen(self, listener: Listener) -> None:
        """Tell ``listener`` from now on."""
        self._listener = _deaf_when_nobody_listens(listener)

    def run(self) -> RemoteOutcome:
        """Run to the end; with scale auto vLLM is at 0 afterwards, whatever happened.

        Raises RunFailedError or ChecksFailedError when the run fails, InterruptedRunError when it
        was stopped, CapacityError when vLLM gets no instance.
        """
        self._executions.check_deployed()
        with stopped_by_signals(), self.vllm_for_the_run():
            ended = self.start_and_follow()
        progress = ProgressReader(self._storage, self._plan.quarter).read_or_none()
        raise_if_failed(ended)
        return RemoteOutcome(ended, progress, self._is_off)

    def start_and_follow(self) -> Execution:
        """Start the execution and follow it to its end, whichever that is.

        A StopSignal passes; with scale none it becomes an error that says that the run goes on.
        """
        self._execution = self._executions.start(self._plan.execution_name, self._plan.payload)
        self._listener(Note(f"Started {self._execution.name}"))
        try:
            return self._follow(self._execution)
        except StopSignal as error:
            if self._plan.scale == "auto":
                raise
            raise error.interruption(
                "stopped this command; the run itself goes on",
                f"`ftm monitor {self._execution.name}` watches it.",
            ) from error

    def start_detached(self) -> RemoteOutcome:
        """Bring vLLM up, start the run and return; the deadman switch takes vLLM down after it.

        Raises AwsMissingError when that switch is not deployed: nothing would take vLLM down.
        """
        self._executions.check_deployed()
        if self._plan.scale == "auto":
            self._executions.check_deployed(names.DEADMAN)
        with stopped_by_signals(), contextlib.ExitStack() as guard:
            scaled = guard.enter_context(self.vllm_for_the_run())
            self._execution = self._executions.start(self._plan.execution_name, self._plan.payload)
            scaled.keep = True
        return RemoteOutcome(self._execution, None, self._is_off)

    @contextlib.contextmanager
    def vllm_for_the_run(self) -> Iterator[_Kept]:
        """VLLM up for the block; down after it, after the run itself has been stopped."""
        kept = _Kept()
        if self._plan.scale == "none":
            yield kept
            return
        try:
            self._vllm.scale_up(self._plan.instances)
            self._vllm.wait_until_ready(self._plan.instances, self._listener)
            yield kept
            if not kept.keep:
                # Inside the try: a signal that comes just before this still ends below.
                self.take_vllm_down()
        except BaseException:
            with undisturbed():
                self.stop_execution()
                self.take_vllm_down()
            raise

    def take_vllm_down(self) -> None:
        """Desired counts to 0, undisturbed by signals; left up where another run needs vLLM."""
        with undisturbed():
            others = self._others_running()
            if others:
                self._listener(
                    Note(
                        f"vLLM stays up for {', '.join(others)}; the deadman switch takes it down "
                        "after that, or `ftm scale-down`.",
                        "warning",
                    )
                )
                self._is_off = False
                return
            self._listener(Note("Taking vLLM down"))
            with contextlib.suppress(AwsMissingError):
                self._vllm.scale_down(self._listener)
            self._is_off = True
            self._listener(Note("vLLM: desired counts are 0"))

    def _others_running(self) -> list[str]:
        try:
            return self._executions.others_running(self._execution)
        except AwsError:
            # Not knowing, the GPU goes: jobs of another run wait for it and are retryable.
            return []

    def stop_execution(self) -> None:
        """Stop the run if it was started and has not ended; its jobs save what is finished."""
        if self._execution is None:
            return
        for _ in range(_STOP_ATTEMPTS):
            try:
                if self._executions.look(self._execution.arn).is_running:
                    self._executions.stop(self._execution, "ftm run was stopped")
                    self._listener(Note(f"Stopped {self._execution.name}; finished work is saved"))
            except AwsBusyError:
                self._clock.sleep(min(self._waits.poll, 2.0))
            except AwsError as error:
                self._listener(Note(str(error), "warning"))
                return
            else:
                return

    def _follow(self, execution: Execution) -> Execution:
        """Look until it ends; the listener hears of states and of finished firms."""
        reader = ProgressReader(self._storage, self._plan.quarter)
        stage, shown, failed_looks = "firms", -1, 0
        states: tuple[str, ...] = ()
        began = self._clock.monotonic()
        while True:
            try:
                now = self._executions.look(execution.arn)
                if now.is_running:
                    states = self._tell_states(now, states)
                failed_looks = 0
            except AwsBusyError:
                failed_looks += 1
                if failed_looks > _LOOKS:
                    raise
                self._clock.sleep(self._waits.poll)
                continue
            found = reader.read_or_none()
            if found is not None and found.firms:
                if shown < 0:
                    self._listener(StageStarted(stage, found.firms, "firms", found.finished))
                elif found.finished > shown:
                    self._listener(StageAdvanced(stage, found.finished - shown))
                shown = max(shown, found.finished)
            if not now.is_running:
                if shown >= 0:
                    self._listener(StageFinished(stage, self._clock.monotonic() - began))
                return now
            self._clock.sleep(self._waits.poll)

    def _tell_states(self, execution: Execution, before: tuple[str, ...]) -> tuple[str, ...]:
        states = self._executions.current_states(execution)
        for name in states:
            if name not in before:
                self._listener(Note(f"state {name}"))
        return states


@dataclass
class _Kept:
    """Whether vLLM outlives the block, for a detached run."""

    keep: bool = False


def raise_if_failed(execution: Execution) -> None:
    """Nothing for a run that succeeded; otherwise the error that fits its end."""
    if execution.status == SUCCEEDED:
        return
    where = f"run {execution.name}"
    cause = f"ended as {execution.status}: {execution.reason or 'no reason'}"
    hint = f"`ftm doctor` says why, `ftm failures --quarter {execution.quarter}` which firms."
    _, failure = execution.failure or ("", FailureCause.RUN_FAILED)
    if failure is FailureCause.CHECKS_FAILED:
        raise ChecksFailedError(where, cause, hint)
    if failure in (FailureCause.WRONG_INPUT, FailureCause.TRANSCRIPTS_MISSING):
        raise InputError(where, cause, hint)
    is_cut_short = execution.status in (RunState.ABORTED, RunState.TIMED_OUT)
    if is_cut_short or failure is FailureCause.NO_INSTANCE:
        raise RetryableError(where, cause, "Run the same command again: it goes on.")
    raise RunFailedError(where, cause, hint)


def _deaf_when_nobody_listens(listener: Listener) -> Listener:
    """A listener that survives the loss of the terminal it writes to."""

    def hear(event: Any) -> None:
        with contextlib.suppress(OSError):
            listener(event)

    return hear
