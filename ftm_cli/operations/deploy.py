"""The deploy order and its opposite: which modules, with which values, planned and applied."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftm_cli.operations.images import IMAGE, ImageUris, registry_name
from ftm_cli.operations.terraform import Counts, StateBucket, TerraformModule
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.events import Listener, Note, ignore

MODULES = ("batch", "ecs", "stepfunctions")

# What must exist before a module can even be planned: the module finds these by name.
_NEEDS = {"batch": (), "ecs": ("batch",), "stepfunctions": ("batch",)}

# The output that says a module is there. Each is an ARN, which a plan cannot know: a half-applied
# module lacks it, while it has outputs such as names.
_MARKS = {"batch": "job_queue_arn", "ecs": "service_arn", "stepfunctions": "state_machine_arn"}


@dataclass(frozen=True)
class DeploySettings:
    """What an operator decides about a deployment; Terraform's own defaults hold for the rest."""

    terraform_root: Path
    s3_bucket_name: str
    region: str = "us-west-2"
    profile: str | None = None
    account_id: str | None = None
    enable_vllm: bool = True
    llm_base_url: str = ""
    use_precreated_roles: bool = False
    use_external_images: bool = False
    map_image_uri: str = ""
    reduce_image_uri: str = ""
    image_tag: str = ""
    enable_wrds_secrets: bool = False
    state_bucket: str | None = None
    # Further variables by module, for example {"ecs": {"max_capacity": 2}}.
    variables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def uses_vllm(self) -> bool:
        """Whether our own vLLM serves; an LLM given by URL stands in for the whole ecs module."""
        return self.enable_vllm and not self.llm_base_url


@dataclass(frozen=True)
class Step:
    """One apply: a module with the values it gets this time."""

    title: str
    module: TerraformModule
    needs: tuple[str, ...]


@dataclass(frozen=True)
class PlannedStep:
    """What one step would do; ``counts`` is None while a module it needs is not there yet."""

    title: str
    module: str
    counts: Counts | None
    addresses: tuple[str, ...] = ()
    waits_for: str | None = None


@dataclass(frozen=True)
class AppliedStep:
    """What one step did, and how long it took."""

    title: str
    module: str
    counts: Counts
    seconds: float


@dataclass(frozen=True)
class DeployResult:
    """Steps done in order, outputs by module, and whether all steps were approved."""

    steps: tuple[AppliedStep, ...]
    outputs: Mapping[str, Mapping[str, Any]]
    complete: bool

    @property
    def changed(self) -> int:
        """Single changes in all."""
        return sum(step.counts.total for step in self.steps)


def module_outputs(settings: DeploySettings, name: str) -> Mapping[str, Any]:
    """Outputs of a module's last apply; empty where it was never applied."""
    module = _module(settings, name, {})
    module.initialise()
    return module.outputs()


def images_of(settings: DeploySettings) -> ImageUris:
    """Where the jobs get their images from; raises InputError when nothing names them."""
    if settings.map_image_uri and settings.reduce_image_uri:
        return ImageUris(settings.map_image_uri, settings.reduce_image_uri)
    if settings.use_external_images or not settings.image_tag or not settings.account_id:
        raise InputError(
            "The deployment",
            "has no images yet",
            "Run `ftm build --push`, or name images that exist with `ftm build --map-image-uri URI "
            "--reduce-image-uri URI`.",
        )
    uri = f"{registry_name(settings.account_id, settings.region)}/{IMAGE}:{settings.image_tag}"
    return ImageUris(uri, uri)


Approval = Callable[[PlannedStep], bool]


def deploy_steps(
    settings: DeploySettings, deployed: frozenset[str] = frozenset(), *, only: str | None = None
) -> tuple[Step, ...]:
    """The steps of a deploy in their order, given the modules already there.

    ecs needs batch's security group, and batch needs the URL that ecs writes: on a fresh account
    batch is applied twice. Once both are there, the pass without vLLM is left out, since it would
    only take the URL away and put it back.
    """
    if only is not None and only not in MODULES:
        raise InputError(
            f"The module {only}", "does not exist", f"Use one of {', '.join(MODULES)}."
        )
    steps = []
    both_there = {"batch", "ecs"} <= deployed
    if settings.uses_vllm:
        if not both_there:
            steps.append(_step(settings, "batch", "batch, without vLLM", with_vllm=False))
        steps.append(_step(settings, "ecs", "ecs"))
        steps.append(_step(settings, "batch", "batch, with vLLM", with_vllm=True))
    else:
        steps.append(_step(settings, "batch", "batch", with_vllm=False))
    steps.append(_step(settings, "stepfunctions", "stepfunctions"))
    if only is None:
        return tuple(steps)
    # A single module is taken as far as it can go: to its last pass that has what it needs.
    chosen = [step for step in steps if step.module.name == only]
    ready = [step for step in chosen if set(step.needs) <= deployed]
    if chosen and not ready:
        missing = " and ".join(name for name in chosen[0].needs if name not in deployed)
        raise InputError(
            f"The module {only}",
            f"needs {missing}, which is not deployed yet",
            f"Deploy the module {missing} first.",
        )
    return tuple(ready[-1:])


def destroy_steps(settings: DeploySettings, *, only: str | None = None) -> tuple[Step, ...]:
    """The steps of a destroy: what uses comes down before what is used."""
    if only is not None and only not in MODULES:
        raise InputError(
            f"The module {only}", "does not exist", f"Use one of {', '.join(MODULES)}."
        )
    steps = (
        _step(settings, "stepfunctions", "stepfunctions"),
        # Its load balancer's rules name batch's security group, which could not go before them.
        _step(settings, "ecs", "ecs"),
        # Without vLLM: the URL it would read went with ecs.
        _step(settings, "batch", "batch", with_vllm=False),
    )
    return tuple(step for step in steps if only in (None, step.module.name))


def deployed_addresses(settings: DeploySettings) -> Mapping[str, frozenset[str]]:
    """By module, the addresses of what its state holds."""
    found = {}
    for name in MODULES:
        module = _module(settings, name, {})
        module.initialise()
        found[name] = module.addresses()
    return found


def deployed_modules(settings: DeploySettings, listener: Listener = ignore) -> frozenset[str]:
    """Modules that are there for others to use, read from their states."""
    found = set()
    for name in MODULES:
        listener(Note(f"Reading the state of {name}"))
        if module_outputs(settings, name).get(_MARKS[name]):
            found.add(name)
    return frozenset(found)


def plan_deploy(
    settings: DeploySettings, listener: Listener = ignore, *, only: str | None = None
) -> tuple[PlannedStep, ...]:
    """What a deploy would do, step by step; nothing is changed."""
    deployed = deployed_modules(settings, listener)
    planned = []
    for step in deploy_steps(settings, deployed, only=only):
        missing = next((name for name in step.needs if name not in deployed), None)
        if missing is not None:
            planned.append(PlannedStep(step.title, step.module.name, None, waits_for=missing))
            continue
        listener(Note(f"Planning {step.title}"))
        with step.module.plan() as plan:
            planned.append(PlannedStep(step.title, step.module.name, plan.counts, plan.addresses))
    return tuple(planned)


def deploy(
    settings: DeploySettings,
    listener: Listener = ignore,
    *,
    only: str | None = None,
    approve: Approval = lambda step: True,
) -> DeployResult:
    """Apply every step that changes something, in order; a repeat resumes where it stopped.

    ``approve`` sees each step's plan before it is applied; False ends the deploy there.
    Raises TerraformError at the first step that fails; the steps before it stand.
    """
    deployed = deployed_modules(settings, listener)
    steps = deploy_steps(settings, deployed, only=only)
    return _perform(settings, steps, listener, approve, destroy=False)


def plan_destroy(
    settings: DeploySettings, listener: Listener = ignore, *, only: str | None = None
) -> tuple[PlannedStep, ...]:
    """What a destroy would take down; nothing is changed."""
    deployed = deployed_modules(settings, listener)
    _refuse_if_used(only, deployed)
    planned = []
    for step in destroy_steps(settings, only=only):
        if not step.module.holds_anything():
            continue
        listener(Note(f"Planning the end of {step.title}"))
        with step.module.plan(destroy=True) as plan:
            planned.append(PlannedStep(step.title, step.module.name, plan.counts, plan.addresses))
    return tuple(planned)


def destroy(
    settings: DeploySettings,
    listener: Listener = ignore,
    *,
    only: str | None = None,
    approve: Approval = lambda step: True,
) -> DeployResult:
    """Take down every module that is there, in the opposite order; the bucket stays."""
    deployed = deployed_modules(settings, listener)
    _refuse_if_used(only, deployed)
    steps = tuple(
        step for step in destroy_steps(settings, only=only) if step.module.holds_anything()
    )
    return _perform(settings, steps, listener, approve, destroy=True)


def _perform(
    settings: DeploySettings,
    steps: tuple[Step, ...],
    listener: Listener,
    approve: Approval,
    *,
    destroy: bool,
) -> DeployResult:
    done: list[AppliedStep] = []
    complete = True
    for step in steps:
        began = time.monotonic()
        listener(Note(f"Planning {'the end of ' if destroy else ''}{step.title}"))
        with step.module.plan(destroy=destroy) as plan:
            planned = PlannedStep(step.title, step.module.name, plan.counts, plan.addresses)
            if plan.changes_something:
                if plan.counts.total and not approve(planned):
                    complete = False
                    break
                step.module.apply(plan, listener)
        seconds = time.monotonic() - began
        done.append(AppliedStep(step.title, step.module.name, plan.counts, seconds))
    outputs = {name: _module(settings, name, {}).outputs() for name in MODULES}
    return DeployResult(tuple(done), outputs, complete)


def _refuse_if_used(only: str | None, deployed: frozenset[str]) -> None:
    users = [name for name in MODULES if only in _NEEDS[name] and name in deployed]
    if users:
        raise InputError(
            f"The module {only}",
            f"is used by {' and '.join(users)}",
            "Destroy these first, or everything by leaving --only out.",
        )


def _step(settings: DeploySettings, module: str, title: str, *, with_vllm: bool = False) -> Step:
    needs = _NEEDS[module] + (("ecs",) if module == "batch" and with_vllm else ())
    return Step(title, _module(settings, module, _values(settings, module, with_vllm)), needs)


def _module(settings: DeploySettings, name: str, values: Mapping[str, Any]) -> TerraformModule:
    bucket = (
        StateBucket(settings.state_bucket, settings.region, settings.profile)
        if settings.state_bucket
        else None
    )
    return TerraformModule(settings.terraform_root / name, values, bucket)


def _values(settings: DeploySettings, module: str, with_vllm: bool) -> dict[str, Any]:
    values: dict[str, Any] = {
        "aws_region": settings.region,
        "use_precreated_roles": settings.use_precreated_roles,
    }
    if settings.profile:
        values["aws_profile"] = settings.profile
    if settings.account_id:
        values["aws_account_id"] = settings.account_id
    if module == "batch":
        values |= {
            "s3_bucket_name": settings.s3_bucket_name,
            "enable_vllm": with_vllm,
            "llm_base_url": settings.llm_base_url,
            "use_external_images": settings.use_external_images,
            "map_image_uri": settings.map_image_uri,
            "reduce_image_uri": settings.reduce_image_uri,
            "enable_wrds_secrets": settings.enable_wrds_secrets,
        }
        if settings.image_tag:
            values["image_tag"] = settings.image_tag
    if module == "stepfunctions":
        values |= {"s3_bucket_name": settings.s3_bucket_name, "enable_vllm": settings.uses_vllm}
    return values | dict(settings.variables.get(module, {}))
