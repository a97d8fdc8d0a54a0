"""IAM as AWS evaluates it, for calls that are signed by a role: action, resource and conditions.

Moto's own enforcement compares no resource outside S3 and knows no ``s3:prefix``, so that it would
refuse what our policies allow. This gate stands before moto. State machines, jobs and whoever else
is given ``credentials_of`` a role may do what the role's policies in the emulated IAM allow, and
nothing else; an unknown action is refused. Calls of others pass: they play the operator.

``POST /iam-gate`` with ``{"without": ["ROLE ACTION"]}`` takes single permissions away while it
serves; ``GET`` shows them, and every call that was refused.
"""

from __future__ import annotations

import fnmatch
import io
import json
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterable
from typing import Any
from uuid import uuid4

_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/")
_ACCOUNT = "123456789012"
Environ = dict[str, Any]
Respond = Callable[..., Any]

_roles_by_key: dict[str, str] = {}
_issuing = threading.Lock()


def credentials_of(role_arn: str) -> dict[str, str]:
    """Credentials that make a client act as a role."""
    name = role_arn.rsplit("/", 1)[-1]
    with _issuing:
        known = next((key for key, role in _roles_by_key.items() if role == name), None)
        key = known or f"ASIAROLE{len(_roles_by_key):012d}"
        _roles_by_key[key] = name
    return {"aws_access_key_id": key, "aws_secret_access_key": "emulated"}


class IamGate:
    """WSGI application in front of moto's."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._without: set[tuple[str, str]] = set()
        self._refused: list[str] = []

    def __call__(self, environ: Environ, respond: Respond) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/iam-gate":
            return self._answer_control(environ, respond)
        found = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        role = _roles_by_key.get(found.group(1)) if found else None
        if found and role is not None:
            for action, resource, context in _asked(found.group(3), found.group(2), environ):
                if not self._allows(role, action, resource, context):
                    self._refused.append(f"{role} {action} {resource}")
                    return _refuse(environ, respond, role, action, resource)
        answer: Iterable[bytes] = self._application(environ, respond)
        return answer

    def _allows(self, role: str, action: str, resource: str, context: dict[str, str]) -> bool:
        if (role, action) in self._without:
            return False
        return any(
            statement["Effect"] == "Allow"
            and any(_like(pattern, action) for pattern in _listed(statement["Action"]))
            and any(_like(pattern, resource) for pattern in _listed(statement["Resource"]))
            and _meets(statement.get("Condition", {}), context)
            for statement in _statements_of(role)
        )

    def _answer_control(self, environ: Environ, respond: Respond) -> list[bytes]:
        body = _body(environ)
        if body:
            self._without = {tuple(item.split(" ")) for item in json.loads(body)["without"]}  # type: ignore[misc]
            self._refused.clear()
        answer = json.dumps(
            {"without": [" ".join(pair) for pair in self._without], "refused": self._refused}
        ).encode()
        respond(
            "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
        )
        return [answer]


def _statements_of(role: str) -> list[dict[str, Any]]:
    """All statements of a role's inline policies, as the emulated IAM holds them."""
    from moto.iam.models import iam_backends

    backend = iam_backends[_ACCOUNT]["aws"]
    found: list[dict[str, Any]] = []
    for name in backend.list_role_policies(role):
        _, text = backend.get_role_policy(role, name)
        found += json.loads(urllib.parse.unquote(text) if text.startswith("%7B") else text)[
            "Statement"
        ]
    return found


def _asked(service: str, region: str, environ: Environ) -> list[tuple[str, str, dict[str, str]]]:
    """Actions of a request, each with its resource and what conditions may look at."""
    body = _body(environ)
    query = {
        name: values[0]
        for name, values in urllib.parse.parse_qs(
            environ.get("QUERY_STRING", ""), keep_blank_values=True
        ).items()
    }
    if service == "s3":
        return _asked_of_s3(environ, query, body)
    arn = f"arn:aws:{service}:{region}:{_ACCOUNT}"
    if service == "batch":
        return _asked_of_batch(environ["PATH_INFO"], json.loads(body or b"{}"), arn)
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        action = target.rpartition(".")[2]
        given = json.loads(body or b"{}")
    else:
        given = {n: v[0] for n, v in urllib.parse.parse_qs(body.decode()).items()} | query
        action = given.get("Action", "")
    return [(f"{service}:{action}", resource, {}) for resource in _resources(action, given, arn)]


def _asked_of_s3(
    environ: Environ, query: dict[str, str], body: bytes
) -> list[tuple[str, str, dict[str, str]]]:
    bucket, _, key = urllib.parse.unquote(environ["PATH_INFO"]).lstrip("/").partition("/")
    method, arn = environ["REQUEST_METHOD"], f"arn:aws:s3:::{bucket}"
    if not key:
        if method == "POST" and "delete" in query:
            keys = re.findall(r"<Key>(.*?)</Key>", body.decode())
            return [("s3:DeleteObject", f"{arn}/{name}", {}) for name in keys]
        if method in ("GET", "HEAD"):
            return [("s3:ListBucket", arn, {"s3:prefix": query.get("prefix", "")})]
        return [("s3:Unknown", arn, {})]
    actions = {
        "GET": "s3:GetObject",
        "HEAD": "s3:GetObject",
        "PUT": "s3:PutObject",
        "POST": "s3:PutObject",
        "DELETE": "s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject",
    }
    return [(actions[method], f"{arn}/{key}", {})]


def _asked_of_batch(
    path: str, given: dict[str, Any], arn: str
) -> list[tuple[str, str, dict[str, str]]]:
    action = path.rpartition("/")[2].lower()
    if action == "submitjob":
        # AWS asks for the queue and for the definition, and refuses unless both are allowed.
        names = (("job-queue", given["jobQueue"]), ("job-definition", given["jobDefinition"]))
        return [
            ("batch:SubmitJob", name if name.startswith("arn:") else f"{arn}:{kind}/{name}", {})
            for kind, name in names
        ]
    if action == "terminatejob":
        return [("batch:TerminateJob", f"{arn}:job/{given['jobId']}", {})]
    known = {"describejobs": "DescribeJobs", "listjobs": "ListJobs"}
    return [(f"batch:{known.get(action, action)}", "*", {})]


def _resources(action: str, given: dict[str, Any], arn: str) -> list[str]:
    """Resources of the calls that our state machines make; "*" where AWS knows none."""
    for name in ("stateMachineArn", "executionArn", "TopicArn"):
        if name in given:
            return [str(given[name])]
    if action == "SetDesiredCapacity":
        name = given["AutoScalingGroupName"]
        return [f"{arn}:autoScalingGroup:00000000:autoScalingGroupName/{name}"]
    cluster = str(given.get("cluster", "")).rpartition("/")[2]
    if action == "UpdateService":
        return [f"{arn}:service/{cluster}/{given['service']}"]
    if action == "DescribeServices":
        return [f"{arn}:service/{cluster}/{name}" for name in given["services"]]
    return ["*"]


def _meets(conditions: dict[str, dict[str, Any]], context: dict[str, str]) -> bool:
    for operator, wanted in conditions.items():
        for name, patterns in wanted.items():
            value = context.get(name)
            if value is None:
                return False
            if operator == "StringLike":
                met = any(_like(pattern, value) for pattern in _listed(patterns))
            elif operator == "StringEquals":
                met = value in _listed(patterns)
            else:
                raise ValueError(f"the gate does not know the condition {operator}")
            if not met:
                return False
    return True


def _like(pattern: str, value: str) -> bool:
    # Brackets are literal in IAM's patterns.
    return fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _body(environ: Environ) -> bytes:
    """The request's body, left in place for whoever reads it next."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _refuse(
    environ: Environ, respond: Respond, role: str, action: str, resource: str
) -> list[bytes]:
    """Access denied, in the form of the protocol that the request speaks.

    As from AWS, each refusal has a request ID, which state machines put into a failure's cause.
    """
    request_id = str(uuid4())
    message = f"assumed-role/{role} is not authorized to perform: {action} on resource: {resource}"
    if "HTTP_X_AMZ_TARGET" in environ or action.startswith("batch:"):
        body = json.dumps({"__type": "AccessDeniedException", "message": message}).encode()
        kind = "application/json"
    else:
        told = f"<Code>AccessDenied</Code><Message>{message}</Message>"
        identified = f"<RequestId>{request_id}</RequestId>"
        body = (
            f"<Error>{told}{identified}</Error>"
            if action.startswith("s3:")
            else f"<ErrorResponse><Error>{told}</Error>{identified}</ErrorResponse>"
        ).encode()
        kind = "text/xml"
    headers = [
        ("Content-Type", kind),
        ("Content-Length", str(len(body))),
        ("x-amzn-ErrorType", "AccessDeniedException"),
        ("x-amzn-RequestId", request_id),
    ]
    respond("403 Forbidden", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
