"""Quotas before a run: the smallest instance that holds a job counts, and rights may be missing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from ftm_cli.operations.aws.preflight import _jobs_quota
from ftm_cli.operations.aws.session import AwsSession
from ftm_cli.operations.deploy import DeploySettings
from ftm_core.contracts.errors import InputError

VCPUS = {"m6i.xlarge": 4, "m7i.xlarge": 4, "r6i.xlarge": 4, "r7i.xlarge": 4, "m6i.2xlarge": 8}


class NoSuchResourceError(ClientError):
    """Stands for botocore's NoSuchResourceException."""


def session(applied: float | str | None, default: float = 0.0) -> AwsSession:
    """An account with one quota: a number, an error code, or None where none is kept."""

    def get_service_quota(**_: Any) -> dict[str, Any]:
        if applied is None:
            raise NoSuchResourceError({"Error": {"Code": "NoSuchResourceException"}}, "x")
        if isinstance(applied, str):
            raise ClientError({"Error": {"Code": applied}}, "GetServiceQuota")
        return {"Quota": {"Value": applied}}

    def describe_instance_types(**asked: Any) -> dict[str, Any]:
        (offered,) = asked["Filters"]
        return {
            "InstanceTypes": [
                {"InstanceType": kind, "VCpuInfo": {"DefaultVCpus": VCPUS[kind]}}
                for kind in offered["Values"]
                if kind in VCPUS
            ]
        }

    clients = {
        "ec2": SimpleNamespace(describe_instance_types=describe_instance_types),
        "service-quotas": SimpleNamespace(
            get_service_quota=get_service_quota,
            get_aws_default_service_quota=lambda **_: {"Quota": {"Value": default}},
            exceptions=SimpleNamespace(NoSuchResourceException=NoSuchResourceError),
        ),
    }
    pin = SimpleNamespace(profile="research", region="us-west-2", account_id="123456789012")
    return cast(AwsSession, SimpleNamespace(pin=pin, client=clients.__getitem__))


def settings(**batch: Any) -> DeploySettings:
    return DeploySettings(Path(), "some-bucket", variables={"batch": batch})


def test_quota_of_one_small_instance_holds_one_job() -> None:
    assert "hold 1 map jobs" in _jobs_quota(session(5.0), settings())


def test_quota_below_the_smallest_instance_fails() -> None:
    """Fault A3: 5 vCPUs are more than a job's 4, and less than any instance of 8."""
    with pytest.raises(InputError, match="too small for even one job"):
        _jobs_quota(session(5.0), settings(batch_instance_types=["m6i.2xlarge"]))
    with pytest.raises(InputError, match="too small for even one job"):
        _jobs_quota(session(3.0), settings())


def test_types_too_small_for_a_job_are_named() -> None:
    with pytest.raises(InputError, match="no room for a map job of 8 vCPUs"):
        _jobs_quota(
            session(64.0),
            settings(batch_instance_types=["m6i.xlarge"], job_sizes={"map_vcpus": 8}),
        )


def test_quota_that_was_never_changed_is_awss_default() -> None:
    """Fault A20: AWS keeps an applied value only where one was changed."""
    assert "hold 2 map jobs" in _jobs_quota(session(None, default=8.0), settings())


def test_quota_that_may_not_be_read_is_no_failure() -> None:
    assert "not readable by you" in _jobs_quota(session("AccessDeniedException"), settings())
