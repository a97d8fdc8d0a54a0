"""Why vLLM does not answer: from the counts down to the address that the jobs were given."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from ftm_cli.operations.aws import names
from ftm_cli.operations.aws.errors import AwsError, AwsMissingError, translated
from ftm_cli.operations.aws.jobs import Jobs
from ftm_cli.operations.aws.logs import Logs
from ftm_cli.operations.aws.outputs import deployed_instance_type
from ftm_cli.operations.aws.session import AwsSession
from ftm_cli.operations.aws.vllm import FRESH, Vllm
from ftm_cli.operations.costs import read_prices
from ftm_cli.results.runs import Finding
from ftm_cli.results.setup import VllmStatus

_ABOUT = "vLLM"
_SHOWN = 3
_LOG_WORDS = ("Error", "ERROR", "error", "Killed", "out of memory")
_EXIT_137 = "Exit code 137 is a container that ran out of memory: use a larger instance_type."


class VllmDiagnosis:
    """Inspects vLLM of the pinned account; changes nothing."""

    def __init__(self, session: AwsSession) -> None:
        self._profile = session.pin.profile
        self._vllm = Vllm(session)
        self._groups = session.client("autoscaling")
        self._ecs = session.client("ecs")
        self._balancer = session.client("elbv2")
        self._parameters = session.client("ssm")
        self._jobs = Jobs(session)
        self._logs = Logs(session)

    def findings(self, *, is_needed: bool) -> Iterator[Finding]:
        """What stands between the jobs and vLLM; ``is_needed`` says that a run wants it now."""
        try:
            status = self._vllm.status()
        except AwsMissingError as error:
            yield from self._not_deployed(error)
            return
        yield from self._counts(status, is_needed=is_needed)
        yield from self._address()

    def _not_deployed(self, error: AwsMissingError) -> Iterator[Finding]:
        url = (self._environment_of_jobs() or {}).get("LLM_BASE_URL")
        if url:
            what = "vLLM is not deployed, and the jobs use an LLM given by URL."
            yield Finding(_ABOUT, "note", what, (f"LLM_BASE_URL {url}",))
            return
        yield Finding(
            _ABOUT,
            "problem",
            "vLLM is not deployed.",
            (error.sentence,),
            "Run `ftm deploy`.",
        )

    def _counts(self, status: VllmStatus, *, is_needed: bool) -> Iterator[Finding]:
        counts = (
            f"instances: {status.desired_instances} desired, {status.instances_in_service} in "
            f"service; tasks: {status.desired_tasks} desired, {status.running_tasks} running; "
            f"targets: {', '.join(status.targets) or 'none'}",
        )
        if status.phase in ("off", "ending"):
            if is_needed:
                what = "vLLM is scaled to 0, but a run needs it: its jobs wait."
                yield Finding(_ABOUT, "problem", what, counts, "Run `ftm scale-up`.")
            else:
                what = "vLLM is off and costs nothing, and no run needs it."
                yield Finding(_ABOUT, "ok", what, counts)
            return
        if status.desired_instances != status.desired_tasks:
            count = max(status.desired_instances, status.desired_tasks)
            what = (
                f"vLLM has {status.desired_instances} desired instances in Auto Scaling, but "
                f"{status.desired_tasks} desired tasks in ECS."
            )
            yield Finding(
                _ABOUT,
                "problem",
                what,
                counts,
                f"Run `ftm vllm scale {count}`, which sets both together.",
            )
        if status.phase == "ready":
            yield self._ready(counts, status, is_needed=is_needed)
            return
        causes = {
            "instance": self._no_instance,
            "image": self._no_task,
            "model load": self._model_loading,
            "target health": self._unhealthy_target,
        }
        yield causes[status.phase](counts)

    def _ready(self, counts: tuple[str, ...], status: VllmStatus, *, is_needed: bool) -> Finding:
        if is_needed:
            return Finding(_ABOUT, "ok", "vLLM is healthy.", counts)
        hourly = read_prices().vllm_hourly(status.desired_instances, deployed_instance_type())
        what = f"vLLM is up without a run, for about ${hourly:.2f} an hour."
        return Finding(_ABOUT, "problem", what, counts, "Run `ftm scale-down`.")

    def _no_instance(self, counts: tuple[str, ...]) -> Finding:
        with translated(f"The Auto Scaling group {names.VLLM_GROUP}", self._profile):
            activities = self._groups.describe_scaling_activities(
                AutoScalingGroupName=names.VLLM_GROUP, MaxRecords=10
            )["Activities"]
        since = dt.datetime.now(dt.UTC) - FRESH
        failed = [
            item
            for item in activities
            if item.get("StatusCode") in ("Failed", "Cancelled") and item["StartTime"] > since
        ]
        details = tuple(_activity(item) for item in failed[:_SHOWN])
        if not failed:
            what = "vLLM waits for an instance, which takes a few minutes."
            return Finding(_ABOUT, "note", what, counts, "Poll it with `ftm vllm status`.")
        text = " ".join(details).lower()
        if "limit" in text or "quota" in text:
            return Finding(
                _ABOUT,
                "problem",
                "vLLM gets no instance: the account's quota is used up.",
                (*counts, *details),
                "Run `ftm scale-down`, then ask AWS for more: `ftm validate` shows the quota.",
            )
        return Finding(
            _ABOUT,
            "problem",
            "vLLM gets no instance: AWS has none to give now."
            if "capacity" in text
            else "vLLM gets no instance.",
            (*counts, *details),
            "Run `ftm scale-down`, and `ftm scale-up` again later. To allow other types, set "
            "alternative_instance_types in ftm.toml and run `ftm deploy`.",
        )

    def _no_task(self, counts: tuple[str, ...]) -> Finding:
        """No task runs: the reasons of those that stopped, else what the service says."""
        stopped = self._stopped_tasks()
        with translated(f"The ECS service {names.VLLM_SERVICE}", self._profile):
            service = self._ecs.describe_services(
                cluster=names.VLLM_CLUSTER, services=[names.VLLM_SERVICE]
            )["services"][0]
        events = tuple(str(event["message"]) for event in (service.get("events") or [])[:_SHOWN])
        if stopped:
            oom = [_EXIT_137] if any("137" in line for line in stopped) else []
            return Finding(
                _ABOUT,
                "problem",
                "vLLM does not stay up: its task stopped.",
                (*counts, *stopped, *self._log_errors()),
                " ".join([*oom, "Read the end of its log with `ftm logs vllm --since 1h`."]),
            )
        return Finding(
            _ABOUT,
            "problem" if any("unable to" in event for event in events) else "note",
            "vLLM has an instance and waits for its task: the image is being fetched, or does not "
            "fit.",
            (*counts, *events),
            "Poll it with `ftm vllm status`, and after 15 minutes read `ftm logs vllm --since 1h`.",
        )

    def _stopped_tasks(self) -> tuple[str, ...]:
        with translated(f"The ECS service {names.VLLM_SERVICE}", self._profile):
            arns = self._ecs.list_tasks(
                cluster=names.VLLM_CLUSTER,
                serviceName=names.VLLM_SERVICE,
                desiredStatus="STOPPED",
            )["taskArns"]
            if not arns:
                return ()
            tasks = self._ecs.describe_tasks(cluster=names.VLLM_CLUSTER, tasks=arns[:10])["tasks"]
        stopped = [task for task in tasks if task.get("lastStatus") == "STOPPED"]
        return tuple(_stopped_task(task) for task in stopped[:_SHOWN])

    def _model_loading(self, counts: tuple[str, ...]) -> Finding:
        errors = self._log_errors()
        if errors:
            return Finding(
                _ABOUT,
                "problem",
                "vLLM has started, but its log has errors and the model is not loaded.",
                (*counts, *errors),
                "Read its log with `ftm logs vllm --since 30m`.",
            )
        what = "vLLM is loading its model, which takes about five minutes."
        return Finding(_ABOUT, "note", what, counts, "Follow it with `ftm logs vllm --follow`.")

    def _unhealthy_target(self, counts: tuple[str, ...]) -> Finding:
        with translated("vLLM's target group", self._profile):
            group = self._target_group()
            health = self._balancer.describe_target_health(TargetGroupArn=group["TargetGroupArn"])
        targets = [item["TargetHealth"] for item in health["TargetHealthDescriptions"]]
        details = tuple(
            f"target {item['State']}: {item.get('Description') or item.get('Reason')}"
            for item in targets
            if item["State"] != "healthy"
        )
        return Finding(
            _ABOUT,
            "problem" if any(item["State"] == "unhealthy" for item in targets) else "note",
            "vLLM has loaded its model, but the load balancer does not call it healthy yet.",
            (*counts, *details[:_SHOWN]),
            "See with `ftm logs vllm --since 10m` whether /health is asked. If it never is, the "
            "security groups are not as deployed: run `ftm deploy --plan`.",
        )

    def _address(self) -> Iterator[Finding]:
        """That load balancer, SSM parameter and job definition name the same address."""
        expected = self._balancer_url()
        with translated(f"The SSM parameter {names.BASE_URL_PARAMETER}", self._profile):
            try:
                answer = self._parameters.get_parameter(Name=names.BASE_URL_PARAMETER)
                kept = str(answer["Parameter"]["Value"])
            except self._parameters.exceptions.ParameterNotFound:
                kept = ""
        environment = self._environment_of_jobs()
        if environment is None:
            what = f"The job definition {names.MAP_JOB_DEFINITION} does not exist."
            yield Finding("address", "problem", what, (), "Run `ftm deploy`.")
            return
        given = environment.get("LLM_BASE_URL", "")
        evidence = (
            f"load balancer: {expected or 'none'}",
            f"{names.BASE_URL_PARAMETER}: {kept or 'missing'}",
            f"LLM_BASE_URL of the map jobs: {given or 'none'}",
        )
        if kept != expected or not kept:
            what = f"The parameter {names.BASE_URL_PARAMETER} is {'stale' if kept else 'missing'}."
            yield Finding("address", "problem", what, evidence, "Run `ftm deploy`.")
        elif given != kept:
            what = "The jobs were deployed with another address than that of vLLM."
            yield Finding("address", "problem", what, evidence, "Run `ftm deploy --only batch`.")
        else:
            yield Finding("address", "ok", "The jobs have the address of vLLM.", (evidence[2],))

    def _balancer_url(self) -> str:
        try:
            with translated("vLLM's load balancer", self._profile):
                arns = self._target_group().get("LoadBalancerArns") or []
                if not arns:
                    return ""
                found = self._balancer.describe_load_balancers(LoadBalancerArns=arns[:1])
        except AwsMissingError:
            return ""
        return f"http://{found['LoadBalancers'][0]['DNSName']}/v1"

    def _target_group(self) -> dict[str, Any]:
        service = self._ecs.describe_services(
            cluster=names.VLLM_CLUSTER, services=[names.VLLM_SERVICE]
        )["services"][0]
        for item in service.get("loadBalancers") or []:
            found = self._balancer.describe_target_groups(TargetGroupArns=[item["targetGroupArn"]])
            group: dict[str, Any] = found["TargetGroups"][0]
            return group
        return {}

    def _environment_of_jobs(self) -> dict[str, str] | None:
        return self._jobs.environment_of(names.MAP_JOB_DEFINITION)

    def _log_errors(self) -> tuple[str, ...]:
        """Last lines with an error in vLLM's log of the last half hour."""
        start = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=30)
        pattern = " ".join(f'?"{word}"' for word in _LOG_WORDS)
        try:
            lines = [
                event.message
                for event in self._logs.events("vllm", start, pattern=pattern)
                if any(word in event.message for word in _LOG_WORDS)
            ]
        except AwsError:
            return ()
        return tuple(f"log: {line}" for line in lines[-_SHOWN:])


def _activity(item: dict[str, Any]) -> str:
    return f"Auto Scaling: {item.get('StatusMessage') or item.get('StatusCode')}"


def _stopped_task(task: dict[str, Any]) -> str:
    containers = [
        f"exit code {item['exitCode']}" if "exitCode" in item else str(item.get("reason", ""))
        for item in task.get("containers", [])
    ]
    details = [str(task.get("stoppedReason") or "no reason"), *containers]
    return f"stopped task: {', '.join(part for part in details if part)}"
