"""Poll a run until it ends, through throttling and through a login that is lost and renewed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from ftm_cli.operations.aws.errors import REPEAT, AwsBusyError, AwsLoginError
from ftm_cli.operations.aws.waiting import Clock, Waits
from ftm_cli.operations.snapshots import Snapshot
from ftm_core.contracts.errors import StorageRetryableError


class Monitor(Protocol):
    """Anything that returns the state of a run when it is polled."""

    def poll(self) -> Snapshot:
        """How it stands now."""


@dataclass(frozen=True)
class ConnectionNotice:
    """A poll that failed and is repeated: what happened, and what the operator can do."""

    text: str
    hint: str = ""


def follow(
    monitor: Monitor, *, clock: Clock | None = None, waits: Waits | None = None
) -> Iterator[Snapshot | ConnectionNotice]:
    """A snapshot at each poll until the run ends; a notice in place of a failed poll.

    A login lost after the first poll is waited for; after ``waits.login`` seconds without one
    AwsLoginError is raised. Errors of the first poll are raised as they are.
    """
    clock, waits = clock or Clock(), waits or Waits.from_environment()
    snapshot = monitor.poll()
    yield snapshot
    lost_since: float | None = None
    while snapshot.is_running:
        clock.sleep(waits.poll)
        try:
            snapshot = monitor.poll()
        except AwsLoginError as error:
            now = clock.monotonic()
            lost_since = now if lost_since is None else lost_since
            waited = now - lost_since
            if waited >= waits.login:
                raise AwsLoginError(
                    error.where,
                    f"{error.cause}. No new login came in {waited:.0f} s, so watching ends, but "
                    "the run itself keeps running",
                    error.hint,
                ) from error
            hint = (
                f"{error.hint.removesuffix(REPEAT).rstrip('.')}: watching then resumes by itself."
            )
            yield ConnectionNotice(f"The AWS login was lost. {error.sentence}", hint)
        except (AwsBusyError, StorageRetryableError) as error:
            yield ConnectionNotice(error.sentence)
        else:
            if lost_since is not None:
                lost_since = None
                yield ConnectionNotice("Logged in again.")
            yield snapshot
