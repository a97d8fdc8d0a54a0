"""vLLM's instances and service as one thing: how many, in which phase, and how to get there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from ftm_cli.operations.aws import names
from ftm_cli.operations.aws.errors import (
    AwsBusyError,
    AwsError,
    AwsLoginError,
    AwsMissingError,
    CapacityError,
    translated,
)
from ftm_cli.operations.aws.logs import Logs
from ftm_cli.operations.aws.session import AwsSession
from ftm_cli.operations.aws.waiting import Clock, Waits, ignore_signals
from ftm_cli.results.setup import VLLM_PHASES, VllmStatus
from ftm_core.contracts.errors import FtmError, InputError
from ftm_core.contracts.events import (
    Listener,
    Note,
    StageAdvanced,
    StageFinished,
    StageStarted,
    ignore,
)

_UNITS = dict(zip(VLLM_PHASES, ("instances", "tasks", "models", "targets"), strict=True))
_CAPACITY = ("insufficientinstancecapacity", "sufficient", "capacity", "spot request")
_QUOTA = ("vcpulimitexceeded", "vcpu limit", "maxspotinstancecountexceeded", "quota")
_LOADED = '"Application startup complete"'
_DOWN_ATTEMPTS = 8
# Longest time that an idle vLLM stays up: the deadman switch's interval and idle_seconds, as the
# stepfunctions module has them.
DEADMAN_MINUTES = 75
# Auto Scaling tries again every few minutes, so a failure that still holds is not older.
FRESH = dt.timedelta(hours=1)
_LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)


class Vllm:
    """The Auto Scaling group and the ECS service of vLLM, changed together."""

    def __init__(
        self, session: AwsSession, *, clock: Clock | None = None, waits: Waits | None = None
    ) -> None:
        self._profile = session.pin.profile
        self._groups = session.client("autoscaling")
        self._ecs = session.client("ecs")
        self._balancer = session.client("elbv2")
        self._logs = Logs(session)
        # The latest activity from before the last scale_up; older ones say nothing of it.
        self._before: dt.datetime | None = None
        self._clock = clock or Clock()
        self._waits = waits or Waits.from_environment()

    def status(self) -> VllmStatus:
        """Inspect all three; raises AwsMissingError when the ecs module is not deployed."""
        group = self._group()
        service = self._service()
        balanced = service.get("loadBalancers") or []
        states = tuple(
            state
            for item in balanced
            if item.get("targetGroupArn")
            for state in self._target_states(item["targetGroupArn"])
        )
        running = int(service.get("runningCount", 0))
        if not balanced:
            # Without a load balancer a running task is all that can be known.
            states = ("healthy",) * running
        in_service = [i for i in group["Instances"] if i["LifecycleState"] == "InService"]
        wanted = max(group["DesiredCapacity"], service["desiredCount"])
        waits_for_model = 0 < wanted <= running and states.count("healthy") < wanted
        return VllmStatus(
            desired_instances=group["DesiredCapacity"],
            max_instances=group["MaxSize"],
            instances=len(group["Instances"]),
            instances_in_service=len(in_service),
            desired_tasks=service["desiredCount"],
            pending_tasks=service.get("pendingCount", 0),
            running_tasks=running,
            targets=states,
            model_loaded=waits_for_model and self._model_loaded(),
            trouble=self._trouble(service)
            if len(in_service) < wanted or running < wanted
            else None,
        )

    def scale_up(self, count: int) -> None:
        """Ask for ``count`` instances with one task each; raises InputError over the maximum."""
        group = self._group()
        self._service()
        if count > group["MaxSize"]:
            raise InputError(
                f"The Auto Scaling group {names.VLLM_GROUP}",
                f"may hold {group['MaxSize']} instances, but {count} are asked for",
                "Ask for fewer, or raise max_capacity of the ecs module and deploy.",
            )
        activity = self._latest_activity()
        self._before = activity["StartTime"] if activity else _LONG_AGO
        self._set_instances(count)
        self._set_tasks(count)

    def wait_until_ready(
        self,
        count: int,
        listener: Listener = ignore,
        *,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> VllmStatus:
        """Wait until ``count`` targets are healthy, and report each phase to the listener.

        Ends early once ``is_wanted``, asked at each poll, says no.
        Raises CapacityError when AWS gives no instance in time or the quota is used up, and
        AwsBusyError when vLLM does not come up in time.
        """
        began = self._clock.monotonic()
        phases = _PhaseReporter(listener, self._clock)
        reported: str | None = None
        while True:
            status = self.status()
            phases.show(status, count)
            if status.phase == "ready" and status.healthy_targets >= count:
                return status
            if not is_wanted():
                return status
            waited = self._clock.monotonic() - began
            if status.trouble and status.trouble != reported:
                reported = status.trouble
                listener(Note(f"AWS says: {status.trouble}", "warning"))
            self._give_up_if_hopeless(status, waited)
            self._clock.sleep(self._waits.poll)

    def scale_down(self, listener: Listener = ignore) -> VllmStatus:
        """Service and group to 0, both tried however the other fares, until both say so.

        No signal stops this. Raises AwsError, naming what may still cost money, if it cannot.
        """
        with ignore_signals():
            problem: FtmError | None = None
            for attempt in range(_DOWN_ATTEMPTS):
                problem = None
                for change in (self._set_tasks, self._set_instances):
                    try:
                        change(0)
                    except AwsMissingError:
                        continue
                    except AwsError as error:
                        problem = error
                if problem is None:
                    status = self.status()
                    if status.desired_instances == 0 and status.desired_tasks == 0:
                        return status
                if problem is not None and not isinstance(problem, AwsBusyError):
                    break
                _report(listener, "Scaling down again: AWS was busy")
                self._clock.sleep(min(self._waits.poll, 2.0**attempt))
        if isinstance(problem, AwsLoginError):
            raise AwsLoginError(
                "Scaling vLLM down",
                f"was not possible. {problem.sentence} A run that is still running keeps its vLLM",
                "Log in again, then check `ftm runs` and `ftm vllm status`. The deadman switch "
                f"takes vLLM down within {DEADMAN_MINUTES} minutes after the last run.",
            )
        reason = problem.sentence if problem else "Its desired counts are not 0."
        raise AwsError(
            "Scaling vLLM down",
            f"failed, and A GPU MAY STILL BE RUNNING. {reason}",
            "Run `ftm scale-down`, which names runs that still need vLLM. The deadman switch takes "
            f"an idle vLLM down within {DEADMAN_MINUTES} minutes.",
        )

    def wait_until_off(self, listener: Listener = ignore) -> VllmStatus:
        """Wait until the last instance has ended."""
        stage = "waiting for instances to end"
        listener(StageStarted(stage, None, "instances"))
        began = self._clock.monotonic()
        while True:
            status = self.status()
            waited = self._clock.monotonic() - began
            if status.phase == "off":
                listener(StageFinished(stage, waited))
                return status
            if waited > self._waits.capacity:
                raise AwsBusyError(
                    f"The Auto Scaling group {names.VLLM_GROUP}",
                    f"still has {status.instances} instances after {waited:.0f} s",
                    "Check it again with `ftm vllm status`.",
                )
            self._clock.sleep(self._waits.poll)

    def _give_up_if_hopeless(self, status: VllmStatus, waited: float) -> None:
        trouble = (status.trouble or "").lower()
        if status.phase == "instance":
            if any(sign in trouble for sign in _QUOTA):
                raise CapacityError(
                    f"The Auto Scaling group {names.VLLM_GROUP}",
                    f"is over the account's quota ({status.trouble})",
                    "Ask AWS for more GPU vCPUs (Service Quotas), or use a smaller instance_type.",
                )
            if waited > self._waits.capacity:
                detail = f" ({status.trouble})" if status.trouble else ""
                raise CapacityError(
                    f"The Auto Scaling group {names.VLLM_GROUP}",
                    f"got no instance in {waited:.0f} s{detail}",
                    "Try again later, or allow more types with alternative_instance_types.",
                )
        if waited > self._waits.ready:
            detail = f" ({status.trouble})" if status.trouble else ""
            raise AwsBusyError(
                f"The ECS service {names.VLLM_SERVICE}",
                f"still waits for {status.phase} after {waited:.0f} s{detail}",
                "Run `ftm doctor` to see why, and `ftm logs vllm --since 1h` for its log.",
            )

    def _group(self) -> dict[str, Any]:
        with translated(f"The Auto Scaling group {names.VLLM_GROUP}", self._profile):
            found = self._groups.describe_auto_scaling_groups(
                AutoScalingGroupNames=[names.VLLM_GROUP]
            )["AutoScalingGroups"]
        if not found:
            raise _not_deployed(f"The Auto Scaling group {names.VLLM_GROUP}")
        group: dict[str, Any] = found[0]
        return group

    def _service(self) -> dict[str, Any]:
        with translated(f"The ECS service {names.VLLM_SERVICE}", self._profile):
            found = self._ecs.describe_services(
                cluster=names.VLLM_CLUSTER, services=[names.VLLM_SERVICE]
            )["services"]
        active = [service for service in found if service.get("status") != "INACTIVE"]
        if not active:
            raise _not_deployed(f"The ECS service {names.VLLM_SERVICE}")
        service: dict[str, Any] = active[0]
        return service

    def _set_instances(self, count: int) -> None:
        with translated(f"The Auto Scaling group {names.VLLM_GROUP}", self._profile):
            self._groups.set_desired_capacity(
                AutoScalingGroupName=names.VLLM_GROUP, DesiredCapacity=count, HonorCooldown=False
            )

    def _set_tasks(self, count: int) -> None:
        with translated(f"The ECS service {names.VLLM_SERVICE}", self._profile):
            self._ecs.update_service(
                cluster=names.VLLM_CLUSTER, service=names.VLLM_SERVICE, desiredCount=count
            )

    def _target_states(self, target_group: str) -> list[str]:
        with translated("vLLM's target group", self._profile):
            found = self._balancer.describe_target_health(TargetGroupArn=target_group)
        states = [item["TargetHealth"]["State"] for item in found["TargetHealthDescriptions"]]
        return [state for state in states if state != "draining"]

    def _model_loaded(self) -> bool:
        """Whether vLLM's log says so since its running tasks were started."""
        started = self._started()
        if started is None:
            return False
        try:
            return any(True for _ in self._logs.events("vllm", started, pattern=_LOADED))
        except AwsMissingError:
            return False

    def _started(self) -> dt.datetime | None:
        """When the earliest of the running tasks was started; None while none is."""
        with translated(f"The ECS service {names.VLLM_SERVICE}", self._profile):
            arns = self._ecs.list_tasks(
                cluster=names.VLLM_CLUSTER, serviceName=names.VLLM_SERVICE, desiredStatus="RUNNING"
            )["taskArns"]
            tasks = (
                self._ecs.describe_tasks(cluster=names.VLLM_CLUSTER, tasks=arns[:100])["tasks"]
                if arns
                else []
            )
        return min((task["startedAt"] for task in tasks if task.get("startedAt")), default=None)

    def _latest_activity(self) -> dict[str, Any] | None:
        with translated(f"The Auto Scaling group {names.VLLM_GROUP}", self._profile):
            activities = self._groups.describe_scaling_activities(
                AutoScalingGroupName=names.VLLM_GROUP, MaxRecords=1
            )["Activities"]
        return activities[0] if activities else None

    def _trouble(self, service: dict[str, Any]) -> str | None:
        """The latest reason AWS gives for no instance, else for no task.

        AWS keeps activities for six weeks, so one from before the last request is left out.
        """
        activity = self._latest_activity()
        if activity and activity.get("StatusCode") in ("Failed", "Cancelled"):
            before = self._before or dt.datetime.now(dt.UTC) - FRESH
            if activity["StartTime"] > before:
                return str(activity.get("StatusMessage") or activity["StatusCode"])
        events = service.get("events") or []
        message = str(events[0].get("message", "")) if events else ""
        return message if "unable to" in message or "failed" in message else None


def describe_phase(status: VllmStatus) -> str:
    """The phase in a few words for a table."""
    if status.phase in VLLM_PHASES:
        return f"coming up: waits for {status.phase}"
    return {"off": "off, costs nothing", "ending": "ending", "ready": "ready"}[status.phase]


class _PhaseReporter:
    """Turns statuses into stages, one for each phase that is waited for."""

    def __init__(self, listener: Listener, clock: Clock) -> None:
        self._listener = listener
        self._clock = clock
        self._phase: str | None = None
        self._done = 0
        self._began = 0.0

    def show(self, status: VllmStatus, count: int) -> None:
        if self._phase is not None and (more := status.done_in(self._phase) - self._done) > 0:
            self._done += more
            self._listener(StageAdvanced(f"waiting for {self._phase}", more))
        if status.phase == self._phase:
            return
        now = self._clock.monotonic()
        if self._phase is not None:
            self._listener(StageFinished(f"waiting for {self._phase}", now - self._began))
        self._phase = status.phase if status.phase in VLLM_PHASES else None
        if self._phase is None:
            return
        self._began, self._done = now, status.done_in(self._phase)
        self._listener(
            StageStarted(f"waiting for {self._phase}", count, _UNITS[self._phase], self._done)
        )


def _report(listener: Listener, text: str) -> None:
    """Report, if that is still possible: the terminal may be what was lost."""
    try:
        listener(Note(text, "warning"))
    except OSError:
        return


def _not_deployed(name: str) -> AwsMissingError:
    return AwsMissingError(
        name, "does not exist", "Run `ftm deploy` first, or `--scale none` with an LLM by URL."
    )
