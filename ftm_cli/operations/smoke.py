"""The smoke test as plain values: its steps as they fare, and the runbook's checklist."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

from ftm_cli.operations.aws.waiting import StopSignal
from ftm_cli.results.runs import Check, SmokeCriterion, SmokeState, SmokeStep
from ftm_core.checks.evaluate import evaluate
from ftm_core.checks.result import EvaluationReport
from ftm_core.contracts.errors import ChecksFailedError, FtmError, InterruptedRunError
from ftm_core.contracts.events import Listener, Note
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import Settings
from ftm_core.data.failures import collect_failures
from ftm_core.storage import Storage

# The runbook's criteria that the output itself answers, with the checks of `ftm evaluate` behind
# each.
_CRITERIA = (
    (
        "Topic summaries are natural language, not keywords",
        ("topics-present", "summary-present", "summary-prose", "summary-not-keywords"),
    ),
    ('naming_method is "llm" for all topics', ("naming-method", "llm-answers")),
    ("themes.parquet holds themes with ids theme_Q_NNN", ("themes-present", "theme-ids")),
    (
        "theme_contributions.parquet has permno, gvkey, earnings_call_date",
        ("table-files", "contribution-identifiers"),
    ),
)


class SmokeTest:
    """Records the steps and the checklist of a running smoke test."""

    def __init__(
        self,
        target: str,
        quarter: Quarter,
        run: str,
        *,
        steps: Sequence[str],
        criteria: Sequence[str],
    ) -> None:
        self.target = target
        self.quarter = quarter
        self.run = run
        self._steps = {name: SmokeStep(name) for name in steps}
        self.evaluation: EvaluationReport | None = None
        self._own_criteria = {item: SmokeCriterion(item, None) for item in criteria}

    @property
    def steps(self) -> tuple[SmokeStep, ...]:
        """All steps in their order."""
        return tuple(self._steps.values())

    @property
    def checklist(self) -> tuple[SmokeCriterion, ...]:
        """The runbook's criteria: those of the output, then those of the target."""
        of_output = [self._criterion(item, ids) for item, ids in _CRITERIA]
        return (*of_output, *self._own_criteria.values())

    @property
    def passed(self) -> bool:
        """Whether every step is done and no criterion failed."""
        steps_done = all(step.state == "done" for step in self.steps)
        return steps_done and all(item.passed is not False for item in self.checklist)

    def tick(self, item: str, passed: bool | None, value: str) -> None:
        """Say how a line of the checklist that the target has of its own turned out."""
        self._own_criteria[item] = SmokeCriterion(item, passed, value)

    @contextlib.contextmanager
    def step(self, name: str, listener: Listener) -> Iterator[list[str]]:
        """One step; what is put into the list becomes its detail, an error its failure."""
        began = time.monotonic()
        details: list[str] = []

        def record(state: SmokeState, detail: str) -> None:
            seconds = round(time.monotonic() - began, 1)
            self._steps[name] = SmokeStep(name, state, detail, seconds)

        try:
            # A lost terminal must not end a step.
            with contextlib.suppress(OSError):
                listener(Note(f"── {name}"))
            yield details
        except (StopSignal, InterruptedRunError) as error:
            record("stopped", getattr(error, "where", "") or str(error))
            raise
        except FtmError as error:
            record("failed", error.sentence)
            raise
        except BaseException as error:
            record("failed", f"{type(error).__name__}: {error}")
            raise
        record("done", "; ".join(details))

    def evaluate(self, storage: Storage, settings: Settings, listener: Listener) -> None:
        """The last steps on both targets: every check, then what is recorded as failed.

        Raises ChecksFailedError after both when a check failed.
        """
        problem: FtmError | None = None
        try:
            with self.step("evaluate", listener) as details:
                report = self.evaluation = evaluate(storage, self.quarter, settings)
                if report.failed:
                    raise ChecksFailedError(
                        f"The quarter {self.quarter}",
                        f"failed {len(report.failed)} of {len(report.checks)} checks: "
                        + ", ".join(check.id for check in report.failed),
                        f"See the values with `ftm evaluate --quarter {self.quarter}`.",
                    )
                details.append(f"all {len(report.checks)} checks passed")
        except FtmError as error:
            problem = error
        with self.step("failures", listener) as details:
            found = collect_failures(storage, self.quarter)
            details.append(f"{found.n_failed_firms} of {found.n_firms} firms failed")
        if problem is not None:
            raise problem

    def _criterion(self, item: str, ids: tuple[str, ...]) -> SmokeCriterion:
        if self.evaluation is None:
            return SmokeCriterion(item, None)
        checks = [check for check in self.evaluation.checks if check.id in ids]
        failed = [check for check in checks if not check.passed]
        shown = failed or checks[-1:]
        return SmokeCriterion(item, not failed, "; ".join(check.value for check in shown))


def require_all(checks: Sequence[Check], details: list[str]) -> None:
    """Raises ChecksFailedError, with what to do first, unless every check of a preflight passed."""
    failed = [check for check in checks if not check.passed]
    if failed:
        raise ChecksFailedError(
            "The preflight",
            f"found {len(failed)} of {len(checks)} checks failed. "
            + " ".join(check.detail for check in failed),
            failed[0].next_step,
        )
    details.append(f"all {len(checks)} checks passed")
