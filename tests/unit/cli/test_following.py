"""Watching a run: through throttling and a lost login, to its end or to a clear message."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ftm_cli.operations.aws.errors import AwsBusyError, AwsLoginError
from ftm_cli.operations.aws.waiting import Clock, Waits
from ftm_cli.operations.following import ConnectionNotice, follow
from ftm_cli.operations.snapshots import FirmRate, Snapshot
from ftm_core.contracts.records import RunIdentity
from ftm_core.data.progress import Progress

RUN = "2023Q1-20230601-120000"
LOGIN = AwsLoginError(
    "The profile research", "has no valid AWS login (ExpiredToken)", "Log in again."
)
BUSY = AwsBusyError("execution x", "is busy (ThrottlingException)", "Later.")


def snapshot(
    state: str = "RUNNING", finished: int = 0, per_minute: float | None = None
) -> Snapshot:
    return Snapshot(
        target="aws",
        run=RUN,
        quarter="2023Q1",
        data="s3://ftm-test-data",
        state=state,
        started="2023-06-01T12:00:00+00:00",
        seconds=60.0,
        firms=Progress(firms=100, finished=finished, failed=10),
        firms_per_minute=per_minute,
    )


class Scripted:
    """A run whose looks are given in advance, the last one for ever."""

    def __init__(self, *looks: Snapshot | Exception) -> None:
        self._looks = list(looks)

    def poll(self) -> Snapshot:
        look = self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]
        if isinstance(look, Exception):
            raise look
        return look


class Time:
    """Time that passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    @property
    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now, sleep=self.sleep)


def watch(*looks: Snapshot | Exception) -> Iterator[Snapshot | ConnectionNotice]:
    return follow(Scripted(*looks), clock=Time().clock, waits=Waits(poll=10.0, login=60.0))


def test_following_resumes_after_a_lost_and_renewed_login() -> None:
    seen = list(watch(snapshot(), LOGIN, LOGIN, snapshot("SUCCEEDED")))

    reported = [look for look in seen if isinstance(look, ConnectionNotice)]
    assert [trouble.text.partition(".")[0] for trouble in reported] == [
        "The AWS login was lost",
        "The AWS login was lost",
        "Logged in again",
    ]
    assert reported[0].hint == "Log in again: watching then resumes by itself."
    assert isinstance(seen[-1], Snapshot)
    assert seen[-1].state == "SUCCEEDED"


def test_following_ends_at_a_lost_login_and_the_run_continues() -> None:
    with pytest.raises(AwsLoginError, match="the run itself keeps running") as ended:
        list(watch(snapshot(), LOGIN))
    assert "in 60 s" in ended.value.cause
    assert ended.value.hint == "Log in again."


def test_second_loss_of_a_login_is_waited_for_again() -> None:
    lost = [LOGIN] * 6
    seen = list(watch(snapshot(), *lost, snapshot(), *lost, snapshot("SUCCEEDED")))
    assert isinstance(seen[-1], Snapshot)


def test_throttling_is_reported_and_outlived() -> None:
    seen = list(watch(snapshot(), *[BUSY] * 50, snapshot("FAILED")))
    assert sum(isinstance(look, ConnectionNotice) for look in seen) == 50


def test_without_a_login_at_the_start_nothing_is_waited_for() -> None:
    with pytest.raises(AwsLoginError):
        next(watch(LOGIN))


def test_time_left_follows_the_rate_and_counts_failed_firms() -> None:
    assert snapshot(finished=50, per_minute=20.0).seconds_left == 120.0
    assert snapshot(finished=50).seconds_left is None
    assert snapshot("SUCCEEDED", finished=90, per_minute=20.0).seconds_left is None


def identity(run_id: str) -> RunIdentity:
    return RunIdentity(
        run_id=run_id,
        quarter="2023Q1",
        fingerprint="",
        inputs={},
        started="2023-06-01T12:00:00+00:00",
        finished=None,
        owner=None,
    )


def test_rate_of_a_resumed_run_ignores_firms_finished_before() -> None:
    fresh, resumed = identity(f"{RUN}-0a1b2c3d"), identity("2023Q1-20230101-000000-0a1b2c3d")
    assert FirmRate().measure(120.0, 50, fresh, RUN) == 25.0
    rate = FirmRate()
    assert rate.measure(120.0, 50, resumed, RUN) is None
    assert rate.measure(180.0, 60, resumed, RUN) == 10.0
