"""Build the results that commands print as JSON from what a target returned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ftm_cli.operations.plan import RunPlan
from ftm_cli.operations.smoke import SmokeTest
from ftm_cli.operations.snapshots import Snapshot
from ftm_cli.results.runs import (
    Check,
    DoctorReport,
    EstimateResult,
    Finding,
    FirmProgressResult,
    MonitorReport,
    PlanReport,
    QuarterPlanResult,
    RunRecord,
    RunsReport,
    RunStatus,
    SmokeReport,
    ValidateReport,
)
from ftm_cli.targets.base import QuarterPlan, Target


def plan_report(target: Target, plans: Sequence[QuarterPlan]) -> PlanReport:
    """The plans of all quarters with their total; a total of unknown parts is unknown."""
    quarters = [
        QuarterPlanResult(
            quarter=str(plan.quarter),
            run=plan.run,
            restart=plan.restart,
            firms=plan.firms,
            firms_finished=plan.firms_finished,
            batches=plan.batches,
            estimate=_estimate(plan),
            aws=_aws_details(plan),
        )
        for plan in plans
    ]
    seconds = [quarter.estimate.seconds for quarter in quarters]
    dollars = [quarter.estimate.usd for quarter in quarters]
    total = EstimateResult(
        seconds=None if None in seconds else sum(value or 0 for value in seconds),
        usd=None if None in dollars else round(sum(value or 0 for value in dollars), 2),
        basis="; ".join(dict.fromkeys(quarter.estimate.basis for quarter in quarters)),
    )
    return PlanReport(target=target.name, data=target.data, quarters=quarters, total=total)


def _estimate(plan: QuarterPlan) -> EstimateResult:
    found = plan.estimate
    return EstimateResult(
        seconds=None if found.seconds is None else round(found.seconds),
        usd=None if found.usd is None else round(found.usd, 2),
        basis=found.basis,
    )


def _aws_details(plan: QuarterPlan) -> dict[str, Any] | None:
    native = plan.native
    if not isinstance(native, RunPlan):
        return None
    return {
        "input": native.payload,
        "scale": native.scale,
        "instances": native.instances,
        "estimate": native.estimate.as_json(),
    }


def runs_report(target: Target, runs: Sequence[RunRecord], prices_date: str) -> RunsReport:
    """The history of a target."""
    return RunsReport(
        target=target.name, data=target.data, runs=tuple(runs), prices_date=prices_date
    )


def validate_report(target: Target, checks: Sequence[Check]) -> ValidateReport:
    """The checks of a preflight."""
    return ValidateReport(
        target=target.name,
        data=target.data,
        passed=all(check.passed for check in checks),
        checks=tuple(checks),
    )


def doctor_report(target: Target, findings: Sequence[Finding]) -> DoctorReport:
    """The findings of a diagnosis."""
    return DoctorReport(
        target=target.name,
        data=target.data,
        problems=sum(finding.level == "problem" for finding in findings),
        findings=tuple(findings),
    )


def smoke_report(target: Target, test: SmokeTest) -> SmokeReport:
    """Steps and checklist of a smoke test."""
    return SmokeReport(
        target=target.name,
        data=target.data,
        quarter=str(test.quarter),
        run=test.run,
        passed=test.passed,
        steps=test.steps,
        checklist=test.checklist,
    )


def monitor_report(target: Target, snapshots: Sequence[Snapshot]) -> MonitorReport:
    """The current state of each run; a run on AWS names its own bucket."""
    data = snapshots[0].data if snapshots else target.data
    runs = [_status(snapshot) for snapshot in snapshots]
    return MonitorReport(target=target.name, data=data, runs=runs)


def _status(snapshot: Snapshot) -> RunStatus:
    left = snapshot.seconds_left
    firms = None
    if snapshot.firms is not None:
        firms = FirmProgressResult(
            total=snapshot.firms.firms,
            finished=snapshot.firms.finished,
            failed=snapshot.firms.failed,
            per_minute=snapshot.firms_per_minute and round(snapshot.firms_per_minute, 2),
            seconds_left=None if left is None else round(left),
        )
    return RunStatus(
        run=snapshot.run,
        quarter=snapshot.quarter,
        state=snapshot.state,
        error=snapshot.error,
        started=snapshot.started,
        seconds=round(snapshot.seconds),
        states=list(snapshot.states),
        batches=snapshot.batches,
        firms=firms,
        vllm=snapshot.vllm,
        requests_per_second=snapshot.requests_per_second,
        warnings=snapshot.warnings,
        cost_usd=None if snapshot.cost_usd is None else round(snapshot.cost_usd, 2),
        prices_note=snapshot.prices_note,
        unread=list(snapshot.unread),
    )
