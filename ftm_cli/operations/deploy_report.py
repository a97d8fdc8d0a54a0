"""A deployment's plan and outcome as plain values, with what it costs at rest and when up."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ftm_cli.operations.costs import Prices
from ftm_cli.operations.deploy import AppliedStep, DeployResult, DeploySettings, PlannedStep


@dataclass(frozen=True)
class Costs:
    """US dollars: a month at rest, and an hour with one vLLM up (0 without one of our own)."""

    monthly_at_rest_usd: float
    hourly_when_up_usd: float
    note: str


def costs_of(settings: DeploySettings, prices: Prices, instance_type: str) -> Costs:
    """What everything deployed costs; raises InputError for an instance type without a price."""
    hourly = prices.vllm_hourly(1, instance_type) if settings.uses_vllm else 0.0
    monthly = prices.monthly_at_rest(with_vllm=settings.uses_vllm)
    return Costs(round(monthly, 2), round(hourly, 2), prices.note)


def planned_as_json(
    settings: DeploySettings, steps: Sequence[PlannedStep], costs: Costs | None = None
) -> dict[str, Any]:
    """The documented JSON shape of `ftm deploy --plan` and, without costs, `ftm destroy --plan`."""
    return {
        "account_id": settings.account_id,
        "region": settings.region,
        "bucket": settings.s3_bucket_name,
        "steps": [_planned(step) for step in steps],
        **({"costs": dataclasses.asdict(costs)} if costs else {}),
    }


def applied_as_json(result: DeployResult) -> dict[str, Any]:
    """The documented JSON shape of `ftm deploy` and `ftm destroy`."""
    return {
        "complete": result.complete,
        "changed": result.changed,
        "steps": [_applied(step) for step in result.steps],
        "outputs": dict(result.outputs),
    }


def _planned(step: PlannedStep) -> dict[str, Any]:
    counts: dict[str, Any] = (
        dataclasses.asdict(step.counts)
        if step.counts
        else {"add": None, "change": None, "destroy": None}
    )
    return {
        "step": step.title,
        "module": step.module,
        **counts,
        "addresses": list(step.addresses),
        "waits_for": step.waits_for,
    }


def _applied(step: AppliedStep) -> dict[str, Any]:
    counts = dataclasses.asdict(step.counts)
    return {
        "step": step.title,
        "module": step.module,
        **counts,
        "seconds": round(step.seconds, 1),
    }
