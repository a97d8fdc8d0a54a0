"""What an administrator does with the output of `ftm deploy --roles`: roles, profiles, operator."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.e2e.account import ACCOUNT, Account

OPERATOR = "ftm-operator"


def make_roles(account: Account, printed: Mapping[str, Any]) -> None:
    """Make every printed role, and a role for the operator with the printed policies."""
    iam = account.client("iam")
    for role in printed["roles"]:
        name = role["name"]
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(role["trust"]))
        if role["policy"]:
            iam.put_role_policy(
                RoleName=name,
                PolicyName=role["policy_name"],
                PolicyDocument=json.dumps(role["policy"]),
            )
        if profile := role["instance_profile"]:
            iam.create_instance_profile(InstanceProfileName=profile)
            iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=name)
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT}}
    document = {"Version": "2012-10-17", "Statement": [trust]}
    iam.create_role(RoleName=OPERATOR, AssumeRolePolicyDocument=json.dumps(document))
    for name, policy in printed["operator"].items():
        made = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(policy))
        iam.attach_role_policy(RoleName=OPERATOR, PolicyArn=made["Policy"]["Arn"])
