"""A run that is interrupted again and again, and the accounts of what it asked meanwhile."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field

from ftm_core.contracts.errors import ExitCode
from ftm_core.llm.answers import AnswerStore
from tests.fakes.chaos_llm import FakeLlm
from tests.fakes.chaos_runs import Place, Process, Q, gone

# Questions on their way at a time, by the settings that the fake server gives.
MOST_IN_FLIGHT = 4
KILL, TERMINATE = "kill -9", "SIGTERM"


@dataclass
class Tally:
    """What happened to a run, over all its processes."""

    done: Counter[str] = field(default_factory=Counter)
    slowest_stop: float = 0.0
    n_asked_again: int = 0
    n_lost_in_flight: int = 0


class InterruptedRun:
    """One quarter, run by one process after another; ``check_questions`` settles accounts.

    Every cached response is read right after each interruption, so that a later request for any
    of them is found, to the last one.
    """

    def __init__(self, place: Place, llm: FakeLlm, tally: Tally) -> None:
        self._place = place
        self._llm = llm
        self._tally = tally
        self._kept: set[str] = set()
        self.n_log = len(llm.log())

    def n_asked(self, kind: str | None = None) -> int:
        """Questions that the process now at work has asked."""
        return len(self._llm.asked(self.n_log, kind))

    def interrupt(self, process: Process, how: str) -> bool:
        """End the process; False when it had come to its end by itself."""
        children = process.descendants()
        began = time.monotonic()
        if how == KILL:
            ended = process.has_ended
            process.kill()
        else:
            code = process.terminate()
            self._tally.slowest_stop = max(self._tally.slowest_stop, time.monotonic() - began)
            # Done with all work, it may be leaving when the signal comes.
            ended = code == ExitCode.DONE or (
                code == -signal.SIGTERM and "themes" in process.output
            )
            assert ended or code == ExitCode.RETRYABLE, process.output
            assert "Traceback" not in process.output
            assert "leaked" not in process.output
        assert gone(children) == []
        self._settle()
        self._tally.done["finished first" if ended else how] += 1
        return not ended

    def finish(self, *options: str) -> None:
        """Run to the end."""
        process = self._place.finish(*options)
        assert "leaked" not in process.output
        self._settle()

    def _settle(self) -> None:
        """Hold the questions since the last time against the answers that were kept by then."""
        asked = Counter(self._llm.asked(self.n_log))
        self.n_log = len(self._llm.log())
        # One process asks nothing twice, and nothing that an earlier one had kept.
        assert [question for question, times in asked.items() if times > 1] == []
        again = self._kept & asked.keys()
        self._tally.n_asked_again += len(again)
        assert not again
        store = AnswerStore.open(self._place.storage, Q)
        now = {question for question in asked if store.contains(question)}
        lost = asked.keys() - now
        assert len(lost) <= MOST_IN_FLIGHT, f"{len(lost)} answers were not kept"
        self._tally.n_lost_in_flight += len(lost)
        assert all(store.contains(question) for question in self._kept)
        self._kept |= now


def let_live(process: Process, how: str, seconds: float) -> None:
    """Give the process some seconds; one to be stopped in order must have begun to listen."""
    if how == TERMINATE:
        process.wait_until_stoppable()
    process.wait_at_most(seconds)


def moments(n: int, longest: float, seed: int) -> list[tuple[str, float]]:
    """``n`` interruptions, four of five by kill -9, each with its seconds after the start."""
    chance = random.Random(seed)
    kinds = [KILL] * 4 + [TERMINATE]
    return [(chance.choice(kinds), chance.uniform(0, longest)) for _ in range(n)]
