"""The time left is shown once enough is done for a good estimate."""

from __future__ import annotations

import random

import pytest

from ftm_cli.progress import Pace, can_estimate


def test_no_estimate_from_the_first_few_units() -> None:
    assert not can_estimate(3, 10)
    assert can_estimate(4, 10)
    assert not can_estimate(19, 400)
    assert can_estimate(20, 400)


def test_first_estimate_is_right_within_a_factor_of_two() -> None:
    """Firms of very different length, two at a time, after models that take a while to load."""
    for seed in range(50):
        chance = random.Random(seed)
        seconds = [chance.lognormvariate(0, 0.5) * 4 / 2 for _ in range(400)]
        elapsed, done = 20.0, 0
        while not can_estimate(done, len(seconds)):
            elapsed += seconds[done]
            done += 1
        estimate = elapsed / done * (len(seconds) - done)
        assert 0.5 < estimate / sum(seconds[done:]) < 2


def test_estimate_follows_the_pace_of_the_last_minutes() -> None:
    """200 firms whose answers are cached take a minute; of the others one takes twelve seconds."""
    pace = Pace()
    done = 0.0
    for second in range(0, 900, 2):
        done = min(200.0, second / 60 * 200) + max(0, second - 60) / 12
        rate = pace.rate(second, done)
    assert rate == pytest.approx(1 / 12)


def test_work_that_stands_still_has_no_pace() -> None:
    pace = Pace()
    rates = [pace.rate(second, min(second, 50)) for second in range(0, 600, 10)]
    assert rates[3] == 1
    assert rates[-1] == 0
