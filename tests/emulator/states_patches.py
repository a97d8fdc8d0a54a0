"""What moto 5.2.5 must learn of Step Functions before our state machines run on it.

Each patch names what is missing. None of them knows of ftm: they make moto answer as AWS documents.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from typing import Any

from moto.core.responses import ActionResult

from tests.emulator.iam_gate import credentials_of


def patch_step_functions() -> None:
    """Patch moto in this process, before its server starts."""
    execute_state_machines()
    call_as_the_role_of_the_state_machine()
    answer_terraform_about_state_machines()
    call_services_by_their_own_names()
    give_states_the_start_of_their_execution()
    read_fractions_of_seconds()
    find_nothing_at_paths_with_several_wildcards()
    read_whole_percentages()


def execute_state_machines() -> None:
    """Running executions is off by default."""
    from moto.core.config import default_user_config

    default_user_config["stepfunctions"] = {"execute_state_machine": True}


def call_as_the_role_of_the_state_machine() -> None:
    """Calls of a state go out with credentials of nobody, although their role is known."""
    import importlib
    import pkgutil

    import boto3
    from botocore.config import Config
    from moto.settings import moto_server_port
    from moto.stepfunctions.parser import asl
    from moto.stepfunctions.parser.asl.utils import boto_client

    def boto_client_for(region: str, service: str, state_credentials: Any = None) -> Any:
        if state_credentials is None:
            raise RuntimeError(f"a call of {service} names no role")
        return boto3.client(
            service_name=service,
            region_name=region,
            endpoint_url=f"http://127.0.0.1:{moto_server_port()}",
            config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
            **credentials_of(state_credentials.role_arn),
        )

    plain = boto_client.boto_client_for
    boto_client.boto_client_for = boto_client_for
    # Each module has imported the function under its own name.
    for module in pkgutil.walk_packages(asl.__path__, f"{asl.__name__}."):
        if ".state." in module.name:
            loaded = importlib.import_module(module.name)
            if getattr(loaded, "boto_client_for", None) is plain:
                loaded.boto_client_for = boto_client_for  # type: ignore[attr-defined]


def answer_terraform_about_state_machines() -> None:
    """Terraform asks whether a definition is valid, and for versions; moto knows neither call."""
    from moto.stepfunctions.responses import StepFunctionResponse

    def validate_state_machine_definition(self: Any) -> ActionResult:
        return ActionResult({"result": "OK", "diagnostics": [], "truncated": False})

    def list_state_machine_versions(self: Any) -> ActionResult:
        return ActionResult({"stateMachineVersions": []})

    StepFunctionResponse.validate_state_machine_definition = validate_state_machine_definition
    StepFunctionResponse.list_state_machine_versions = list_state_machine_versions


def call_services_by_their_own_names() -> None:
    """The state language writes JobName where an API wants jobName, and the other way back.

    Moto passes both on as they are for Batch and for all SDK integrations. Dates come back as
    objects, which no state can compare.
    """
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
        state_task_service_aws_sdk,
        state_task_service_batch,
    )

    def to_api(self: Any, parameters: dict[str, Any], *_: Any, **__: Any) -> None:
        operation = _operation(self._get_boto_service_name(), self.resource.api_action)
        self._to_boto_request(parameters, operation.input_shape)

    def to_states(
        self: Any,
        response: dict[str, Any],
        boto_service_name: str | None = None,
        service_action_name: str | None = None,
    ) -> None:
        action = service_action_name or self.resource.api_action
        operation = _operation(self._get_boto_service_name(boto_service_name), action)
        if operation.output_shape is not None:
            self._from_boto_response(response, operation.output_shape)
        plain = _without_dates(response)
        response.clear()
        response.update(plain)

    for service in (
        state_task_service_aws_sdk.StateTaskServiceAwsSdk,
        state_task_service_batch.StateTaskServiceBatch,
    ):
        service._normalise_parameters = to_api
        service._normalise_response = to_states
    state_task_service_batch.StateTaskServiceBatch._build_sync_resolver = _wait_for_job


def give_states_the_start_of_their_execution() -> None:
    """``$$.Execution.StartTime`` is an object of Python, which no state can compare or put out."""
    from moto.stepfunctions.parser.backend import execution_worker

    plain_data = execution_worker.ContextObjectData

    def context_data(**parts: Any) -> Any:
        parts["Execution"] = _without_dates(parts["Execution"])
        return plain_data(**parts)

    execution_worker.ContextObjectData = context_data


def read_fractions_of_seconds() -> None:
    """A time with milliseconds, as AWS writes it, is no time to a Choice: none is ever later."""
    from moto.stepfunctions.parser.asl.component.state.choice.comparison.operator.implementations.is_operator import (  # noqa: E501
        IsTimestamp,
    )

    def to_time(text: str) -> dt.datetime | None:
        try:
            return dt.datetime.fromisoformat(text)
        except ValueError:
            return None

    IsTimestamp.string_to_timestamp = staticmethod(to_time)


def find_nothing_at_paths_with_several_wildcards() -> None:
    """A path with a wildcard that matches nothing gives an empty list; with two it is an error."""
    from moto.stepfunctions.parser.asl.utils import json_path

    plain = json_path._contains_slice_or_wildcard_array
    json_path._contains_slice_or_wildcard_array = lambda path: "[*]" in path or plain(path)


def read_whole_percentages() -> None:
    """A tolerated percentage of failures is no number to the parser unless it has a fraction."""
    from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

    plain_parse = AmazonStateLanguageParser.parse
    whole = re.compile(r'("ToleratedFailurePercentage"\s*:\s*\d+)(?=\s*[,}])')

    def parse(definition: str) -> Any:
        return plain_parse(whole.sub(r"\1.0", definition))

    AmazonStateLanguageParser.parse = staticmethod(parse)


def _wait_for_job(
    self: Any,
    env: Any,
    resource_runtime_part: Any,
    normalised_parameters: Any,
    state_credentials: Any,
) -> Any:
    """What ``.sync`` asks again and again: the ended job, None while it runs, or its failure."""
    from moto.stepfunctions.parser.asl.utils.boto_client import boto_client_for

    client = boto_client_for(
        service="batch",
        region=resource_runtime_part.region,
        state_credentials=state_credentials,
    )
    submitted = env.stack.pop()
    job_id = submitted.get("JobId") or submitted["jobId"]

    def ended() -> dict[str, Any] | None:
        answer = client.describe_jobs(jobs=[job_id])
        status = answer["jobs"][0]["status"]
        if status not in ("SUCCEEDED", "FAILED"):
            return None
        answer.pop("ResponseMetadata", None)
        self._normalise_response(answer, service_action_name="describe_jobs")
        described: dict[str, Any] = answer["Jobs"][0]
        if status == "FAILED":
            raise _task_failed(self, env, described)
        return described

    return ended


def _operation(service: str, action: str) -> Any:
    """Botocore's description of ``submitJob`` or ``submit_job``."""
    model = _service_model(service)
    wanted = action.replace("_", "").lower()
    return next(
        model.operation_model(name) for name in model.operation_names if name.lower() == wanted
    )


@functools.cache
def _service_model(service: str) -> Any:
    import botocore.session

    return botocore.session.get_session().get_service_model(service)


def _without_dates(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_dates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_dates(item) for item in value]
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return value


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
