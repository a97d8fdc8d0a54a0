"""Taking a deployment down: never under a run, and vLLM to 0 before anything else goes."""

from __future__ import annotations

from ftm_cli.operations.aws.errors import AwsMissingError
from ftm_cli.operations.aws.executions import Executions
from ftm_cli.operations.aws.session import AwsSession
from ftm_cli.operations.aws.vllm import Vllm
from ftm_cli.operations.deploy import (
    Approval,
    DeployResult,
    DeploySettings,
    PlannedStep,
    destroy,
    plan_destroy,
)
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.events import Listener, Note, ignore


def plan_teardown(
    session: AwsSession,
    settings: DeploySettings,
    listener: Listener = ignore,
    *,
    only: str | None = None,
) -> tuple[PlannedStep, ...]:
    """What would go, step by step; raises InputError while a run is not finished."""
    refuse_under_a_run(session)
    return plan_destroy(settings, listener, only=only)


def tear_down(
    session: AwsSession,
    settings: DeploySettings,
    listener: Listener = ignore,
    *,
    only: str | None = None,
    approve: Approval = lambda step: True,
) -> DeployResult:
    """Scale vLLM to 0, then destroy; raises InputError while a run is not finished."""
    refuse_under_a_run(session)
    if only in (None, "ecs"):
        _vllm_to_zero(session, listener)
    return destroy(settings, listener, only=only, approve=approve)


def refuse_under_a_run(session: AwsSession) -> None:
    """Raise InputError, naming them, while runs are not finished."""
    running = Executions(session).others_running(None)
    if running:
        raise InputError(
            "The deployment",
            f"is still used by the run {' and the run '.join(running)}",
            "Wait for its end (`ftm runs`), or stop it with Ctrl-C in its `ftm run`; then repeat.",
        )


def _vllm_to_zero(session: AwsSession, listener: Listener) -> None:
    """Scale down and wait until no instance is left; without the ecs module there is none."""
    vllm = Vllm(session)
    try:
        if vllm.status().phase == "off":
            return
        listener(Note("Scaling vLLM to 0 first"))
        vllm.scale_down(listener)
        vllm.wait_until_off(listener)
    except AwsMissingError:
        # Of a half-applied module Terraform takes the group to 0 itself, before it removes it.
        listener(Note("vLLM is not deployed as a whole: Terraform takes down what is there"))
