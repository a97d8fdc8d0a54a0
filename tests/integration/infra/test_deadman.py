"""The deadman's switch, executed: it turns an idle vLLM off, and nothing else (fault 23)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from tests.emulator.process import Emulator, running
from tests.integration.infra.conftest import ModuleVerdict

ACCOUNT = "123456789012"
ROLE = "ftm-vllm-deadman-role"
GROUP, CLUSTER, SERVICE = "ftm-vllm-asg", "ftm-vllm-cluster", "ftm-vllm-service"
LONG_RUN = {"StartAt": "Work", "States": {"Work": {"Type": "Wait", "Seconds": 120, "End": True}}}
SHORT_RUN = {"StartAt": "Work", "States": {"Work": {"Type": "Pass", "End": True}}}


@dataclass(frozen=True)
class Account:
    """An account with vLLM's group and service, the two state machines, and a mailbox."""

    emulator: Emulator
    queue: str
    deadman: str

    def scale(self, count: int) -> None:
        self.emulator.client("autoscaling").set_desired_capacity(
            AutoScalingGroupName=GROUP, DesiredCapacity=count
        )
        self.emulator.client("ecs").update_service(
            cluster=CLUSTER, service=SERVICE, desiredCount=min(count, 1)
        )

    def counts(self) -> tuple[int, int]:
        groups = self.emulator.client("autoscaling").describe_auto_scaling_groups()
        services = self.emulator.client("ecs").describe_services(
            cluster=CLUSTER, services=[SERVICE]
        )
        return (
            groups["AutoScalingGroups"][0]["DesiredCapacity"],
            services["services"][0]["desiredCount"],
        )

    def start_run(self, definition: Mapping[str, Any]) -> str:
        states = self.emulator.client("stepfunctions")
        machine = f"arn:aws:states:us-west-2:{ACCOUNT}:stateMachine:ftm-quarter-processor"
        states.update_state_machine(stateMachineArn=machine, definition=json.dumps(definition))
        return str(
            states.start_execution(stateMachineArn=machine, name=uuid4().hex)["executionArn"]
        )

    def look(self, idle_seconds: int) -> str:
        return str(
            self.emulator.client("stepfunctions").start_execution(
                stateMachineArn=self.deadman,
                name=uuid4().hex,
                input=json.dumps({"idle_seconds": idle_seconds}),
            )["executionArn"]
        )

    def outcome(self, execution: str) -> str:
        states = self.emulator.client("stepfunctions")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            described = states.describe_execution(executionArn=execution)
            if described["status"] != "RUNNING":
                return str(described["status"])
            time.sleep(0.1)
        raise AssertionError("the switch did not end within a minute")

    def messages(self) -> list[str]:
        """Subjects in the mailbox, which is empty afterwards."""
        mailbox = self.emulator.client("sqs")
        found = []
        while received := mailbox.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in received:
                found.append(json.loads(message["Body"])["Subject"])
                mailbox.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture(scope="module")
def policy(verdicts: Mapping[str, ModuleVerdict]) -> dict[str, Any]:
    """What the switch's role may do, as it would be deployed."""
    planned = verdicts["stepfunctions"].plans["notified"]
    return dict(json.loads(planned['aws_iam_role_policy.created["deadman"]']["policy"]))


def with_short_retries(machine: Mapping[str, Any]) -> dict[str, Any]:
    """The machine with a second between attempts: a refusal that stays is then found at once."""
    states = {
        name: state
        | {"Retry": [rule | {"IntervalSeconds": 1, "BackoffRate": 1} for rule in state["Retry"]]}
        if "Retry" in state
        else state
        for name, state in machine["States"].items()
    }
    return {**machine, "States": states}


@pytest.fixture(scope="module")
def account(
    deadman: Mapping[str, Any],
    policy: Mapping[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Account]:
    with running(tmp_path_factory.mktemp("emulator") / "log") as emulator:
        ec2 = emulator.client("ec2")
        image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        template = ec2.create_launch_template(
            LaunchTemplateName="vllm",
            LaunchTemplateData={"ImageId": image, "InstanceType": "g5.xlarge"},
        )["LaunchTemplate"]["LaunchTemplateId"]
        emulator.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=GROUP,
            MinSize=0,
            MaxSize=4,
            DesiredCapacity=0,
            LaunchTemplate={"LaunchTemplateId": template},
            VPCZoneIdentifier=subnet,
        )
        ecs = emulator.client("ecs")
        ecs.create_cluster(clusterName=CLUSTER)
        ecs.register_task_definition(
            family="vllm", containerDefinitions=[{"name": "vllm", "image": "v:1", "memory": 1}]
        )
        ecs.create_service(
            cluster=CLUSTER, serviceName=SERVICE, taskDefinition="vllm", desiredCount=0
        )
        topic = emulator.client("sns").create_topic(Name="ftm-runs")["TopicArn"]
        sqs = emulator.client("sqs")
        queue = sqs.create_queue(QueueName="mailbox")["QueueUrl"]
        emulator.client("sns").subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=f"arn:aws:sqs:us-west-2:{ACCOUNT}:mailbox",
        )
        iam = emulator.client("iam")
        role = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        iam.put_role_policy(RoleName=ROLE, PolicyName="p", PolicyDocument=json.dumps(policy))
        states = emulator.client("stepfunctions")
        states.create_state_machine(
            name="ftm-quarter-processor", definition=json.dumps(SHORT_RUN), roleArn=role
        )
        arn = states.create_state_machine(
            name="ftm-vllm-deadman",
            definition=json.dumps(with_short_retries(deadman)),
            roleArn=role,
        )["stateMachineArn"]
        yield Account(emulator, queue, arn)


@pytest.fixture(autouse=True)
def idle(account: Account) -> Iterator[None]:
    yield
    states = account.emulator.client("stepfunctions")
    for machine in states.list_state_machines()["stateMachines"]:
        arn = machine["stateMachineArn"]
        for run in states.list_executions(stateMachineArn=arn, statusFilter="RUNNING")[
            "executions"
        ]:
            states.stop_execution(executionArn=run["executionArn"])
    account.scale(0)
    account.messages()


def test_fault_23_idle_vllm_is_turned_off_and_notified(account: Account) -> None:
    account.scale(2)
    assert account.outcome(account.look(1)) == "SUCCEEDED"
    assert account.counts() == (0, 0)
    assert account.messages() == ["ftm: vLLM was idle and is now off"]
    assert account.emulator.remove_permissions() == []


# What the switch does without which permission, and what stays up: a missing right to notify or to
# change the service must not keep the instances up.
NEEDED = {
    "autoscaling:DescribeAutoScalingGroups": ("FAILED", (2, 1)),
    "ecs:DescribeServices": ("FAILED", (2, 1)),
    "states:ListExecutions": ("FAILED", (2, 1)),
    "ec2:DescribeInstances": ("FAILED", (2, 1)),
    "autoscaling:SetDesiredCapacity": ("FAILED", (2, 0)),
    "ecs:UpdateService": ("SUCCEEDED", (0, 1)),
    "sns:Publish": ("SUCCEEDED", (0, 0)),
}


def test_every_permission_of_the_switch_is_in_the_table(policy: Mapping[str, Any]) -> None:
    granted = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert granted == set(NEEDED)


@pytest.mark.parametrize("action", list(NEEDED))
def test_the_switch_needs_each_of_its_permissions(account: Account, action: str) -> None:
    """With IAM enforced: without one of them the switch is refused, and its end says so."""
    status, counts = NEEDED[action]
    account.scale(2)
    account.emulator.remove_permissions(f"{ROLE} {action}")
    try:
        outcome = account.outcome(account.look(1))
    finally:
        refused = account.emulator.remove_permissions()
    assert refused
    assert all(item.startswith(f"{ROLE} {action} ") for item in refused)
    assert (outcome, account.counts()) == (status, counts)


def test_fault_23_a_service_without_instances_is_turned_off_too(account: Account) -> None:
    account.emulator.client("ecs").update_service(cluster=CLUSTER, service=SERVICE, desiredCount=1)
    assert account.outcome(account.look(1)) == "SUCCEEDED"
    assert account.counts() == (0, 0)


def test_nothing_is_done_where_vllm_is_off(account: Account) -> None:
    assert account.outcome(account.look(3600)) == "SUCCEEDED"
    assert account.messages() == []


def test_a_running_quarter_keeps_its_vllm(account: Account) -> None:
    account.scale(1)
    account.start_run(LONG_RUN)
    assert account.outcome(account.look(1)) == "SUCCEEDED"
    assert account.counts() == (1, 1)


def test_quarter_between_two_inspections_keeps_vllm_up(account: Account) -> None:
    account.scale(1)
    look = account.look(4)
    time.sleep(1)
    account.start_run(SHORT_RUN)
    assert account.outcome(look) == "SUCCEEDED"
    assert account.counts() == (1, 1)


def test_a_vllm_that_was_just_scaled_up_is_not_idle(account: Account) -> None:
    account.scale(1)
    look = account.look(4)
    time.sleep(1)
    account.scale(2)
    assert account.outcome(look) == "SUCCEEDED"
    assert account.counts() == (2, 1)
