"""Results of the commands that run, watch and check a quarter."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ftm_cli.results.base import Result
from ftm_core.contracts.states import RunState


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


class BatchResult(Result):
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
    batches: list[BatchResult]
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


class RunRecordResult(Result):
    """One run of the history."""

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
    runs: list[RunRecordResult]
    prices_date: str


class CheckResult(Result):
    """One check of a preflight."""

    name: str
    passed: bool
    detail: str
    next_step: str


class ValidateReport(Result):
    """JSON of `ftm validate`."""

    target: str
    data: str
    passed: bool
    checks: list[CheckResult]


class FindingResult(Result):
    """One finding of a diagnosis; the level is ok, note or problem."""

    about: str
    level: str
    what: str
    evidence: list[str]
    next_step: str


class DoctorReport(Result):
    """JSON of `ftm doctor`."""

    target: str
    data: str
    problems: int
    findings: list[FindingResult]


class SmokeStep(Result):
    """One step; the state is done, failed, stopped or not reached."""

    name: str
    state: str
    detail: str
    seconds: float | None


class SmokeCriterion(Result):
    """One line of the checklist; passed is null where the test did not come so far."""

    item: str
    passed: bool | None
    value: str


class SmokeReport(Result):
    """JSON of `ftm smoke`."""

    target: str
    data: str
    quarter: str
    run: str
    passed: bool
    steps: list[SmokeStep]
    checklist: list[SmokeCriterion]


class BatchCountsResult(Result):
    """Batches by status."""

    pending: int
    running: int
    succeeded: int
    failed: int


class FirmProgressResult(Result):
    """Firms with their rate; ``seconds_left`` is the time until the last firm."""

    total: int
    finished: int
    failed: int
    per_minute: float | None
    seconds_left: int | None


class NoticeResult(Result):
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
    batches: BatchCountsResult | None
    firms: FirmProgressResult | None
    vllm: dict[str, Any] | None = Field(description="As `ftm vllm status`; only on AWS.")
    requests_per_second: float | None
    warnings: list[NoticeResult]
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
