"""Every way in which an AWS login fails: one message, exit code 2, no network needed."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ftm_cli.operations.aws.errors import AwsForbiddenError, AwsLoginError, translate
from ftm_cli.operations.aws.pin import checked
from ftm_cli.results.setup import Pin
from ftm_core.contracts.errors import ExitCode, InputError, StorageAccessError
from ftm_core.storage import s3_errors
from ftm_core.storage.aws_errors import AwsErrorKind, classify
from tests.integration.faults.conftest import Ftm

SSO = "https://example.awsapps.com/start"


def process(folder: Path, name: str, script: str) -> str:
    """An executable for credential_process."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def config(name: str, folder: Path) -> str:
    """The AWS configuration file of one case."""
    if name == "sso expired":
        return (
            f"[profile p]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = R\n"
            f"[sso-session s]\nsso_start_url = {SSO}\nsso_region = us-west-2\n"
        )
    if name == "login session":
        return "[profile p]\nlogin_session = arn:aws:iam::123456789012:user/ann\n"
    if name == "mfa":
        return (
            "[profile p]\nrole_arn = arn:aws:iam::123456789012:role/R\nsource_profile = base\n"
            "mfa_serial = arn:aws:iam::123456789012:mfa/ann\n"
            "[profile base]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = x\n"
        )
    scripts = {
        "process no json": "echo hello",
        "process fails": "echo no ticket >&2; exit 3",
        "process half json": "echo '{\"Version\": 1}'",
        "process empty": "exit 0",
    }
    if name in scripts:
        program = process(folder, "login.sh", scripts[name])
        return f"[profile p]\ncredential_process = {program}\n"
    return {
        "process missing": "[profile p]\ncredential_process = /no/such/program\n",
        "process a folder": f"[profile p]\ncredential_process = {folder}\n",
        "broken file": "[profile p\nregion = us-west-2\n",
        "no profile": "[profile other]\nregion = us-west-2\n",
        "no source": "[profile p]\nrole_arn = arn:aws:iam::123456789012:role/R\n"
        "source_profile = gone\n",
        "token file missing": "[profile p]\nrole_arn = arn:aws:iam::123456789012:role/R\n"
        "web_identity_token_file = /no/such/token\n",
        "half a key": "[profile p]\naws_access_key_id = AKIAEXAMPLE\n",
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        "sso expired", "login session", "mfa", "process no json", "process missing",
        "broken file", "no profile", "no source", "half a key",
        # Members of the class that no report names.
        "process empty", "process half json", "process fails", "process a folder",
        "token file missing",
    ],
)  # fmt: skip
def test_login_that_fails_is_one_message(ftm: Ftm, tmp_path: Path, name: str) -> None:
    """Class: any error of a provider of credentials. One message, exit 2, no traceback."""
    (tmp_path / "config").write_text(config(name, tmp_path))
    home = tmp_path / "home"
    cache = home / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    past = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=3)).isoformat(timespec="seconds")
    token = {"startUrl": SSO, "region": "us-west-2", "accessToken": "t", "expiresAt": past}
    (cache / f"{hashlib.sha1(b's').hexdigest()}.json").write_text(json.dumps(token))
    variables = {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": str(home),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }
    ended = ftm("pin-profile", "p", "--account-id", "123456789012", variables=variables)
    assert ended.returncode == 2, ended.stderr
    lines = [line for line in ended.stderr.splitlines() if line.strip()]
    assert len(lines) == 2, ended.stderr
    assert lines[0].startswith("error: The profile p ")
    assert "bug in ftm" not in ended.stderr
    assert "Missing Dependency" not in ended.stderr


def refusal(code: str, message: str, status: int = 403) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "SomeOperation")


SKEWED = [
    ("SignatureDoesNotMatch", "Signature expired: 20260101T000000Z is now earlier than ..."),
    ("InvalidSignatureException", "Signature not yet current: 20260101T000000Z is still later"),
    ("RequestExpired", "Request has expired."),
    ("RequestTimeTooSkewed", "The difference between the request time and ours is too large."),
    # Members of the class that no report names.
    ("AccessDenied", "Request has expired"),
    ("RequestInTheFuture", "The request is from the future."),
]


@pytest.mark.parametrize(("code", "message"), SKEWED)
def test_clock_skew_is_distinguished_from_a_login(code: str, message: str) -> None:
    """Class: one error code with several causes. A wrong clock is no reason to log in again."""
    error = refusal(code, message)
    for reported in (translate(error, "AWS ecs", "p"), s3_errors.translate(error, "s3://bucket")):
        assert "clock" in reported.hint, reported
        assert "Log in" not in reported.hint
        assert reported.exit_code == ExitCode.USAGE


def test_clock_skew_is_not_guessed() -> None:
    """Class: one error code with several causes, the other side: a wrong key stays a login."""
    wrong = refusal("SignatureDoesNotMatch", "The request signature we calculated does not match")
    assert isinstance(translate(wrong, "AWS ecs", "p"), AwsLoginError)
    assert "Log in" in translate(wrong, "AWS ecs", "p").hint
    assert "Log in" in s3_errors.translate(wrong, "s3://bucket").hint


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AuthFailure", AwsErrorKind.LOGIN),
        ("InvalidClientTokenId", AwsErrorKind.LOGIN),
        ("UnauthorizedOperation", AwsErrorKind.FORBIDDEN),
        ("AllAccessDisabled", AwsErrorKind.FORBIDDEN),
        ("PriorRequestNotComplete", AwsErrorKind.BUSY),
    ],
)
def test_aws_codes_mean_the_same_everywhere(code: str, kind: AwsErrorKind) -> None:
    """Class: one rule written twice. Storage and operations read one table of codes."""
    error = refusal(code, "said AWS", 400)
    assert classify(error) is kind
    ours, stored = translate(error, "AWS ecs", "p"), s3_errors.translate(error, "s3://bucket")
    assert ours.exit_code == stored.exit_code
    if kind is AwsErrorKind.FORBIDDEN:
        assert isinstance(ours, AwsForbiddenError)
        assert isinstance(stored, StorageAccessError)


@pytest.mark.parametrize(
    "region",
    [
        "eusc-de-east-1", "us-gov-west-1", "us-iso-east-1", "us-west-2",
        # Members of the class that no report names.
        "us-isob-east-1", "eu-isoe-west-1", "mx-central-1", "cn-northwest-1",
    ],
)  # fmt: skip
def test_region_of_every_partition_can_be_pinned(region: str) -> None:
    """Class: patterns of names that others assign."""
    pin = Pin("p", "123456789012", region)
    assert checked(pin, "ftm.toml") is pin


def test_region_of_botocore_can_be_pinned() -> None:
    """Class: patterns of names that others assign: each region that botocore knows."""
    import boto3

    session = boto3.Session()
    for partition in session.get_available_partitions():
        for region in session.get_available_regions("ec2", partition_name=partition):
            checked(Pin("p", "123456789012", region), "ftm.toml")


@pytest.mark.parametrize("region", ["west", "us west-2", "us-west", "us-west-2/", "US-WEST-2", ""])
def test_region_that_is_none_is_refused(region: str) -> None:
    """Class: patterns of names, the other side."""
    with pytest.raises(InputError, match="region"):
        checked(Pin("p", "123456789012", region), "ftm.toml")
