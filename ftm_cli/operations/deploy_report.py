"""A deployment's plan and outcome as plain values, with what it costs when idle and when up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ftm_cli.operations.costs import Prices
from ftm_cli.operations.deploy import AppliedStep, DeployResult, DeploySettings, PlannedStep
from ftm_cli.results.setup import (
    CostsResult,
    DeployPlanReport,
    DeployPlanStep,
    DeployReport,
    DeployStep,
)


@dataclass(frozen=True)
class Costs:
    """US dollars: a month when idle, and an hour with one vLLM up (0 without one of our own)."""

    monthly_idle_usd: float
    hourly_when_up_usd: float
    note: str


def costs_of(settings: DeploySettings, prices: Prices, instance_type: str) -> Costs:
    """What everything deployed costs; raises InputError for an instance type without a price."""
    hourly = prices.vllm_hourly(1, instance_type) if settings.uses_vllm else 0.0
    monthly = prices.monthly_idle(with_vllm=settings.uses_vllm)
    return Costs(round(monthly, 2), round(hourly, 2), prices.note)


def deploy_plan_report(
    settings: DeploySettings, steps: Sequence[PlannedStep], costs: Costs | None = None
) -> DeployPlanReport:
    """The result of `ftm deploy --plan` and, without costs, of `ftm destroy --plan`."""
    return DeployPlanReport(
        account_id=settings.account_id,
        region=settings.region,
        bucket=settings.s3_bucket_name,
        steps=[_planned(step) for step in steps],
        costs=CostsResult.model_validate(costs) if costs else None,
    )


def deploy_report(result: DeployResult) -> DeployReport:
    """The result of `ftm deploy` and `ftm destroy`."""
    return DeployReport(
        complete=result.complete,
        changed=result.changed,
        steps=[_applied(step) for step in result.steps],
        outputs=dict(result.outputs),
    )


def _planned(step: PlannedStep) -> DeployPlanStep:
    counts = step.counts
    return DeployPlanStep(
        step=step.title,
        module=step.module,
        add=counts.add if counts else None,
        change=counts.change if counts else None,
        destroy=counts.destroy if counts else None,
        addresses=list(step.addresses),
        waits_for=step.waits_for,
    )


def _applied(step: AppliedStep) -> DeployStep:
    return DeployStep(
        step=step.title,
        module=step.module,
        add=step.counts.add,
        change=step.counts.change,
        destroy=step.counts.destroy,
        seconds=round(step.seconds, 1),
    )
