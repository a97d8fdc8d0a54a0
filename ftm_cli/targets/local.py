"""Runs on this machine, with the data in a folder (or in a bucket that is named)."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ftm_cli.operations.following import Monitor
from ftm_cli.operations.local_diagnosis import diagnose_here
from ftm_cli.operations.local_monitoring import LocalMonitor
from ftm_cli.operations.local_run import (
    LocalOutcome,
    LocalRun,
    SharedLlm,
    local_settings,
    resolve_local,
    run_with,
)
from ftm_cli.operations.local_smoke import CRITERIA, STEPS, smoke_here
from ftm_cli.operations.plan import planned_batches
from ftm_cli.operations.preflight import check_local
from ftm_cli.operations.smoke import SmokeTest
from ftm_cli.results.runs import (
    Check,
    ErrorResult,
    FailureResult,
    Finding,
    FirmCounts,
    RunRecord,
    RunResult,
)
from ftm_cli.targets.base import QuarterOutcome, QuarterPlan, RunOptions
from ftm_cli.targets.data import open_data
from ftm_cli.targets.history import estimate_from_history, recorded_runs
from ftm_cli.targets.names import TargetName
from ftm_core import pipeline
from ftm_core.contracts.errors import FtmError, InterruptedRunError, LlmUnavailableError
from ftm_core.contracts.events import Listener, Note, ignore
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import Settings
from ftm_core.contracts.states import RunState
from ftm_core.data.lease import new_run_name
from ftm_core.run_inputs import run_inputs
from ftm_core.stopping import StopSignals
from ftm_core.storage import Storage


class LocalTarget:
    """This machine."""

    name = TargetName.LOCAL
    run_flags: frozenset[str] = frozenset(
        {
            "--llm-base-url", "--llm-model-name", "--local-model", "--max-firms", "--batch-size",
            "--workers",
        }
    )  # fmt: skip
    costs_money = False
    smoke_steps: tuple[str, ...] = STEPS
    smoke_criteria: tuple[str, ...] = CRITERIA

    def __init__(self, data: str | None) -> None:
        self._storage = open_data(data, target=TargetName.LOCAL)

    @property
    def data(self) -> str:
        """Folder, or URI of a bucket that was named."""
        return self._storage.uri

    @property
    def location(self) -> str:
        """The data location, for people."""
        return self.data

    def storage(self) -> Storage:
        """Storage of the data location."""
        return self._storage

    def preflight(self, quarter: Quarter | None, listener: Listener) -> Sequence[Check]:
        """Python, models, disk space and, for a quarter, its transcripts."""
        return check_local(local_settings({}), self._storage, quarter, listener)

    def plan(self, quarter: Quarter, options: RunOptions) -> QuarterPlan:
        """Batches, and the time that an earlier run in this data location lets expect."""
        settings = local_settings(options.settings)
        return plan_on_this_data(self.name, self._storage, quarter, options, settings)

    def execute(
        self, plans: Sequence[QuarterPlan], options: RunOptions, listener: Listener
    ) -> list[QuarterOutcome]:
        """One quarter after the other, with one LLM server for all.

        An LLM server that stayed out of reach ends the call as well: every next quarter would
        wait for it again.
        """
        outcomes: list[QuarterOutcome] = []
        settings = local_settings(options.settings)
        with StopSignals(listener) as signals, SharedLlm(settings, listener) as llm:
            for plan in plans:
                if plans[1:]:
                    listener(Note(f"── {plan.quarter}"))
                run = self._local_run(plan, options)
                began = time.monotonic()
                try:
                    ended = run_with(run, settings, signals, llm, listener)
                except FtmError as error:
                    outcomes.append(failed_outcome(plan, error, time.monotonic() - began))
                    if isinstance(error, InterruptedRunError | LlmUnavailableError):
                        break
                    if plans[1:]:
                        listener(Note(f"{plan.quarter}: {error}", "warning"))
                else:
                    outcomes.append(QuarterOutcome(local_result(ended, time.monotonic() - began)))
        return outcomes

    def _local_run(self, plan: QuarterPlan, options: RunOptions) -> LocalRun:
        return LocalRun(
            quarter=plan.quarter,
            storage=self._storage,
            max_firms=options.max_firms,
            restart=plan.restart,
            name=plan.run,
            flags=options.settings,
        )

    def observe(self, run: str | None) -> Monitor:
        """A monitor of the quarter's run, or of the latest."""
        return LocalMonitor(self._storage, quarter_of(run))

    def raise_if_failed(self, monitor: Monitor) -> None:
        """Nothing: the process that runs a quarter here reports its own errors."""

    def history(self, limit: int) -> Sequence[RunRecord]:
        """The last run of each quarter."""
        return list(itertools.islice(recorded_runs(self._storage, self.name), limit))

    def diagnose(self, run: str | None) -> Iterator[Finding]:
        """Models, LLM, disk and data, then how the quarter's run stands."""
        return diagnose_here(resolve_local({}), self._storage, quarter_of(run))

    def smoke_options(self, *, restart: bool) -> RunOptions:
        """How the smoke test runs."""
        return RunOptions(restart=restart)

    def smoke(self, plan: QuarterPlan, test: SmokeTest, listener: Listener) -> None:
        """Preflight, run, evaluate, failures."""
        smoke_here(self._local_run(plan, RunOptions()), test, listener)


def quarter_of(run: str | None) -> Quarter | None:
    """The quarter that a run is named after; a run's name begins with its quarter."""
    return Quarter.parse(run.split("-")[0]) if run else None


def plan_on_this_data(
    target: TargetName, storage: Storage, quarter: Quarter, options: RunOptions, settings: Settings
) -> QuarterPlan:
    """The plan of a target whose jobs work on ``storage`` with ``settings``.

    Raises InputError when the quarter has no transcripts.
    """
    manifest, batches = planned_batches(
        storage,
        quarter,
        batch_size=settings.map.batch_size,
        restart=options.restart,
        max_firms=options.max_firms,
    )
    run_name = options.run_name or new_run_name(quarter)
    request = pipeline.RunRequest(
        storage=storage,
        quarter=quarter,
        settings=settings,
        run_name=run_name,
        listener=ignore,
        restart=options.restart,
        max_firms=options.max_firms,
    )
    estimate = estimate_from_history(storage, batches, settings.llm)
    if pipeline.find_completed_run(request) is not None:
        estimate = replace(estimate, seconds=0.0)
    return QuarterPlan(
        target=target,
        quarter=quarter,
        data=storage.uri,
        run=run_name,
        restart=options.restart,
        batches=batches,
        estimate=estimate,
        inputs=run_inputs(manifest, settings),
    )


def failed_outcome(plan: QuarterPlan, error: FtmError, seconds: float) -> QuarterOutcome:
    """The outcome of a run that ended in ``error``."""
    stopped = isinstance(error, InterruptedRunError)
    result = RunResult(
        quarter=str(plan.quarter),
        run=plan.run,
        state=RunState.ABORTED if stopped else RunState.FAILED,
        nothing_to_do=False,
        seconds=round(seconds, 2),
        error=ErrorResult(
            where=error.where, cause=error.cause, hint=error.hint, exit_code=int(error.exit_code)
        ),
    )
    return QuarterOutcome(result, error)


def local_result(ended: LocalOutcome, seconds: float) -> RunResult:
    """The result of a run on this machine, or that there was nothing to do."""
    outcome = ended.outcome
    if outcome is None:
        return RunResult(
            quarter=str(ended.quarter),
            run=ended.run_id,
            state=RunState.SUCCEEDED,
            nothing_to_do=True,
        )
    failures = [
        FailureResult(firm_id=item.firm_id, topic_id=item.topic_id, error=item.error_message)
        for item in outcome.failures
    ]
    return RunResult(
        quarter=str(ended.quarter),
        run=ended.run_id,
        state=RunState.SUCCEEDED,
        nothing_to_do=False,
        firms=FirmCounts(
            total=sum(batch.n_firms for batch in outcome.batches),
            finished=sum(batch.n_completed for batch in outcome.batches),
            failed=len({item.firm_id for item in failures}),
        ),
        topics=outcome.reduce.n_topics,
        topics_in_themes=outcome.reduce.n_topics_in_themes,
        themes=outcome.reduce.n_themes,
        failures=failures,
        seconds=round(seconds, 2),
        stages={timing.stage: round(timing.seconds, 2) for timing in outcome.timings},
        peak_memory_mib=round(outcome.peak_memory_mib, 1),
    )
