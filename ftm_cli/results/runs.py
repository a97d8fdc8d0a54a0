"""Results of the commands that run, watch and check a quarter."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from ftm_cli.results.base import FORBID, Result
from ftm_cli.results.setup import VllmStatus
from ftm_core.contracts.states import RunState

SmokeState = Literal["not reached", "done", "failed", "stopped"]


class FirmCounts(Result):
    """Firms of a quarter."""

    total: int
    finished: int
    failed: int = Field(description="Firms with a recorded failure, of the firm or of one topic.")


class FailureResult(Result):
    """One recorded failure of the map."""

    firm_id: str
    topic_id: str | None
    error: str


class ErrorResult(Result):
    """The error that ended a run."""

    where: str
    cause: str
    hint: str
    exit_code: int


class AwsRunDetails(Result):
    """What only a run on AWS has."""

    execution_arn: str
    vllm_is_off: bool | None = Field(description="Whether vLLM's desired counts were seen at 0.")


class RunResult(Result):
    """How the run of one quarter ended, or that it was started."""

    quarter: str
    run: str = Field(description="Run ID, or on AWS the name of the execution.")
    state: RunState
    nothing_to_do: bool = Field(description="Whether an earlier run had finished the quarter.")
    firms: FirmCounts | None = None
    topics: int | None = None
    topics_in_themes: int | None = None
    themes: int | None = None
    failures: list[FailureResult] = Field(default=[])
    seconds: float | None = None
    stages: dict[str, float] = Field(default={}, description="Seconds of each stage.")
    peak_memory_mib: float | None = None
    error: ErrorResult | None = None
    aws: AwsRunDetails | None = None


class RunReport(Result):
    """JSON of `ftm run`."""

    target: str
    data: str
    quarters: list[RunResult]


@dataclass(frozen=True, config=FORBID)
class PlannedBatch:
    """One batch of a plan."""

    batch_id: str
    firms: int
    finished: int


class EstimateResult(Result):
    """Expected time and cost; null where it is unknown."""

    seconds: float | None
    usd: float | None
    basis: str


class QuarterPlanResult(Result):
    """The plan of one quarter."""

    quarter: str
    run: str
    restart: bool
    firms: int
    firms_finished: int
    batches: tuple[PlannedBatch, ...]
    estimate: EstimateResult
    aws: dict[str, Any] | None = Field(
        default=None, description="Input of the execution, scale, instances, parts of the estimate."
    )


class PlanReport(Result):
    """JSON of `ftm run --dry-run`."""

    target: str
    data: str
    quarters: list[QuarterPlanResult]
    total: EstimateResult


@dataclass(frozen=True, config=FORBID)
class RunRecord:
    """One run of the history; the cost is an estimate, null where nothing is paid."""

    target: str
    run: str
    quarter: str
    state: str
    started: str
    seconds: float | None
    cost_usd: float | None


class RunsReport(Result):
    """JSON of `ftm runs`."""

    target: str
    data: str
    runs: tuple[RunRecord, ...]
    prices_date: str


@dataclass(frozen=True, config=FORBID)
class Check:
    """The result of one check of a preflight, and what to do next where it did not pass."""

    name: str
    passed: bool
    detail: str
    next_step: str = ""


class ValidateReport(Result):
    """JSON of `ftm validate`."""

    target: str
    data: str
    passed: bool
    checks: tuple[Check, ...]


@dataclass(frozen=True, config=FORBID)
class Finding:
    """One result of a diagnosis. A note is information, a problem needs the next step."""

    about: str
    level: Literal["ok", "note", "problem"]
    what: str
    evidence: tuple[str, ...] = ()
    next_step: str = ""


class DoctorReport(Result):
    """JSON of `ftm doctor`."""

    target: str
    data: str
    problems: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, config=FORBID)
class SmokeStep:
    """One step of a smoke test, and how it ended."""

    name: str
    state: SmokeState = "not reached"
    detail: str = ""
    seconds: float | None = None


@dataclass(frozen=True, config=FORBID)
class SmokeCriterion:
    """One line of the checklist; passed is null where the test did not come so far."""

    item: str
    passed: bool | None
    value: str = ""


class SmokeReport(Result):
    """JSON of `ftm smoke`."""

    target: str
    data: str
    quarter: str
    run: str
    passed: bool
    steps: tuple[SmokeStep, ...]
    checklist: tuple[SmokeCriterion, ...]


@dataclass(frozen=True, config=FORBID)
class BatchCounts:
    """Batches by status."""

    pending: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        """All batches of the run."""
        return self.pending + self.running + self.succeeded + self.failed


class FirmProgressResult(Result):
    """Firms with their rate; ``seconds_left`` is the time until the last firm."""

    total: int
    finished: int
    failed: int
    per_minute: float | None
    seconds_left: int | None


@dataclass(frozen=True, config=FORBID)
class Notice:
    """One line worth knowing: of a job's log, or a recorded failure."""

    time: str
    source: str
    message: str


class RunStatus(Result):
    """State of one run at one moment; null where a value is not known."""

    run: str
    quarter: str
    state: RunState | str
    error: str | None
    started: str
    seconds: int
    states: list[str] = Field(description="Steps at work now, as the target names them.")
    batches: BatchCounts | None
    firms: FirmProgressResult | None
    vllm: VllmStatus | None = Field(description="As `ftm vllm status`; only on AWS.")
    requests_per_second: float | None
    warnings: tuple[Notice, ...]
    cost_usd: float | None
    prices_note: str
    unread: list[str] = Field(description="What did not answer: its last known value is shown.")


class MonitorReport(Result):
    """JSON of `ftm monitor`."""

    target: str
    data: str
    runs: list[RunStatus]


class PlanStepResult(Result):
    """JSON of `ftm step plan`."""

    quarter: str
    run: str
    firms: int
    batches: list[str]


class MapStepResult(Result):
    """JSON of `ftm step map`."""

    quarter: str
    batch: str
    firms: FirmCounts
    topics: int


class ReduceStepResult(Result):
    """JSON of `ftm step reduce`."""

    quarter: str
    topics: int
    themes: int


class CancelReport(Result):
    """JSON of `ftm cancel`."""

    target: str
    run: str
    stopped: int = Field(description="Jobs or executions that were stopped.")
