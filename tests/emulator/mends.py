"""What moto 5.2.5 must learn before our modules apply and our state machine runs on it.

Each mend names what is missing. None of them knows of ftm: they make moto answer as AWS documents.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult


def apply_all(endpoint: str) -> None:
    """Mend moto in this process, before its server starts; ``endpoint`` is where it will listen."""
    execute_state_machines()
    answer_terraform_about_state_machines()
    submit_jobs_with_botos_names()
    run_jobs_against(endpoint)
    report_how_jobs_ended()
    keep_what_ecs_services_were_given()


def execute_state_machines() -> None:
    """Running executions is off by default."""
    from moto.core.config import default_user_config

    default_user_config["stepfunctions"] = {"execute_state_machine": True}


def answer_terraform_about_state_machines() -> None:
    """Terraform asks whether a definition is valid, and for versions; moto knows neither call."""
    from moto.stepfunctions.responses import StepFunctionResponse

    def validate_state_machine_definition(self: Any) -> ActionResult:
        return ActionResult({"result": "OK", "diagnostics": [], "truncated": False})

    def list_state_machine_versions(self: Any) -> ActionResult:
        return ActionResult({"stateMachineVersions": []})

    StepFunctionResponse.validate_state_machine_definition = validate_state_machine_definition
    StepFunctionResponse.list_state_machine_versions = list_state_machine_versions


def submit_jobs_with_botos_names() -> None:
    """The state language writes JobName where Batch's API wants jobName, and the other way back."""
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
        state_task_service_batch,
    )

    service = state_task_service_batch.StateTaskServiceBatch

    def to_api(self: Any, parameters: dict[str, Any], *_: Any, **__: Any) -> None:
        renamed = _rename(parameters, str.lower)
        parameters.clear()
        parameters.update(renamed)

    def to_states(self: Any, response: dict[str, Any], *_: Any, **__: Any) -> None:
        renamed = _rename(response, str.upper)
        response.clear()
        response.update(renamed)

    def resolver(self: Any, env: Any, resource_runtime_part: Any, *_: Any, **__: Any) -> Any:
        from moto.stepfunctions.parser.asl.utils.boto_client import boto_client_for

        client = boto_client_for(service="batch", region=resource_runtime_part.region)
        submitted = env.stack.pop()
        job_id = submitted.get("JobId") or submitted["jobId"]

        def ended() -> dict[str, Any] | None:
            job = client.describe_jobs(jobs=[job_id])["jobs"][0]
            if job["status"] not in ("SUCCEEDED", "FAILED"):
                return None
            described: dict[str, Any] = _rename(job, str.upper)
            if job["status"] == "FAILED":
                raise _task_failed(self, env, described)
            return described

        return ended

    service._normalise_parameters = to_api
    service._normalise_response = to_states
    service._build_sync_resolver = resolver


def _task_failed(service: Any, env: Any, described: dict[str, Any]) -> Exception:
    """The error of a failed job: States.TaskFailed, with the job's description as its cause."""
    from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
    from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
        FailureEvent,
        FailureEventException,
    )
    from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import (
        StatesErrorName,
    )
    from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
        StatesErrorNameType,
    )
    from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
    from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

    name = StatesErrorNameType.StatesTaskFailed
    details = TaskFailedEventDetails(
        resource=service._get_sfn_resource(),
        resourceType=service._get_sfn_resource_type(),
        error=name.to_name(),
        cause=to_json_str(described),
    )
    return FailureEventException(
        FailureEvent(
            env=env,
            error_name=StatesErrorName(typ=name),
            event_type=HistoryEventType.TaskFailed,
            event_details=EventDetails(taskFailedEventDetails=details),
        )
    )


def _rename(value: Any, case: Callable[[str], str]) -> Any:
    """``value`` with the first letter of every key in another case."""
    if isinstance(value, dict):
        return {case(key[:1]) + key[1:]: _rename(item, case) for key, item in value.items()}
    if isinstance(value, list):
        return [_rename(item, case) for item in value]
    return value


def run_jobs_against(endpoint: str) -> None:
    """Give job containers what AWS gives them: an endpoint and credentials, here the emulator's.

    A job that is terminated gets SIGTERM and 30 seconds, as from AWS Batch, instead of SIGKILL.
    """
    from moto.batch.models import Job
    from moto.utilities.docker_utilities import DockerModel

    plain_client = DockerModel.docker_client.fget

    def with_credentials(self: Any) -> Any:
        client = plain_client(self)
        if not isinstance(self, Job) or getattr(client, "gives_credentials", False):
            return client
        run = client.containers.run
        # Each access makes a new collection; ours replaces the attribute's getter on this client.
        collection = client.containers

        def run_with_credentials(*arguments: Any, **options: Any) -> Any:
            options["environment"] = {
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_ACCESS_KEY_ID": "emulated",
                "AWS_SECRET_ACCESS_KEY": "emulated",
                **options.get("environment", {}),
            }
            if options.get("network_mode") == "host":
                options.pop("extra_hosts", None)
            container = run(*arguments, **options)
            container.kill = lambda *_, **__: container.stop(timeout=30)
            return container

        collection.run = run_with_credentials
        client.__class__ = type(
            "Client",
            (client.__class__,),
            {"containers": property(lambda _: collection), "gives_credentials": True},
        )
        return client

    DockerModel.docker_client = property(with_credentials)


def report_how_jobs_ended() -> None:
    """DescribeJobs loses the exit code that moto itself has read from the container."""
    from moto.batch.models import Job

    plain_describe = Job.describe

    def describe(self: Any) -> Any:
        described = plain_describe(self)
        code = self.exit_code
        if code is not None and "container" in described:
            described["container"]["exitCode"] = code
            for attempt in described["attempts"]:
                attempt["container"]["exitCode"] = code
        if described["status"] == "FAILED":
            described.setdefault("statusReason", "Essential container in task exited")
        return described

    Job.describe = describe


def keep_what_ecs_services_were_given() -> None:
    """A service forgets much of its request, so that a second plan would change it back.

    An empty network configuration in an answer makes Terraform's provider panic.
    """
    from moto.ecs.models import Service
    from moto.ecs.responses import EC2ContainerServiceResponse

    plain_create = EC2ContainerServiceResponse.create_service
    plain_object = Service.response_object.fget
    kept: dict[str, dict[str, Any]] = {}
    names = ("healthCheckGracePeriodSeconds", "deploymentConfiguration", "placementConstraints")

    def create_service(self: Any) -> Any:
        answer = plain_create(self)
        kept[self._get_param("serviceName")] = {
            name: given for name in names if (given := self._get_param(name)) is not None
        }
        return answer

    def response_object(self: Any) -> Any:
        described = plain_object(self)
        if not described.get("networkConfiguration"):
            described.pop("networkConfiguration", None)
        for deployment in described.get("deployments", []):
            if not deployment.get("networkConfiguration"):
                deployment.pop("networkConfiguration", None)
        return described | kept.get(self.name, {})

    EC2ContainerServiceResponse.create_service = create_service
    Service.response_object = property(response_object)


def host_network() -> None:
    """Jobs share the machine's network, so that emulator, LLM and registry stay on 127.0.0.1."""
    os.environ["MOTO_DOCKER_NETWORK_MODE"] = "host"
