"""The one place that makes AWS clients: none of them calls before STS has said who we are."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from typing import Any

from ftm_cli.operations.aws.errors import LOGIN_HINT, AwsLoginError, logging_in, translated
from ftm_cli.operations.aws.pin import read_pin
from ftm_cli.results.setup import Pin
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.extras import require_extra


@dataclass(frozen=True)
class Identity:
    """Who STS says we are."""

    account_id: str
    arn: str


class AwsSession:
    """Clients of the pinned identity.

    Before the first call with any credentials, and again whenever they have been refreshed or
    replaced, STS is asked whose they are; a call for another account is never sent.
    """

    def __init__(self, pin: Pin) -> None:
        require_extra("aws", "Work on AWS")
        from botocore.exceptions import BotoCoreError

        self.pin = pin
        try:
            self._boto: Any = _boto_session(pin.profile, pin.region)
            self._boto.events.register_first("before-call", self._check_before_call)
        except BotoCoreError as error:
            raise _no_profile(pin.profile, error) from error
        self._lock = threading.RLock()
        self._checked: tuple[str, str | None] | None = None

    def client(self, service: str) -> Any:
        """A client of ``service``, with standard retries of throttling and lost links."""
        from botocore.config import Config

        from ftm_core.storage.s3 import client_config

        config = (
            client_config()
            if service == "s3"
            else Config(
                retries={"mode": "standard", "total_max_attempts": 6},
                connect_timeout=10,
                read_timeout=60,
            )
        )
        # Making a client looks for credentials.
        with logging_in(self.pin.profile):
            return self._boto.client(service, config=config)

    def identity(self) -> Identity:
        """Ask STS who we are; raises AwsLoginError when nobody, or somebody of another account."""
        found = ask_identity(self._boto, self.pin.profile)
        if found.account_id != self.pin.account_id:
            raise AwsLoginError(
                f"The profile {self.pin.profile}",
                f"belongs to the account {found.account_id}, but {self.pin.account_id} is pinned, "
                "so nothing was called",
                "Correct the profile in your AWS configuration, or pin the account you mean "
                "with `ftm pin-profile NAME`.",
            )
        return found

    def _check_before_call(self, **about: Any) -> None:
        """Botocore runs this before it sends anything; an exception stops the call."""
        if about["model"].service_model.service_name == "sts":
            return
        with self._lock:
            credentials = _frozen(self._boto, self.pin.profile)
            if credentials != self._checked:
                self.identity()
                self._checked = credentials


def pinned_session() -> AwsSession:
    """A session for the pin of this project; raises InputError when none is pinned."""
    pin = read_pin()
    if pin is None:
        raise InputError(
            "This folder", "has no pinned AWS profile", "Run `ftm pin-profile NAME` first."
        )
    return AwsSession(pin)


def who_is(profile: str, region: str) -> Identity:
    """Ask STS for the identity of a profile that is not pinned yet."""
    from botocore.exceptions import BotoCoreError

    try:
        session = _boto_session(profile, region)
    except BotoCoreError as error:
        raise _no_profile(profile, error) from error
    return ask_identity(session, profile)


def region_of(profile: str) -> str | None:
    """The region that the AWS configuration gives a profile; raises AwsLoginError without it."""
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        session: Any = boto3.Session(profile_name=profile)
        configured: str | None = session._session.get_scoped_config().get("region")
    except BotoCoreError as error:
        raise _no_profile(profile, error) from error
    return configured


def ask_identity(session: Any, profile: str) -> Identity:
    """STS's answer, through the given boto3 session."""
    from botocore.config import Config

    config = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=10)
    with logging_in(profile):
        client = session.client("sts", config=config)
        # Refreshes what has expired, which the call itself would do.
        credentials = session.get_credentials()
        if credentials is not None:
            credentials.get_frozen_credentials()
    with translated(f"The profile {profile}", profile):
        answer = client.get_caller_identity()
    return Identity(answer["Account"], answer["Arn"])


def _boto_session(profile: str, region: str) -> Any:
    """A boto3 session that asks for an MFA code in a terminal alone."""
    import boto3

    session: Any = boto3.Session(profile_name=profile, region_name=region)
    if not (sys.stdin is not None and sys.stdin.isatty()):
        providers = session._session.get_component("credential_provider")
        # botocore has no public way; without one it would ask where nobody can answer.
        providers.get_provider("assume-role")._prompter = _nobody_to_ask
    return session


def _nobody_to_ask(prompt: str) -> str:
    raise EOFError(prompt)


def _frozen(session: Any, profile: str) -> tuple[str, str | None]:
    with logging_in(profile):
        credentials = session.get_credentials()
        if credentials is None:
            raise AwsLoginError(
                f"The profile {profile}",
                "has no credentials",
                LOGIN_HINT.format(profile=profile),
            )
        frozen = credentials.get_frozen_credentials()
    return frozen.access_key, frozen.token


def _no_profile(profile: str, error: Exception) -> AwsLoginError:
    import boto3
    from botocore.exceptions import BotoCoreError, ConfigParseError

    cause = f"cannot be used ({error})"
    if isinstance(error, ConfigParseError):
        return AwsLoginError(
            f"The profile {profile}", cause, "Correct that file of your AWS configuration."
        )
    try:
        known = boto3.Session().available_profiles
    except BotoCoreError:
        known = []
    return AwsLoginError(
        f"The profile {profile}",
        cause,
        f"Use a profile of your AWS configuration ({', '.join(known) or 'it has none'}), or make "
        "one with `aws configure sso`.",
    )
