"""Sends requests to the LLM server with retries and backoff: slots, throttling, outages."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from ftm_core.contracts.errors import InputError, LlmRequestError
from ftm_core.llm import wire
from ftm_core.llm.addresses import lasting_fault
from ftm_core.llm.outage import SharedRecovery, logger
from ftm_core.llm.reply_text import RefusedAnswerError

_Reply = TypeVar("_Reply")

# Attempts while the server is healthy. With one request in ten failing, eight in a row fail once in
# a hundred million; an answer that is too slow is slow again sooner.
MAX_ATTEMPTS = 8
MAX_TIMEOUTS = 3
# Give up on a prompt after this many outages: it may be what crashes the server.
MAX_OUTAGES = 25
INITIAL_BACKOFF = 0.5
MAX_BACKOFF = 10.0
PROBE_TIMEOUT = 10.0


@dataclass(frozen=True)
class Timing:
    """Where a sender's time comes from: a monotonic clock, a sleep, and the date."""

    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    now: Callable[[], dt.datetime]


class _TransientError(Exception):
    """A request failed in a way that may pass: broken connection, timeout, 5xx, damaged body."""

    def __init__(self, reason: str, *, timed_out: bool = False, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.timed_out = timed_out
        self.pause = pause


class _ThrottledError(Exception):
    """The server asked to slow down; ``pause`` in seconds where it said for how long."""

    def __init__(self, reason: str, pause: float | None) -> None:
        super().__init__(reason)
        self.pause = pause


class ServerRefusalError(LlmRequestError):
    """The server refused the request itself; ``status`` is the one that it answered with.

    It stays within the client, which distinguishes one item's refusal from one of every request.
    """

    def __init__(self, where: str, reason: str, status: int) -> None:
        super().__init__(
            where,
            f"refused the request ({reason})",
            "This item alone failed; the next run retries it.",
        )
        self.reason = reason
        self.status = status


@dataclass
class _Attempts:
    """What one request has already been through."""

    failed: int = 0
    timeouts: int = 0
    outages: int = 0
    throttles: int = 0
    throttled_seconds: float = 0.0


class Sender:
    """Sends through ``http`` with at most ``max_concurrent`` requests on their way at once.

    ``timeout`` bounds one whole answer, ``longest_wait`` one outage or one request's throttling,
    ``poll`` lies between health probes (all seconds).
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        server: str,
        health_url: str,
        max_concurrent: int,
        timeout: float,
        longest_wait: float,
        poll: float,
        timing: Timing,
    ) -> None:
        self._http = http
        self._server = server
        self._health_url = health_url
        self._timeout = timeout
        self._longest_wait = longest_wait
        self._timing = timing
        self._slots = asyncio.Semaphore(max_concurrent)
        self._not_before = timing.clock()
        # A name that was once resolved may be lost for a while; one that never was is wrong.
        self._was_reached = False
        self._told_of_timeouts = False
        self.recovery = SharedRecovery(
            self._probe,
            where=f"The LLM server {server}",
            limit=longest_wait,
            poll=poll,
            clock=timing.clock,
            sleep=timing.sleep,
        )

    async def send(
        self,
        method: str,
        url: str,
        body: dict[str, Any] | None,
        read: Callable[[httpx.Response], _Reply],
    ) -> _Reply:
        """What ``read`` makes of the answer; it is given every 2xx and, first, every 4xx.

        Raises ServerRefusalError when the server refuses the request, LlmRequestError when it
        cannot be answered for another reason, LlmUnavailableError when the server stayed away, or
        asked to slow down, past the longest wait, InputError when no server can be there.
        """
        attempts = _Attempts()
        while True:
            async with self._slots:
                await self._go_ahead()
                n_outages = self.recovery.n_outages
                try:
                    return await self._once(method, url, body, read)
                except (_ThrottledError, _TransientError) as error:
                    problem = error
            if isinstance(problem, _ThrottledError):
                self._slow_down(problem, attempts)
            elif await self._met_outage(n_outages):
                attempts.outages += 1
                if attempts.outages >= MAX_OUTAGES:
                    raise self._failed(f"went down each of the {MAX_OUTAGES} times it was asked")
            else:
                await self._back_off(problem, attempts)

    async def _go_ahead(self) -> None:
        """Return when no outage is under way and no pause asked for by the server is left."""
        await self.recovery.settled()
        while (pause := self._not_before - self._timing.clock()) > 0:
            await self._timing.sleep(pause)
            await self.recovery.settled()

    async def _once(
        self,
        method: str,
        url: str,
        body: dict[str, Any] | None,
        read: Callable[[httpx.Response], _Reply],
    ) -> _Reply:
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._http.request(method, url, json=body)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise _TransientError(
                f"no answer within {self._timeout:g} s", timed_out=True
            ) from error
        except httpx.HTTPError as error:
            self._refuse_if_lasting(error)
            raise _TransientError(f"{type(error).__name__} {error}".strip()) from error
        self._was_reached = True
        status = response.status_code
        if response.is_redirect:
            raise InputError(
                f"The LLM server {self._server}",
                f"redirects {url} to {response.headers.get('location', 'nowhere')}",
                "Set LLM_BASE_URL to the address that it redirects to.",
            )
        if status == 429:
            pause = wire.retry_after(response, now=self._timing.now())
            raise _ThrottledError(wire.reason_of(response), pause)
        if wire.blames_request(response):
            raise ServerRefusalError(
                f"The LLM server {self._server}", wire.reason_of(response), status
            )
        if status >= 500 or status == 408:
            pause = wire.retry_after(response, now=self._timing.now())
            raise _TransientError(wire.reason_of(response), pause=pause or 0.0)
        try:
            return read(response)
        except wire.MalformedAnswerError as error:
            raise _TransientError(str(error)) from error
        except RefusedAnswerError as error:
            raise self._failed(f"sent an answer that {error}") from error
        except wire.RejectedRequestError as error:
            raise ServerRefusalError(
                f"The LLM server {self._server}", str(error), error.status
            ) from error

    def _refuse_if_lasting(self, error: httpx.HTTPError) -> None:
        """Raise InputError for a fault of the address that no waiting can end."""
        if not self._was_reached and (reason := lasting_fault(error)):
            raise InputError(
                f"The LLM server {self._server}",
                f"cannot be reached: {reason}",
                "Correct LLM_BASE_URL (`ftm config` shows where it comes from).",
            ) from error

    async def _met_outage(self, n_outages: int) -> bool:
        """Whether an outage explains the failure; returns when that outage is over."""
        if self.recovery.n_outages != n_outages:
            # Another caller noticed first: this failure is the same outage, not one more.
            await self.recovery.settled()
            return True
        return await self.recovery.check() or self.recovery.n_outages != n_outages

    async def _back_off(self, fault: _TransientError, attempts: _Attempts) -> None:
        if fault.timed_out and not self._told_of_timeouts:
            self._told_of_timeouts = True
            logger.warning(
                "The LLM server %s gave no answer within %g s and is asked again. If it is only "
                "slow, lower LLM_MAX_CONCURRENT or raise LLM_TIMEOUT.",
                self._server,
                self._timeout,
            )
        attempts.failed += 1
        attempts.timeouts += fault.timed_out
        if attempts.failed >= MAX_ATTEMPTS or attempts.timeouts >= MAX_TIMEOUTS:
            raise self._failed(
                f"failed {attempts.failed} times although it is healthy; the last failure: {fault}"
            )
        pause = min(MAX_BACKOFF, INITIAL_BACKOFF * 2 ** (attempts.failed - 1))
        await self._timing.sleep(max(pause, min(fault.pause, MAX_BACKOFF)))

    def _slow_down(self, throttled: _ThrottledError, attempts: _Attempts) -> None:
        """Hold every request back as asked; raises LlmUnavailableError past the longest wait.

        What counts are the pauses that this request was asked for, and not its wait for a slot:
        behind thousands of others it may be minutes from one try to the next.
        """
        pause = throttled.pause or min(MAX_BACKOFF, INITIAL_BACKOFF * 2**attempts.throttles)
        attempts.throttles += 1
        attempts.throttled_seconds += pause
        if attempts.throttled_seconds > self._longest_wait:
            raise self.recovery.give_up(
                f"asks to slow down for longer than {self._longest_wait:g} s ({throttled})"
            )
        self._not_before = max(self._not_before, self._timing.clock() + pause)

    async def _probe(self) -> str | None:
        """None when the server answers and does not call itself unhealthy, or else why not.

        A server without a health page (404 and the like) is healthy as long as it answers.
        """
        limit = min(PROBE_TIMEOUT, self._timeout)
        try:
            async with asyncio.timeout(limit):
                response = await self._http.get(self._health_url)
        except (TimeoutError, httpx.TimeoutException):
            return f"no answer to {self._health_url} within {limit:g} s"
        except httpx.HTTPError as error:
            self._refuse_if_lasting(error)
            return f"{self._health_url}: {type(error).__name__} {error}".strip()
        if response.status_code >= 500:
            return f"{self._health_url}: {wire.reason_of(response)}"
        return None

    def _failed(self, cause: str) -> LlmRequestError:
        return LlmRequestError(
            f"The LLM server {self._server}",
            cause,
            "This item alone failed; the next run retries it.",
        )
