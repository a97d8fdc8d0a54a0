"""Carry out a run's plan on AWS: start, vLLM up once planned, follow, vLLM down at any end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ftm_cli.operations.aws import names
from ftm_cli.operations.aws.errors import (
    REPEAT,
    AwsBusyError,
    AwsError,
    AwsLoginError,
    AwsMissingError,
)
from ftm_cli.operations.aws.executions import SUCCEEDED, Execution, Executions
from ftm_cli.operations.aws.vllm import Vllm
from ftm_cli.operations.aws.waiting import (
    Clock,
    StopSignal,
    Waits,
    ignore_signals,
    stopped_by_signals,
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

_Found = TypeVar("_Found")
_STOP_ATTEMPTS = 5
# States of the run that come after the plan is written.
_AFTER_THE_PLAN = frozenset({"ProcessBatches", "CountReduceAttempt", "ReduceThemes"})
# A poll that fails because AWS is busy is repeated this often before the command gives up.
_MAX_FAILED_POLLS = 30


@dataclass(frozen=True)
class RemoteOutcome:
    """How a run on AWS ended, or that it was left running."""

    execution: Execution
    progress: Progress | None
    vllm_is_off: bool | None


class LeftRunningError(AwsLoginError):
    """The login was lost for good. The run continues, and nobody follows it."""


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
        reconnect: Callable[[], tuple[Executions, Vllm, Storage]] | None = None,
    ) -> None:
        self._plan = plan
        self._reconnect = reconnect
        self._reader = ProgressReader(storage, plan.quarter)
        self._states: tuple[str, ...] = ()
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
        """Report to ``listener`` from now on."""
        self._listener = _deaf_when_nobody_listens(listener)

    def run(self) -> RemoteOutcome:
        """Run to the end; with scale auto vLLM is at 0 afterwards, however the run ended.

        Raises RunFailedError or ChecksFailedError when the run fails, InterruptedRunError when it
        was stopped, CapacityError when vLLM gets no instance, and LeftRunningError when the login
        was lost for good: the run then continues without this command.
        """
        self._executions.check_deployed()
        with stopped_by_signals(), self.vllm_for_the_run():
            self.start()
            self.follow_plan()
            self.bring_vllm_up()
            ended = self.follow()
        progress = self._reader.read_or_none()
        raise_if_failed(ended)
        return RemoteOutcome(ended, progress, self._is_off)

    def start(self) -> Execution:
        """Start the execution; nothing that costs by the hour is up yet."""
        self._execution = self._executions.start(self._plan.execution_name, self._plan.payload)
        self._listener(Note(f"Started {self._execution.name}"))
        return self._execution

    def follow_plan(self) -> None:
        """With scale auto, follow the execution until its plan is written, or to its end.

        The plan job shows that AWS has instances for jobs, that the image can be pulled and that
        the inputs are right. Until then no GPU is needed.
        """
        if self._plan.scale == "auto":
            self._follow(until=_has_left_the_plan)

    def bring_vllm_up(self, *, wait: bool = True) -> None:
        """With scale auto, bring vLLM up for the map jobs that are about to start.

        Raises CapacityError when AWS gives no instance in time.
        """
        if self._plan.scale != "auto" or not self._is_running():
            return
        self._with_login(lambda: self._vllm.scale_up(self._plan.instances))
        if wait:
            self._with_login(
                lambda: self._vllm.wait_until_ready(
                    self._plan.instances, self._listener, is_wanted=self._is_running
                )
            )

    def follow(self) -> Execution:
        """Follow the execution to its end, whichever that is.

        A StopSignal passes; with scale none it becomes an error that says that the run continues.
        """
        try:
            return self._follow()
        except StopSignal as error:
            if self._plan.scale == "auto":
                raise
            raise error.interruption(
                "stopped this command, but the run itself keeps running",
                f"Watch it with `ftm monitor {self._started.name}`.",
            ) from error

    def start_detached(self) -> RemoteOutcome:
        """Start the run, bring vLLM up once the plan is written, and return.

        The deadman switch takes vLLM down after the run. Raises AwsMissingError when that switch is
        not deployed: nothing would take vLLM down.
        """
        self._executions.check_deployed()
        if self._plan.scale == "auto":
            self._executions.check_deployed(names.DEADMAN)
        with stopped_by_signals(), contextlib.ExitStack() as guard:
            scaled = guard.enter_context(self.vllm_for_the_run())
            self.start()
            self.follow_plan()
            self.bring_vllm_up(wait=False)
            scaled.keep = self._is_running()
        now = self._executions.describe(self._started.arn)
        if not now.is_running:
            raise_if_failed(now)
        return RemoteOutcome(now, None, self._is_off)

    @contextlib.contextmanager
    def vllm_for_the_run(self) -> Iterator[_KeepVllm]:
        """Within the block vLLM may be brought up; after it vLLM is down and the run has ended.

        A run that only lost its follower is left alone, with its vLLM.
        """
        choice = _KeepVllm()
        if self._plan.scale == "none":
            yield choice
            return
        try:
            yield choice
            if not choice.keep:
                # Inside the try: a signal that comes just before this still ends below.
                self.take_vllm_down()
        except LeftRunningError:
            raise
        except BaseException:
            with ignore_signals():
                self.stop_execution()
                self.take_vllm_down()
            raise

    def take_vllm_down(self) -> None:
        """Desired counts to 0, without a stop by signals; left up where another run needs vLLM."""
        with ignore_signals():
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
                if self._executions.describe(self._execution.arn).is_running:
                    self._executions.stop(self._execution, "ftm run was stopped")
                    self._listener(Note(f"Stopped {self._execution.name}; finished work is saved"))
            except AwsBusyError:
                self._clock.sleep(min(self._waits.poll, 2.0))
            except AwsError as error:
                self._listener(Note(str(error), "warning"))
                return
            else:
                return

    @property
    def _started(self) -> Execution:
        assert self._execution is not None, "nothing was started"
        return self._execution

    def _is_running(self) -> bool:
        return self._with_login(lambda: self._executions.describe(self._started.arn)).is_running

    def _with_login(self, call: Callable[[], _Found]) -> _Found:
        """What ``call`` returns; a lost login is waited for, then AWS is connected to again.

        Raises LeftRunningError after ``waits.login`` seconds without a login.
        """
        lost_since: float | None = None
        while True:
            try:
                found = call()
            except LeftRunningError:
                raise
            except AwsLoginError as error:
                now = self._clock.monotonic()
                if lost_since is None:
                    lost_since = now
                    hint = f"{error.hint.removesuffix(REPEAT).rstrip('.')}; the run keeps running."
                    lost = f"The AWS login was lost. {error.sentence} {hint}"
                    self._listener(Note(lost, "warning"))
                if now - lost_since >= self._waits.login:
                    raise self._left_running(now - lost_since) from error
                self._clock.sleep(self._waits.poll)
                self._connect_again()
            else:
                if lost_since is not None:
                    self._listener(Note("Logged in again"))
                return found

    def _left_running(self, waited: float) -> LeftRunningError:
        name = self._started.name
        return LeftRunningError(
            f"The run {name}",
            f"keeps running, but no new login came in {waited:.0f} s, so this command no longer "
            "follows it",
            f"Log in again, then run `ftm monitor {name}`. The deadman switch takes vLLM down "
            "after the run.",
        )

    def _connect_again(self) -> None:
        if self._reconnect is None:
            return
        with contextlib.suppress(AwsLoginError, AwsBusyError):
            self._executions, self._vllm, self._storage = self._reconnect()
            self._reader = ProgressReader(self._storage, self._plan.quarter)

    def _follow(self, until: Callable[[Sequence[str]], bool] = lambda _: False) -> Execution:
        """Poll until it ends, or until its states are those that ``until`` waits for.

        The listener hears of states and of finished firms.
        """
        execution = self._started
        stage, shown, failed_polls = "firms", -1, 0
        began = self._clock.monotonic()
        while True:
            try:
                now = self._with_login(lambda: self._executions.describe(execution.arn))
                if now.is_running:
                    self._with_login(lambda: self._tell_states(execution))
                failed_polls = 0
            except AwsBusyError:
                failed_polls += 1
                if failed_polls > _MAX_FAILED_POLLS:
                    raise
                self._clock.sleep(self._waits.poll)
                continue
            if now.is_running and until(self._states):
                return now
            found = self._reader.read_or_none()
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

    def _tell_states(self, execution: Execution) -> None:
        states = self._executions.current_states(execution)
        for name in states:
            if name not in self._states:
                self._listener(Note(f"state {name}"))
        self._states = states


@dataclass
class _KeepVllm:
    """Whether vLLM outlives the block, for a detached run."""

    keep: bool = False


def _has_left_the_plan(states: Sequence[str]) -> bool:
    return not _AFTER_THE_PLAN.isdisjoint(states)


def raise_if_failed(execution: Execution) -> None:
    """Nothing for a run that succeeded; otherwise the error that fits its end."""
    if execution.status == SUCCEEDED:
        return
    where = f"The run {execution.name}"
    cause = f"ended as {execution.status} ({execution.reason or 'AWS gave no reason'})"
    failures = f"ftm failures --quarter {execution.quarter}"
    hint = f"Run `ftm doctor` to see why, and `{failures}` for the firms."
    _, failure = execution.failure or ("", FailureCause.RUN_FAILED)
    if failure is FailureCause.CHECKS_FAILED:
        raise ChecksFailedError(where, cause, hint)
    if failure in (FailureCause.WRONG_INPUT, FailureCause.TRANSCRIPTS_MISSING):
        raise InputError(where, cause, hint)
    is_cut_short = execution.status in (RunState.ABORTED, RunState.TIMED_OUT)
    if is_cut_short or failure is FailureCause.NO_INSTANCE:
        raise RetryableError(where, cause, "Run the same command again: it resumes.")
    raise RunFailedError(where, cause, hint)


def _deaf_when_nobody_listens(listener: Listener) -> Listener:
    """A listener that survives the loss of the terminal it writes to."""

    def hear(event: Any) -> None:
        with contextlib.suppress(OSError):
            listener(event)

    return hear
