"""Results of the commands that set up the project: settings, the pin, models, images, AWS."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, computed_field
from pydantic.dataclasses import dataclass

from ftm_cli.results.base import FORBID, Result, RootResult
from ftm_core.contracts.settings import SettingOrigin

# What a start of vLLM waits for, one after the other.
VLLM_PHASES = ("instance", "image", "model load", "target health")


@dataclass(frozen=True, config=FORBID)
class Pin:
    """One AWS identity: a profile of the AWS configuration, its account, and the region."""

    profile: str
    account_id: str
    region: str


class ConfigReport(Result):
    """JSON of `ftm config`."""

    target: str
    pin: Pin | None
    settings: list[SettingOrigin]
    thresholds: dict[str, float] = Field(description="Thresholds of `ftm quality` by name.")


class PinReport(Result):
    """JSON of `ftm pin-profile`; the identity is null after --clear."""

    profile: str | None = None
    account_id: str | None = None
    region: str | None = None
    arn: str | None = None
    cleared: bool = Field(default=False, description="Whether --clear removed a pin.")


class ModelRow(Result):
    """One model file on this machine."""

    name: str
    path: str
    source: str
    size_bytes: int
    license: str
    sha256: str
    memory_bytes: int = Field(description="Memory that serving it takes; 0 if it is unreadable.")
    fits: bool = Field(description="Whether that much memory is free now.")
    problem: str


class ModelsReport(Result):
    """JSON of `ftm models list`."""

    models: list[ModelRow]


class ModelReport(Result):
    """JSON of `ftm models fetch`, `add` and `remove`."""

    name: str
    path: str
    sha256: str


class BuildReport(Result):
    """JSON of `ftm build`."""

    tag: str | None = Field(description="Null for images that were given by their URIs.")
    map_image_uri: str
    reduce_image_uri: str
    build: bool = Field(description="Whether the image is, or would be, built.")
    push: bool
    record: bool = Field(description="Whether the URIs are written to ftm.toml.")


class DeployPlanStep(Result):
    """One planned step; counts are null where an earlier step decides them."""

    step: str
    module: str
    add: int | None
    change: int | None
    destroy: int | None
    addresses: list[str]
    waits_for: str | None


class CostsResult(Result):
    """US dollars of a deployment."""

    monthly_idle_usd: float = Field(description="A month with nothing running.")
    hourly_when_up_usd: float = Field(description="An hour with one vLLM instance up.")
    note: str


class DeployPlanReport(Result):
    """JSON of `ftm deploy --plan` and `ftm destroy --plan`."""

    account_id: str | None
    region: str
    bucket: str | None
    steps: list[DeployPlanStep]
    costs: CostsResult | None = Field(default=None, description="Null for a destroy.")


class DeployStep(Result):
    """One step that was applied, with the resources it changed."""

    step: str
    module: str
    add: int
    change: int
    destroy: int
    seconds: float


class DeployReport(Result):
    """JSON of `ftm deploy` and `ftm destroy`."""

    complete: bool
    changed: int = Field(description="Resources that were added, changed or destroyed.")
    steps: list[DeployStep]
    outputs: dict[str, Any] = Field(description="Outputs of the Terraform modules.")


@dataclass(frozen=True, config=FORBID)
class Role:
    """One IAM role that a deployment needs."""

    kind: str
    module: str
    name: str
    description: str
    instance_profile: str | None
    trust: dict[str, Any]
    policy_name: str | None
    policy: dict[str, Any] | None


class RolesReport(Result):
    """JSON of `ftm deploy --roles`."""

    roles: tuple[Role, ...]
    operator: dict[str, dict[str, Any]] = Field(
        description="Policies of the person who deploys and runs, by purpose."
    )


@dataclass(frozen=True, config=FORBID)
class VllmStatus:
    """What vLLM's Auto Scaling group, ECS service and load balancer say at one moment."""

    desired_instances: int
    max_instances: int
    instances: int
    instances_in_service: int
    desired_tasks: int
    pending_tasks: int
    running_tasks: int
    targets: Annotated[tuple[str, ...], Field(description="State of each load balancer target.")]
    model_loaded: bool
    trouble: str | None

    @property
    def healthy_targets(self) -> int:
        """Targets that the load balancer sends requests to."""
        return sum(state == "healthy" for state in self.targets)

    @computed_field(description="off, what it waits for, ready or ending.")  # type: ignore[prop-decorator]
    @property
    def phase(self) -> str:
        """``off``, what it waits for (one of VLLM_PHASES), ``ready`` or ``ending``."""
        wanted = max(self.desired_instances, self.desired_tasks)
        if wanted == 0:
            return "ending" if self.instances or self.running_tasks else "off"
        if self.instances_in_service < wanted:
            return "instance"
        if self.running_tasks < wanted:
            return "image"
        if self.healthy_targets >= wanted:
            return "ready"
        return "target health" if self.model_loaded else "model load"

    def done_in(self, phase: str) -> int:
        """How many have passed ``phase``."""
        return {
            "instance": self.instances_in_service,
            "image": self.running_tasks,
            "model load": self.running_tasks if self.model_loaded else self.healthy_targets,
            "target health": self.healthy_targets,
        }[phase]


class VllmReport(RootResult[VllmStatus]):
    """JSON of `ftm vllm scale`, `ftm vllm status`, `ftm scale-up` and `ftm scale-down`."""


class VllmCounts(Result):
    """Desired counts."""

    instances: int
    tasks: int


class VllmPlanReport(Result):
    """JSON of `ftm vllm scale --dry-run`."""

    before: VllmCounts
    after: VllmCounts
    hourly_usd: float
    prices_date: str


class LogLineResult(Result):
    """One line of JSON of `ftm logs`."""

    time: str | None = Field(description="ISO 8601; null on Slurm.")
    stream: str
    message: str
