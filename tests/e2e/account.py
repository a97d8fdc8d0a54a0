"""The emulated account as the end-to-end test sees it: what is there, jobs, runs and messages."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from ftm_core.storage.s3 import S3Storage, client_config
from tests.emulator.process import REGION, Emulator
from tests.fakes.chaos_llm import Entry

ACCOUNT = "123456789012"
BUCKET = "ftm-test-data"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
# What AWS itself keeps for Batch, and the emulator for what jobs print.
_NOT_OURS = {"iam AWSServiceRoleForbatch", "logs /aws/batch/job"}

# Everything that costs or is in the way: service, call, its arguments, list, name in an item.
_KINDS: tuple[tuple[str, str, dict[str, Any], str, str], ...] = (
    (
        "autoscaling",
        "describe_auto_scaling_groups",
        {},
        "AutoScalingGroups",
        "AutoScalingGroupName",
    ),
    ("batch", "describe_compute_environments", {}, "computeEnvironments", "computeEnvironmentName"),
    (
        "batch",
        "describe_job_definitions",
        {"status": "ACTIVE"},
        "jobDefinitions",
        "jobDefinitionName",
    ),
    ("batch", "describe_job_queues", {}, "jobQueues", "jobQueueName"),
    ("ec2", "describe_launch_templates", {}, "LaunchTemplates", "LaunchTemplateName"),
    ("ec2", "describe_security_groups", {}, "SecurityGroups", "GroupName"),
    ("ecr", "describe_repositories", {}, "repositories", "repositoryName"),
    ("ecs", "list_task_definitions", {"status": "ACTIVE"}, "taskDefinitionArns", ""),
    ("efs", "describe_file_systems", {}, "FileSystems", "FileSystemId"),
    ("elbv2", "describe_load_balancers", {}, "LoadBalancers", "LoadBalancerName"),
    ("elbv2", "describe_target_groups", {}, "TargetGroups", "TargetGroupName"),
    ("events", "list_rules", {}, "Rules", "Name"),
    ("glue", "get_databases", {}, "DatabaseList", "Name"),
    ("iam", "list_instance_profiles", {}, "InstanceProfiles", "InstanceProfileName"),
    ("iam", "list_policies", {"Scope": "Local"}, "Policies", "PolicyName"),
    ("iam", "list_roles", {}, "Roles", "RoleName"),
    ("logs", "describe_log_groups", {}, "logGroups", "logGroupName"),
    ("scheduler", "list_schedules", {}, "Schedules", "Name"),
    ("secretsmanager", "list_secrets", {}, "SecretList", "Name"),
    ("sns", "list_topics", {}, "Topics", "TopicArn"),
    ("ssm", "describe_parameters", {}, "Parameters", "Name"),
    ("stepfunctions", "list_state_machines", {}, "stateMachines", "name"),
)


@dataclass(frozen=True)
class Job:
    """One ended Batch job."""

    name: str
    exit_code: int | None
    started: float
    stopped: float


@dataclass(frozen=True)
class Message:
    """One notification."""

    subject: str
    text: str


class Account:
    """The account behind a running emulator."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.client = emulator.client
        self._mailbox = ""

    def make_bucket(self) -> S3Storage:
        """The data bucket, which exists before a deploy and outlives a destroy."""
        location: Any = {"LocationConstraint": REGION}
        self.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
        return self.storage()

    def storage(self) -> S3Storage:
        """The data bucket, through a client as production makes it."""
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=self.emulator.url,
            region_name=REGION,
            aws_access_key_id="emulated",
            aws_secret_access_key="emulated",
            config=client_config(),
        )
        return S3Storage(client, BUCKET)

    def inventory(self) -> set[str]:
        """Service and name of everything there, but the bucket."""
        found = set()
        for service, call, arguments, items, name in _KINDS:
            answer = getattr(self.client(service), call)(**arguments)
            found |= {f"{service} {item[name] if name else item}" for item in answer[items]}
        # A deleted cluster stays in the list for a time, as INACTIVE.
        ecs = self.client("ecs")
        listed = ecs.list_clusters()["clusterArns"]
        clusters = ecs.describe_clusters(clusters=listed)["clusters"] if listed else []
        found |= {f"ecs {item['clusterArn']}" for item in clusters if item["status"] == "ACTIVE"}
        return {item for item in found - _NOT_OURS if not item.startswith("ssm /aws/")}

    def open_mailbox(self, topic: str) -> None:
        """Subscribe to a topic, to count notifications."""
        queue = self.client("sqs").create_queue(QueueName="mailbox")["QueueUrl"]
        self.client("sns").subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:mailbox"
        )
        self._mailbox = queue

    def empty_mailbox(self) -> list[Message]:
        """All messages since the last time."""
        mailbox, found = self.client("sqs"), []
        while received := mailbox.receive_message(
            QueueUrl=self._mailbox, MaxNumberOfMessages=10
        ).get("Messages"):
            for item in received:
                body = json.loads(item["Body"])
                found.append(Message(body["Subject"], body["Message"]))
                mailbox.delete_message(QueueUrl=self._mailbox, ReceiptHandle=item["ReceiptHandle"])
        return found

    def jobs_of(self, execution: str, queue: str) -> list[Job]:
        """Jobs that an execution submitted, in the order in which they began."""
        batch, found = self.client("batch"), []
        listed = [
            item["jobId"]
            for status in ("SUCCEEDED", "FAILED", "RUNNING")
            for item in batch.list_jobs(jobQueue=queue, jobStatus=status)["jobSummaryList"]
        ]
        for job in batch.describe_jobs(jobs=listed)["jobs"] if listed else ():
            given = {pair["name"]: pair["value"] for pair in job["container"]["environment"]}
            if given.get("RUN_NAME") == execution:
                found.append(
                    Job(
                        job["jobName"],
                        job["container"].get("exitCode"),
                        job["startedAt"] / 1000,
                        job.get("stoppedAt", 0) / 1000,
                    )
                )
        return sorted(found, key=lambda job: job.started)

    def job_logs(self) -> str:
        """What all jobs so far have printed, job by job."""
        logs, group, parts = self.client("logs"), "/aws/batch/job", []
        if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            return "no job ran"
        for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]:
            name = stream["logStreamName"]
            events = logs.get_log_events(logGroupName=group, logStreamName=name)["events"]
            parts += [f"--- {name}", *(event["message"] for event in events)]
        return "\n".join(parts)

    def ship_llm_log(self, entries: list[Entry]) -> None:
        """Put what the LLM answered where the log driver of vLLM's task would, in vLLM's words."""
        logs, group, stream = self.client("logs"), "/ecs/ftm-vllm", "vllm/vllm/1"
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        line = 'INFO:     127.0.0.1:0 - "POST /v1/chat/completions HTTP/1.1" 200 OK'
        events: Any = [
            {"timestamp": int(entry.at * 1000), "message": line}
            # Answers that end at the same time are noted in either order.
            for entry in sorted(entries, key=lambda entry: entry.at)
            if entry.event == "answered"
        ]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    def latest_execution(self, state_machine: str, quarter: str) -> dict[str, Any]:
        """The quarter's execution that was started last, as Step Functions describes it."""
        states = self.client("stepfunctions")
        found = states.list_executions(stateMachineArn=state_machine)["executions"]
        # The Map's executions of single batches are named otherwise.
        runs = [item for item in found if item["name"].startswith(quarter)]
        latest = max(runs, key=lambda item: item["startDate"])
        return dict(states.describe_execution(executionArn=latest["executionArn"]))

    def desired_counts(self) -> tuple[int, int]:
        """Desired instances and desired tasks of vLLM."""
        group = self.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"][0]
        service = self.client("ecs").describe_services(
            cluster="ftm-vllm-cluster", services=["ftm-vllm-service"]
        )["services"][0]
        return group["DesiredCapacity"], service["desiredCount"]

    def scale(self, count: int) -> None:
        """What an operator does to vLLM by hand."""
        self.client("autoscaling").set_desired_capacity(
            AutoScalingGroupName="ftm-vllm-asg", DesiredCapacity=count
        )
        self.client("ecs").update_service(
            cluster="ftm-vllm-cluster", service="ftm-vllm-service", desiredCount=count
        )

    def modified(self, key: str) -> dt.datetime:
        """When an object was last written."""
        answer = self.client("s3").head_object(Bucket=BUCKET, Key=key)
        moment: dt.datetime = answer["LastModified"]
        return moment
