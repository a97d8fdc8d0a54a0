"""IAM as AWS evaluates it, for calls that are signed by a role: action, resource and conditions.

Moto's own enforcement compares no resource outside S3 and knows no ``s3:prefix``, so that it would
refuse what our policies allow. This gate stands before moto. State machines, jobs and whoever else
has credentials of a role may do what the role's policies in the emulated IAM allow, and nothing
else; an unknown action is refused. Calls of others pass: they play the administrator.

``POST /iam-gate`` with ``{"without": ["ROLE ACTION"]}`` takes single permissions away while it
serves, ``{"act_as": "ROLE"}`` gives credentials of a role. ``GET`` shows what is taken away, and
every call that was refused.
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

from tests.emulator.iam_calls import ACCOUNT, AnyResource, Asked, read_call

_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/")
Environ = dict[str, Any]
Respond = Callable[..., Any]

_roles_by_key: dict[str, str] = {}
_issuing = threading.Lock()


def credentials_of(role_arn: str) -> dict[str, str]:
    """Credentials that make a client act as a role, which is given by its ARN or name."""
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
            statements = _statements_of(role)
            body = _body(environ)
            for asked in read_call(found.group(3), found.group(2), environ, body):
                removed = (role, asked.action) in self._without
                if removed or not _allows(statements, asked):
                    self._refused.append(f"{role} {asked.action} {asked.resource}")
                    return _refuse(environ, respond, role, asked)
        answer: Iterable[bytes] = self._application(environ, respond)
        return answer

    def _answer_control(self, environ: Environ, respond: Respond) -> list[bytes]:
        body = _body(environ)
        order = json.loads(body) if body else {}
        if "act_as" in order:
            return _send_json(respond, credentials_of(order["act_as"]))
        if "without" in order:
            self._without = {tuple(item.split(" ")) for item in order["without"]}  # type: ignore[misc]
            self._refused.clear()
        without = [" ".join(pair) for pair in self._without]
        return _send_json(respond, {"without": without, "refused": self._refused})


def _allows(statements: list[dict[str, Any]], asked: Asked) -> bool:
    return any(
        statement["Effect"] == "Allow"
        and any(
            _like(pattern, asked.action, case=False) for pattern in _listed(statement["Action"])
        )
        and (
            asked.resource is AnyResource
            or any(_like(pattern, asked.resource) for pattern in _listed(statement["Resource"]))
        )
        and _meets(statement.get("Condition", {}), asked.context)
        for statement in statements
    )


def _statements_of(role: str) -> list[dict[str, Any]]:
    """All statements of a role's inline and attached policies, as the emulated IAM holds them."""
    from moto.iam.models import iam_backends

    backend = iam_backends[ACCOUNT]["aws"]
    texts = [backend.get_role_policy(role, name)[1] for name in backend.list_role_policies(role)]
    for arn in backend.get_role(role).managed_policies:
        versions = backend.managed_policies[arn].versions
        texts += [version.document for version in versions if version.is_default]
    found: list[dict[str, Any]] = []
    for text in texts:
        found += json.loads(urllib.parse.unquote(text) if text.startswith("%7B") else text)[
            "Statement"
        ]
    return found


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


def _like(pattern: str, value: str, *, case: bool = True) -> bool:
    # Brackets are literal in IAM's patterns. Actions are compared without regard to case.
    pattern = pattern.replace("[", "[[]")
    if not case:
        pattern, value = pattern.lower(), value.lower()
    return fnmatch.fnmatchcase(value, pattern)


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _body(environ: Environ) -> bytes:
    """The request's body, left in place for whoever reads it next."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _send_json(respond: Respond, answer: Any) -> list[bytes]:
    body = json.dumps(answer).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    respond("200 OK", headers)
    return [body]


def _refuse(environ: Environ, respond: Respond, role: str, asked: Asked) -> list[bytes]:
    """Access denied, in the form of the protocol that the request speaks.

    As from AWS, each refusal has a request ID, which state machines put into a failure's cause.
    """
    request_id = str(uuid4())
    message = (
        f"assumed-role/{role} is not authorized to perform: {asked.action} "
        f"on resource: {asked.resource}"
    )
    code, status, reported = "AccessDeniedException", "403 Forbidden", message
    if asked.protocol == "json":
        body = json.dumps({"__type": code, "message": reported}).encode()
        kind = "application/json"
    else:
        error = f"<Code>AccessDenied</Code><Message>{reported}</Message>"
        identified = f"<RequestId>{request_id}</RequestId>"
        text = {
            "s3": f"<Error>{error}{identified}</Error>",
            "ec2": (
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code>"
                f"<Message>{reported}</Message></Error></Errors>"
                f"<RequestID>{request_id}</RequestID></Response>"
            ),
        }.get(asked.protocol, f"<ErrorResponse><Error>{error}</Error>{identified}</ErrorResponse>")
        body, kind = text.encode(), "text/xml"
    headers = [
        ("Content-Type", kind),
        ("Content-Length", str(len(body))),
        ("x-amzn-ErrorType", code),
        ("x-amzn-RequestId", request_id),
    ]
    respond(status, headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
