"""Roles: printed as they are created, each with both policies, and clean for a linter."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from ftm_cli.operations.aws import names
from ftm_cli.operations.aws.roles import render_roles
from ftm_cli.operations.deploy import DeploySettings
from ftm_cli.results.setup import Role, RolesReport
from tests.integration.infra.conftest import MODULES, ROOT, ModuleVerdict, ended, required_tool

BUCKET = "some-research-bucket"
# Characters of a managed policy without white space, by IAM's quotas.
_LONGEST_POLICY = 6144
PLAN_OF = {"batch": "second_pass", "ecs": "vllm", "stepfunctions": "notified"}
# What the linter takes for a mistake and is none: for each, why.
EXPLAINED = {
    # One statement names the queue, the definitions and, since AWS knows it too, no single job.
    ("quarter_processor", "batch:SubmitJob"),
    # A Map's executions are named otherwise than express ones, which there are none of.
    ("quarter_processor", "states:DescribeExecution"),
    # Executions are listed by state machine; the other form lists those of a Map run.
    ("deadman", "states:ListExecutions"),
}


@pytest.fixture(scope="module")
def rendered(terraform: str) -> RolesReport:
    settings = DeploySettings(
        terraform_root=ROOT / "infra" / "terraform",
        s3_bucket_name=BUCKET,
        account_id="123456789012",
        state_bucket="some-state-bucket",
        variables={"stepfunctions": {"enable_notifications": True}},
    )
    return render_roles(settings)


def test_printed_roles_are_those_that_the_modules_create(
    rendered: RolesReport, verdicts: Mapping[str, ModuleVerdict]
) -> None:
    """Golden: name, trust and policy of each role in the three plans, and no other role."""
    created = {}
    for module in MODULES:
        plan = verdicts[module].plans[PLAN_OF[module]]
        for address, values in plan.items():
            if address.startswith("aws_iam_role.created"):
                kind = address.split('"')[1]
                policy = plan.get(f'aws_iam_role_policy.created["{kind}"]')
                created[kind] = (
                    values["name"],
                    json.loads(values["assume_role_policy"]),
                    json.loads(policy["policy"]) if policy else None,
                )
    printed = {role.kind: (role.name, role.trust, role.policy) for role in rendered.roles}
    assert printed == created


def test_every_role_that_is_looked_up_is_printed(rendered: RolesReport) -> None:
    """Every data source of a role or profile takes its name from the printed roles."""
    looked_up = set()
    for module in MODULES:
        text = "".join(
            path.read_text(encoding="utf-8")
            for path in (ROOT / "infra" / "terraform" / module).glob("*.tf")
        )
        for block in re.findall(r'data "aws_iam_(?:role|instance_profile)" .*?\n}\n', text, re.S):
            assert "module.roles." in block
        kinds = r"role_keys\s*= concat\((.*)\)|precreated_roles\s*= toset\((.*)\)"
        for found in re.findall(kinds, text):
            looked_up |= set(re.findall(r'"(\w+)"', "".join(found)))
        looked_up |= set(re.findall(r'instance_role_key\s*= "(\w+)"', text))
    assert looked_up == {role.kind for role in rendered.roles}
    assert {role.name for role in rendered.roles if role.instance_profile} == {
        "ftm-batch-instance-role",
        "ftm-vllm-instance-role",
    }


def test_names_in_policies_are_the_names_of_the_resources() -> None:
    files = sorted((ROOT / "infra" / "terraform" / "roles").glob("*.tf"))
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    for name in (
        names.QUEUE,
        names.MAP_JOB_DEFINITION,
        names.REDUCE_JOB_DEFINITION,
        names.STATE_MACHINE,
        names.DEADMAN,
        names.VLLM_CLUSTER,
        names.VLLM_SERVICE,
        names.VLLM_GROUP,
    ):
        assert f'"{name}"' in text
    assert f"log-group:{names.BATCH_LOGS}:*" in text
    assert f"log-group:{names.VLLM_LOGS}:*" in text


def policies_of(rendered: RolesReport) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {
        role.kind: role.policy for role in rendered.roles if role.policy is not None
    }
    return found | dict(rendered.operator)


@pytest.fixture(scope="module")
def parliament() -> str:
    return required_tool("parliament", ROOT / ".tools" / "parliament" / "bin" / "parliament")


def findings(parliament: str, policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the linter says of a policy."""
    done = ended(parliament, "--string", json.dumps(policy), "--json")
    # 1 means findings, anything else a linter that did not run.
    assert done.returncode in (0, 1), done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert bool(found) == bool(done.returncode)
    return found


def test_policies_pass_the_linter(rendered: RolesReport, parliament: str) -> None:
    """No unknown action, no malformed resource, no star where AWS knows a resource."""
    unexplained = [
        (name, finding["issue"], finding["detail"])
        for name, policy in policies_of(rendered).items()
        for finding in findings(parliament, policy)
        if not _is_explained(name, finding)
    ]
    assert not unexplained


def _is_explained(name: str, finding: Mapping[str, Any]) -> bool:
    if name.startswith("ftm-operator-"):
        # The operator makes and removes resources, by whole services on our names.
        return finding["issue"] in ("RESOURCE_MISMATCH", "RESOURCE_STAR")
    detail = finding["detail"]
    return finding["issue"] == "RESOURCE_MISMATCH" and all(
        (name, item["action"]) in EXPLAINED for item in detail
    )


def test_the_linter_finds_a_misspelt_action(rendered: RolesReport, parliament: str) -> None:
    role = next(role for role in rendered.roles if role.kind == "job")
    misspelt = json.loads(json.dumps(role.policy).replace("s3:GetObject", "s3:GetObjekt"))
    issues = {finding["issue"] for finding in findings(parliament, misspelt)}
    assert "UNKNOWN_ACTION" in issues


def test_policies_fit_into_what_iam_takes(rendered: RolesReport) -> None:
    for name, policy in policies_of(rendered).items():
        assert len(json.dumps(policy, separators=(",", ":"))) <= _LONGEST_POLICY, name


def test_the_operator_may_hand_on_exactly_these_roles(rendered: RolesReport) -> None:
    statements = {
        statement["Sid"]: statement
        for statement in rendered.operator["ftm-operator-roles"]["Statement"]
    }
    passed = {arn.rsplit("/", 1)[1] for arn in statements["HandRolesToServices"]["Resource"]}
    assert passed == {role.name for role in rendered.roles}


def test_an_llm_by_url_needs_no_roles_of_vllm(terraform: str) -> None:
    settings = DeploySettings(
        terraform_root=ROOT / "infra" / "terraform",
        s3_bucket_name=BUCKET,
        account_id="123456789012",
        llm_base_url="https://llm.example.org/v1",
    )
    kinds = {role.kind for role in render_roles(settings).roles}
    assert kinds == {"job", "batch_execution", "batch_instance", "quarter_processor"}


def test_a_role_of_another_name_is_printed_under_it(terraform: str) -> None:
    settings = DeploySettings(
        terraform_root=ROOT / "infra" / "terraform",
        s3_bucket_name=BUCKET,
        account_id="123456789012",
        variables={"batch": {"role_names": {"job": "lab-job"}}},
    )
    found: dict[str, Role] = {role.kind: role for role in render_roles(settings).roles}
    assert found["job"].name == "lab-job"
