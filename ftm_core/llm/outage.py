"""Shared recovery: one poller for each outage of the LLM server, however many callers wait."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from ftm_core.contracts.errors import LlmUnavailableError
from ftm_core.llm.sharing import SharedTask

# Operators' log filters search for this name's lines word for word; do not reword them.
logger = logging.getLogger("ftm.llm")

# Seconds from a first failed probe to the one that makes it an outage.
CONFIRM_AFTER = 1.0


class SharedRecovery:
    """Decides whether the server is down, and lets all callers wait for one outage once.

    ``probe`` gives None when the server is healthy now, or else why not. Times are seconds:
    ``limit`` bounds the wait for one outage, ``poll`` lies between two probes. Once a wait has
    passed its limit, every later call fails at once with the same LlmUnavailableError: the job is
    to end, and the outage must not be waited for again by the calls that were still queued.
    """

    def __init__(
        self,
        probe: Callable[[], Awaitable[str | None]],
        *,
        where: str,
        limit: float,
        poll: float,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._probe = probe
        self._where = where
        self._limit = limit
        self._poll = poll
        self._clock = clock
        self._sleep = sleep
        self._outage: SharedTask[bool] = SharedTask()
        self._given_up: LlmUnavailableError | None = None
        self._n_outages = 0

    @property
    def n_outages(self) -> int:
        """Outages that began so far; a request that saw it change met an outage on its way."""
        return self._n_outages

    async def settled(self) -> None:
        """Return once no outage is under way; raises LlmUnavailableError after giving up."""
        self._refuse_if_given_up()
        if self._outage.running:
            await self._outage.join(self._wait_out)

    async def check(self) -> bool:
        """Probe after a failure and wait the outage out; False when the server was healthy.

        Raises LlmUnavailableError when the wait passes its limit.
        """
        self._refuse_if_given_up()
        return await self._outage.join(self._wait_out)

    def give_up(self, cause: str) -> LlmUnavailableError:
        """Fail every later call with this cause; returns the error to raise."""
        self._given_up = LlmUnavailableError(
            self._where,
            cause,
            "Everything finished is saved: bring the server up and run the same command again.",
        )
        return self._given_up

    def _refuse_if_given_up(self) -> None:
        if self._given_up is not None:
            raise LlmUnavailableError(
                self._given_up.where, self._given_up.cause, self._given_up.hint
            )

    async def _wait_out(self) -> bool:
        began = self._clock()
        reason = await self._probe_twice()
        if reason is None:
            return False
        self._n_outages += 1
        n_polls = 0
        logger.warning("%s is unhealthy: %s", self._where, reason)
        while True:
            elapsed = self._clock() - began
            if elapsed >= self._limit:
                raise self.give_up(
                    f"stayed unhealthy for {elapsed:.0f} s, the limit of one wait (last probe: "
                    f"{reason})"
                )
            # Probes stand at whole multiples of the interval, however long each of them took.
            n_polls = max(n_polls + 1, int(elapsed / self._poll) + 1)
            next_probe = min(n_polls * self._poll, self._limit)
            logger.warning("vLLM unhealthy, waiting... (%.0fs / %.0fs)", next_probe, self._limit)
            await self._sleep(max(0.0, next_probe - elapsed))
            latest = await self._probe()
            if latest is None:
                logger.warning("vLLM recovered after %.1fs", self._clock() - began)
                return True
            if latest != reason:
                logger.warning("%s is unhealthy: %s", self._where, latest)
            reason = latest

    async def _probe_twice(self) -> str | None:
        """Two probes: one lost probe must not stop every caller for a whole interval."""
        reason = await self._probe()
        pause = min(CONFIRM_AFTER, self._poll / 2, self._limit)
        if reason is None or pause == 0:
            return reason
        await self._sleep(pause)
        return await self._probe()
