"""The first line of every command: which target and which data it works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftm_cli.console import say
from ftm_cli.targets import TargetName, chosen_target, resolve_target
from ftm_cli.targets import open_data as open_data_silently

if TYPE_CHECKING:
    from ftm_cli.operations.aws.session import AwsSession
    from ftm_cli.targets.base import Target
    from ftm_core.storage import Storage


def announced_target(target: str | None, data: str | None) -> Target:
    """The target that a command works with, named on stderr before anything else."""
    resolved = resolve_target(target, data)
    say(f"Target: {resolved.name}. Data: {resolved.location}", style="dim")
    return resolved


def open_data(data: str | None, *, target: str | None = None) -> Storage:
    """Storage for ``--data``, named on stderr before anything else."""
    storage = open_data_silently(data, target=target)
    name = TargetName.LOCAL if not storage.uri.startswith("s3://") else chosen_target(target)
    say(f"Target: {name}. Data: {storage.uri}", style="dim")
    return storage


def pinned_session() -> AwsSession:
    """A session for the pin of this project, its account named on stderr before anything else."""
    from ftm_cli.operations.aws.session import pinned_session as connect

    session = connect()
    pin = session.pin
    say(
        f"Target: aws. Account: {pin.account_id} in {pin.region}, profile {pin.profile}",
        style="dim",
    )
    return session
