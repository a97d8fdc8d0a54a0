"""The smoke test on this machine: preflight, run, evaluate, failures."""

from __future__ import annotations

from ftm_cli.operations.aws.waiting import stopped_by_signals
from ftm_cli.operations.local_run import LocalRun, local_settings, run_locally
from ftm_cli.operations.preflight import check_local
from ftm_cli.operations.smoke import SmokeTest, require_all
from ftm_core.contracts.events import Listener

FINISHED = "The run ends finished"
CRITERIA = (FINISHED,)
STEPS = ("preflight", "run", "evaluate", "failures")


def smoke_here(run: LocalRun, test: SmokeTest, listener: Listener) -> None:
    """All steps; raises the error of the one that failed, InterruptedRunError when stopped."""
    settings = local_settings(run.flags)
    with stopped_by_signals():
        with test.step("preflight", listener) as details:
            require_all(check_local(settings, run.storage, run.quarter, listener), details)
        with test.step("run", listener) as details:
            outcome = run_locally(run, listener)
            test.run = outcome.run_id
            test.tick(FINISHED, True, outcome.run_id)
            details.append(
                "was finished before"
                if outcome.outcome is None
                else f"{outcome.outcome.reduce.n_themes} themes"
            )
        test.evaluate(run.storage, settings, listener)
