"""What a request asks of IAM: its actions, each with resource and what conditions may inspect.

Resources are those that AWS documents for the actions of ftm: of state machines, jobs, the switch,
and the operator with Terraform. Where an action knows no resources it is "*". Where the request
names its resource by an id that only AWS resolves, any resource of a statement fits.
"""

from __future__ import annotations

import functools
import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ACCOUNT = "123456789012"
# A resource that the request does not name in a way that could be compared.
AnyResource = "(a resource that the request does not name)"

# Services by the name that signs their requests, where policies call them otherwise.
_PREFIXES = {"monitoring": "cloudwatch"}
_BOTO_NAMES = {"elasticfilesystem": "efs", "scheduler": "scheduler", "batch": "batch"}
# Who is handed a role by a request to this service.
_PASSED_TO = {
    "batch": "batch.amazonaws.com",
    "ecs": "ecs-tasks.amazonaws.com",
    "autoscaling": "ec2.amazonaws.com",
    "states": "states.amazonaws.com",
    "events": "events.amazonaws.com",
    "scheduler": "scheduler.amazonaws.com",
}
# In a job definition: roles of ECS tasks.
_TASK_ROLES = ("jobRoleArn", "executionRoleArn", "taskRoleArn")
_ROLE = re.compile(r"arn:aws:iam::\d+:role/(?!aws-service-role/)[^\"/]+$")
_PROFILE = re.compile(r"arn:aws:iam::\d+:instance-profile/([^\"/]+)$")

# By service: parameters that name a resource, the most specific first, and how its ARN continues.
_NAMED: dict[str, tuple[tuple[str, str], ...]] = {
    "autoscaling": (
        ("AutoScalingGroupName", "autoScalingGroup:00000000:autoScalingGroupName/{}"),
        ("Tags.member.1.ResourceId", "autoScalingGroup:00000000:autoScalingGroupName/{}"),
    ),
    "batch": (
        ("computeEnvironmentName", "compute-environment/{}"),
        ("computeEnvironment", "compute-environment/{}"),
        ("jobQueueName", "job-queue/{}"),
        ("jobQueue", "job-queue/{}"),
        ("jobDefinitionName", "job-definition/{}"),
        ("jobDefinition", "job-definition/{}"),
        ("jobId", "job/{}"),
    ),
    "cloudwatch": (("AlarmName", "alarm:{}"),),
    "ecr": (("repositoryName", "repository/{}"),),
    "elasticloadbalancing": (),
    "events": (("Rule", "rule/{}"), ("Name", "rule/{}")),
    "glue": (),
    "iam": (("RoleName", "role/{}"), ("InstanceProfileName", "instance-profile/{}")),
    "logs": (("logGroupName", "log-group:{}"),),
    "scheduler": (("Name", "schedule/default/{}"),),
    "secretsmanager": (("SecretId", "secret:{}-AbCdEf"), ("Name", "secret:{}-AbCdEf")),
    "sns": (("Name", "{}"),),
    "ssm": (("Name", "parameter{}"),),
    "states": (("name", "stateMachine:{}"),),
}
# Parameters that hold the ARN of what is called for.
_ARNS = (
    "stateMachineArn",
    "executionArn",
    "mapRunArn",
    "TopicArn",
    "ResourceArn",
    "resourceArn",
    "ResourceARN",
    "LoadBalancerArn",
    "TargetGroupArn",
    "ListenerArn",
    "jobQueue",
    "jobDefinition",
    "SecretId",
)
# Actions that know no resources, beside those that begin with Describe or List.
_WITHOUT_RESOURCE = re.compile(
    r"batch:(Describe|List)|autoscaling:Describe|elasticloadbalancing:Describe|ec2:Describe|"
    r"ecs:(RegisterTaskDefinition|DeregisterTaskDefinition|DescribeTaskDefinition|"
    r"ListTaskDefinitions|CreateCluster|ListClusters)|ecr:GetAuthorizationToken|"
    r"logs:DescribeLogGroups|ssm:DescribeParameters|states:(ListStateMachines|"
    r"ValidateStateMachineDefinition)|servicequotas:|elasticfilesystem:|ec2:|"
    r"cloudwatch:DescribeAlarms|sns:ListTopics|sts:"
)


@dataclass(frozen=True)
class Asked:
    """One permission that a request needs."""

    action: str
    resource: str
    context: dict[str, str] = field(default_factory=dict)
    # How the service speaks: json, query, ec2 or s3.
    protocol: str = "json"


def read_call(service: str, region: str, environ: Mapping[str, Any], body: bytes) -> list[Asked]:
    """All permissions that a request needs."""
    query = {
        name: values[0]
        for name, values in urllib.parse.parse_qs(
            environ.get("QUERY_STRING", ""), keep_blank_values=True
        ).items()
    }
    context = {"aws:RequestedRegion": region}
    if service == "s3":
        return _asked_of_s3(environ, query, body, context)
    action, given, protocol = _parsed(service, environ, query, body)
    prefix = _PREFIXES.get(service, service)
    if f"{prefix}:{action}" == "sts:GetCallerIdentity":
        # Whoever has credentials may ask whose they are.
        return []
    if action == "CreateServiceLinkedRole":
        context["iam:AWSServiceName"] = str(given["AWSServiceName"])
    asked = [
        Asked(f"{prefix}:{action}", resource, context, protocol)
        for resource in _resources(prefix, action, given, f"arn:aws:{prefix}:{region}:{ACCOUNT}")
    ]
    for role, receiver in _roles_handed_over(prefix, action, given):
        passed = context | {"iam:PassedToService": receiver}
        asked.append(Asked("iam:PassRole", role, passed, protocol))
    return asked


def _parsed(
    service: str, environ: Mapping[str, Any], query: dict[str, str], body: bytes
) -> tuple[str, dict[str, Any], str]:
    """Action, parameters and protocol of a request."""
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return target.rpartition(".")[2], json.loads(body or b"{}"), "json"
    if service in _BOTO_NAMES:
        action, named = _rest_operation(service, environ["REQUEST_METHOD"], environ["PATH_INFO"])
        return action, (json.loads(body or b"{}") | query | named), "json"
    given = {name: values[0] for name, values in urllib.parse.parse_qs(body.decode()).items()}
    given |= query
    return given.get("Action", ""), given, "ec2" if service == "ec2" else "query"


@functools.cache
def _rest_operations(service: str) -> list[tuple[str, re.Pattern[str], str]]:
    """Method, pattern of the path, and name of each operation; the most literal path first."""
    import botocore.session

    model = botocore.session.get_session().get_service_model(_BOTO_NAMES[service])
    found = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        path = http["requestUri"].partition("?")[0].rstrip("/")
        pattern = re.sub(r"\\{(\w+)(\\\+)?\\}", r"(?P<\1>.+)", re.escape(path))
        literal = len(re.sub(r"{.*?}", "", path))
        found.append((literal, http["method"], re.compile(pattern), name))
    found.sort(key=lambda item: -item[0])
    return [(method, pattern, name) for _, method, pattern, name in found]


def _rest_operation(service: str, method: str, path: str) -> tuple[str, dict[str, str]]:
    for its_method, pattern, name in _rest_operations(service):
        if its_method == method and (found := pattern.fullmatch(path.rstrip("/"))):
            named = {key: urllib.parse.unquote(value) for key, value in found.groupdict().items()}
            return name, named
    return "Unknown", {}


def _asked_of_s3(
    environ: Mapping[str, Any], query: dict[str, str], body: bytes, context: dict[str, str]
) -> list[Asked]:
    bucket, _, key = urllib.parse.unquote(environ["PATH_INFO"]).lstrip("/").partition("/")
    method, arn = environ["REQUEST_METHOD"], f"arn:aws:s3:::{bucket}"
    if not key:
        if method == "POST" and "delete" in query:
            keys = re.findall(r"<Key>(.*?)</Key>", body.decode())
            return [Asked("s3:DeleteObject", f"{arn}/{name}", context, "s3") for name in keys]
        if method == "GET" and "location" in query:
            return [Asked("s3:GetBucketLocation", arn, context, "s3")]
        if method in ("GET", "HEAD"):
            listed = context | {"s3:prefix": query.get("prefix", "")}
            return [Asked("s3:ListBucket", arn, listed, "s3")]
        return [Asked("s3:Unknown", arn, context, "s3")]
    actions = {
        "GET": "s3:GetObject",
        "HEAD": "s3:GetObject",
        "PUT": "s3:PutObject",
        "POST": "s3:PutObject",
        "DELETE": "s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject",
    }
    return [Asked(actions[method], f"{arn}/{key}", context, "s3")]


def _resources(prefix: str, action: str, given: Mapping[str, Any], arn: str) -> list[str]:
    """ARNs of what a request is about."""
    if action == "SubmitJob":
        # AWS asks for the queue and for the definition, and refuses unless both are allowed.
        names = (("job-queue", given["jobQueue"]), ("job-definition", given["jobDefinition"]))
        return [name if name.startswith("arn:") else f"{arn}:{kind}/{name}" for kind, name in names]
    if prefix == "iam":
        arn = f"arn:aws:iam::{ACCOUNT}"
        if action == "CreateServiceLinkedRole":
            service = given["AWSServiceName"]
            return [f"{arn}:role/aws-service-role/{service}/AWSServiceRole"]
    if _WITHOUT_RESOURCE.match(f"{prefix}:{action}"):
        return ["*"]
    if prefix == "ecs":
        return _of_ecs(given, arn)
    if prefix == "glue" and "ResourceArn" not in given:
        database = given.get("DatabaseName") or given.get("Name")
        database = database or given.get("DatabaseInput", {}).get("Name", "*")
        table = given.get("TableInput", {}).get("Name") or (
            given.get("Name") if "DatabaseName" in given else None
        )
        found = [f"{arn}:catalog", f"{arn}:database/{database}"]
        return found + ([f"{arn}:table/{database}/{table}"] if table else [])
    if prefix == "ssm" and (names := given.get("Names")):
        return [_parameter(arn, name) for name in names]
    for name in _ARNS:
        if str(given.get(name, "")).startswith("arn:"):
            return [str(given[name])]
    for name, rest in _NAMED.get(prefix, ()):
        if value := given.get(name):
            value = str(value)
            if value.startswith("arn:"):
                return [value]
            return [_parameter(arn, value) if prefix == "ssm" else f"{arn}:{rest.format(value)}"]
    if prefix == "states" and action.startswith("List"):
        return ["*"]
    return [AnyResource]


def _parameter(arn: str, name: str) -> str:
    # Public parameters are of no account.
    owner = arn.replace(f":{ACCOUNT}", ":") if name.startswith("/aws/service/") else arn
    return f"{owner}:parameter{name}"


def _of_ecs(given: Mapping[str, Any], arn: str) -> list[str]:
    cluster = str(given.get("cluster") or given.get("clusterName") or "default").rpartition("/")[2]
    for name in ("service", "serviceName"):
        if name in given:
            return [f"{arn}:service/{cluster}/{str(given[name]).rpartition('/')[2]}"]
    if "services" in given:
        return [f"{arn}:service/{cluster}/{name.rpartition('/')[2]}" for name in given["services"]]
    if "tasks" in given:
        return [f"{arn}:task/{cluster}/{name.rpartition('/')[2]}" for name in given["tasks"]]
    if "resourceArn" in given:
        return [given["resourceArn"]]
    if "clusters" in given:
        return [f"{arn}:cluster/{name.rpartition('/')[2]}" for name in given["clusters"]]
    return [f"{arn}:cluster/{cluster}"]


def _roles_handed_over(
    prefix: str, action: str, given: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Roles that a request gives to a service, which takes ``iam:PassRole``, and to which one."""
    if prefix not in _PASSED_TO or not re.match(r"Create|Update|Register|Put", action):
        return
    for name, value in _texts(given):
        if _ROLE.match(value):
            is_task = prefix == "batch" and name in _TASK_ROLES
            yield value, _PASSED_TO["ecs"] if is_task else _PASSED_TO[prefix]
        elif found := _PROFILE.match(value):
            from moto.iam.models import iam_backends

            profile = iam_backends[ACCOUNT]["aws"].get_instance_profile(found.group(1))
            for role in profile.roles:
                yield role.arn, "ec2.amazonaws.com"


def _texts(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, name)
    elif isinstance(value, str):
        yield name, value
