"""An emulated account on 127.0.0.1 whose vLLM comes up in time, and whose faults a test sets.

``python -m tests.fakes.aws_stage PORT`` serves it. Moto has no scheduler of its own: here tasks run
some time after an instance is there, and targets become healthy some time after that. POST a JSON
object of the Stage's fields to /stage to change them while it serves; GET shows them.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.emulator.process import ROOT, Emulator, free_port

ACCOUNT = "123456789012"
REGION = "us-west-2"
BUCKET = "ftm-test-data"
PROFILE = "research"
GRANTED_VCPUS = 64.0
_SERVICE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/")


@dataclass
class Stage:
    """What the account does; every field can be changed while it serves."""

    # Seconds from an instance to its task, and from the task to a healthy target.
    image_seconds: float = 0.0
    load_seconds: float = 0.0
    # What AWS says instead of giving an instance; empty gives one.
    no_capacity: str = ""
    # Services that answer as if the login had expired; "all" means every one.
    expired: list[str] = field(default_factory=list)
    # Services that throttle their next requests, and how many.
    busy: dict[str, int] = field(default_factory=dict)
    # The account that STS names instead of ours; empty for ours.
    account: str = ""
    # vCPUs that EC2's quotas grant, by code; GRANTED_VCPUS for others.
    vcpus: dict[str, float] = field(default_factory=dict)


def serve(port: int) -> None:
    """Serve until killed."""
    os.environ.pop("AWS_CA_BUNDLE", None)
    os.environ["MOTO_PORT"] = str(port)
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    from tests.emulator.patches import apply_all

    stage = Stage()
    apply_all(f"http://127.0.0.1:{port}")
    _play_scheduler(stage)
    _grant_quotas(stage)
    application = _Staged(DomainDispatcherApplication(create_backend_app), stage)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    make_server("127.0.0.1", port, application, threaded=True).serve_forever()


def _play_scheduler(stage: Stage) -> None:
    """Give moto's groups, services and target groups the behaviour of ``stage``."""
    from moto.autoscaling.models import FakeAutoScalingGroup
    from moto.autoscaling.responses import AutoScalingResponse
    from moto.core.responses import ActionResult
    from moto.ecs.models import EC2ContainerServiceBackend
    from moto.elbv2.models import ELBv2Backend, FakeHealthStatus

    plain_set = FakeAutoScalingGroup.set_desired_capacity
    plain_services = EC2ContainerServiceBackend.describe_services
    instances: dict[str, int] = {}
    since: dict[str, tuple[int, float]] = {}
    healthy_at: list[tuple[int, float]] = [(0, 0.0)]

    def set_desired_capacity(self: Any, new_capacity: int | None) -> None:
        if stage.no_capacity and new_capacity:
            self.desired_capacity = new_capacity
            activity = {
                "ActivityId": str(len(getattr(self, "refused", []))),
                "AutoScalingGroupName": self.name,
                "Cause": "a user request",
                "StartTime": dt.datetime.now(dt.UTC).isoformat(),
                "StatusCode": "Failed",
                "StatusMessage": stage.no_capacity,
            }
            # Newest first. They are kept with their group, so that a reset ends both.
            self.refused = [activity, *getattr(self, "refused", [])]
            return
        plain_set(self, new_capacity)
        instances["count"] = len(self.instance_states)

    def describe_scaling_activities(self: Any) -> ActionResult:
        name = self._get_param("AutoScalingGroupName")
        group = self.autoscaling_backend.autoscaling_groups.get(name)
        return ActionResult({"Activities": getattr(group, "refused", [])})

    def describe_services(self: Any, cluster: str, names: list[str]) -> Any:
        services, failures = plain_services(self, cluster, names)
        for service in services:
            desired, began = since.get(service.name, (-1, 0.0))
            if desired != service.desired_count:
                desired, began = service.desired_count, time.monotonic()
                since[service.name] = (desired, began)
            waited = time.monotonic() - began >= stage.image_seconds
            running = min(desired, instances.get("count", 0)) if waited else 0
            service.running_count, service.pending_count = running, desired - running
            if running != healthy_at[0][0]:
                healthy_at[0] = (running, time.monotonic() + stage.load_seconds)
        return services, failures

    def describe_target_health(self: Any, arn: str, targets: Any) -> list[FakeHealthStatus]:
        running, at = healthy_at[0]
        state = "healthy" if time.monotonic() >= at else "initial"
        return [FakeHealthStatus(f"i-{n}", "8000", "8000", state) for n in range(running)]

    FakeAutoScalingGroup.set_desired_capacity = set_desired_capacity
    AutoScalingResponse.describe_scaling_activities = describe_scaling_activities
    EC2ContainerServiceBackend.describe_services = describe_services
    ELBv2Backend.describe_target_health = describe_target_health


def _grant_quotas(stage: Stage) -> None:
    """Answer for EC2's quotas, of which moto knows none."""
    from moto.servicequotas.models import ServiceQuotasBackend

    def get_service_quota(self: Any, service_code: str, quota_code: str) -> dict[str, Any]:
        return {
            "ServiceCode": service_code,
            "QuotaCode": quota_code,
            "Value": stage.vcpus.get(quota_code, GRANTED_VCPUS),
        }

    ServiceQuotasBackend.get_service_quota = get_service_quota


class _Staged:
    """WSGI application in front of moto: the stage's own address, and its faults."""

    def __init__(self, application: Any, stage: Stage) -> None:
        self._application = application
        self._stage = stage

    def __call__(self, environ: dict[str, Any], respond: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/stage":
            return self._answer_stage(environ, respond)
        found = _SERVICE.search(environ.get("HTTP_AUTHORIZATION", ""))
        service = found.group(1) if found else ""
        if service in self._stage.expired or (service and "all" in self._stage.expired):
            return _refuse(environ, respond, "ExpiredToken", "The security token has expired", 403)
        if self._stage.busy.get(service, 0) > 0:
            self._stage.busy[service] -= 1
            return _refuse(environ, respond, "ThrottlingException", "Rate exceeded", 400)
        if service == "sts" and self._stage.account:
            body = b"".join(self._application(environ, lambda *_: None))
            body = body.replace(ACCOUNT.encode(), self._stage.account.encode())
            respond("200 OK", [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))])
            return [body]
        answer: Iterable[bytes] = self._application(environ, respond)
        return answer

    def _answer_stage(self, environ: dict[str, Any], respond: Callable[..., Any]) -> list[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if length:
            for name, value in json.loads(environ["wsgi.input"].read(length)).items():
                setattr(self._stage, name, value)
        body = json.dumps(asdict(self._stage)).encode()
        respond(
            "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        )
        return [body]


def _refuse(
    environ: dict[str, Any], respond: Callable[..., Any], code: str, message: str, status: int
) -> list[bytes]:
    """An error in the form of the protocol that the request speaks."""
    if "HTTP_X_AMZ_TARGET" in environ:
        body = json.dumps({"__type": code, "message": message}).encode()
        kind = "application/x-amz-json-1.0"
    else:
        error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        body = f"<ErrorResponse>{error}</ErrorResponse>".encode()
        kind = "text/xml"
        if "/s3/" in environ.get("HTTP_AUTHORIZATION", ""):
            body = error.encode()
    respond(f"{status} Refused", [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


@dataclass(frozen=True)
class RunningStage(Emulator):
    """A stage that serves, and what is deployed on it."""

    def set(self, **fields: Any) -> None:
        """Change fields of the stage."""
        request = urllib.request.Request(
            f"{self.url}/stage", data=json.dumps(fields).encode(), method="POST"
        )
        urllib.request.urlopen(request, timeout=10).read()

    def reset(self) -> None:
        """A fault-free stage with nothing deployed and no data."""
        self.set(**asdict(Stage()))
        request = urllib.request.Request(f"{self.url}/moto-api/reset", data=b"", method="POST")
        urllib.request.urlopen(request, timeout=30).read()

    def desired_counts(self) -> tuple[int, int]:
        """Desired instances and desired tasks of vLLM."""
        groups = self.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        service = self.client("ecs").describe_services(
            cluster="ftm-vllm-cluster", services=["ftm-vllm-service"]
        )["services"][0]
        return groups[0]["DesiredCapacity"], service["desiredCount"]

    def deploy_vllm(self) -> None:
        """What the ecs module makes, as far as the commands read it."""
        ec2, balancer, ecs = self.client("ec2"), self.client("elbv2"), self.client("ecs")
        vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        image = _first_image(self)
        ec2.create_launch_template(
            LaunchTemplateName="ftm-vllm",
            LaunchTemplateData={"ImageId": image, "InstanceType": "g5.xlarge"},
        )
        self.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName="ftm-vllm-asg",
            MinSize=0,
            MaxSize=2,
            DesiredCapacity=0,
            LaunchTemplate={"LaunchTemplateName": "ftm-vllm", "Version": "$Latest"},
            AvailabilityZones=[f"{REGION}a"],
        )
        target_group = balancer.create_target_group(
            Name="ftm-vllm", Protocol="HTTP", Port=8000, VpcId=vpc
        )["TargetGroups"][0]["TargetGroupArn"]
        ecs.create_cluster(clusterName="ftm-vllm-cluster")
        container = {"name": "vllm", "image": "vllm", "memory": 1024}
        ecs.register_task_definition(family="ftm-vllm", containerDefinitions=[container])
        ecs.create_service(
            cluster="ftm-vllm-cluster",
            serviceName="ftm-vllm-service",
            taskDefinition="ftm-vllm",
            desiredCount=0,
            launchType="EC2",
            loadBalancers=[
                {"targetGroupArn": target_group, "containerName": "vllm", "containerPort": 8000}
            ],
        )
        self.client("logs").create_log_group(logGroupName="/ecs/ftm-vllm")

    def deploy_state_machine(self, states: dict[str, Any], name: str = "") -> None:
        """A state machine of our name with the given states; the first begins."""
        self.client("stepfunctions").create_state_machine(
            name=name or "ftm-quarter-processor",
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/ftm-states",
            definition=json.dumps({"StartAt": next(iter(states)), "States": states}),
        )

    def fill_bucket(self, quarter: str = "2023Q1", firms: int = 5) -> None:
        """The data bucket with a quarter's manifest."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        manifest = {
            "quarter": quarter,
            "source": "made up",
            "source_sha256": "0" * 64,
            "n_firms": firms,
            "n_calls": firms,
            "n_sentences": 10 * firms,
            "n_rejected_rows": 0,
            "n_firms_without_permno": 0,
            "chunks": [],
            "firm_to_chunk": {f"F{n}": 0 for n in range(firms)},
            "created": "2026-01-01T00:00:00+00:00",
        }
        key = f"prefetch/transcripts/quarter={quarter}/manifest.json"
        s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(manifest).encode())

    def project(self, folder: Path, *, pinned: bool = True) -> dict[str, str]:
        """Make ``folder`` a project of this account; returns the environment of its commands."""
        credentials = folder / "credentials"
        credentials.write_text(
            f"[{PROFILE}]\naws_access_key_id = emulated\naws_secret_access_key = emulated\n",
            encoding="utf-8",
        )
        lines = [f'[aws.deploy]\ns3_bucket_name = "{BUCKET}"\n']
        if pinned:
            pin = f'profile = "{PROFILE}"\naccount_id = "{ACCOUNT}"\nregion = "{REGION}"\n'
            lines.insert(0, f"[aws]\n{pin}\n")
        (folder / "ftm.toml").write_text("".join(lines), encoding="utf-8")
        environment = self.environment | {
            "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
            "FTM_POLL_SECONDS": "0.1",
            "COLUMNS": "120",
            "NO_COLOR": "1",
        }
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
            environment.pop(name, None)
        environment.pop("AWS_DEFAULT_REGION", None)
        return environment


@functools.cache
def _first_image(stage: RunningStage) -> str:
    """An image to launch; asked for once, as moto takes seconds to list what it always has."""
    image: str = stage.client("ec2").describe_images()["Images"][0]["ImageId"]
    return image


@contextlib.contextmanager
def running_stage(log: Path) -> Iterator[RunningStage]:
    """A stage as a process of its own, ended with the block."""
    port = free_port()
    stage = RunningStage(f"http://127.0.0.1:{port}")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.aws_stage", str(port)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + 90
            while True:
                with contextlib.suppress(urllib.error.URLError, OSError):
                    urllib.request.urlopen(f"{stage.url}/stage", timeout=2).read()
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the stage is not up: {log.read_text()[-2000:]}")
                time.sleep(0.2)
            yield stage
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
