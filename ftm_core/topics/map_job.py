"""One map job: a batch of firms through modelling and summaries, saved part by part.

Modelling (processes) and summaries (the LLM server) overlap: firms flow through with a bounded
number in flight, so memory does not grow with the batch and neither side waits for the other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass

import pyarrow as pa

from ftm_core.contracts.errors import (
    ChecksFailedError,
    InputError,
    InterruptedRunError,
    RetryableError,
    StorageError,
)
from ftm_core.contracts.events import Listener, Note, StageAdvanced
from ftm_core.contracts.records import Batch, Failure, Manifest, utc_now
from ftm_core.contracts.settings import Settings
from ftm_core.data.checkpoints import BatchCheckpoints, FinishedFirm
from ftm_core.data.transcript_chunks import iterate_firms
from ftm_core.llm.client import LlmClient
from ftm_core.storage import Storage
from ftm_core.topics.find_topics import INPUT_COLUMNS
from ftm_core.topics.summaries import summarize_firm
from ftm_core.topics.workers import ModelWorkers, model_one_firm

STAGE = "map"
_log = logging.getLogger("ftm.map")


@dataclass(frozen=True)
class BatchOutcome:
    """What one batch came to."""

    batch_id: str
    n_firms: int
    n_completed: int
    n_topics: int
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class MapContext:
    """All that a map job works with."""

    storage: Storage
    manifest: Manifest
    run_id: str
    settings: Settings
    client: LlmClient
    workers: ModelWorkers
    stop: asyncio.Event
    listener: Listener


async def run_batch(batch: Batch, context: MapContext) -> BatchOutcome:
    """Work through the batch's pending firms.

    Raises InterruptedRunError on a stop, LlmUnavailableError or StorageRetryableError on a lasting
    outage (each after saving what is finished), and ChecksFailedError when failures look systemic.
    """
    progress = await asyncio.to_thread(
        BatchCheckpoints.open, context.storage, batch, context.run_id
    )
    job = _MapJob(batch, progress, context)
    await job.run()
    return BatchOutcome(
        batch_id=batch.batch_id,
        n_firms=len(batch.firm_ids),
        n_completed=progress.n_completed,
        n_topics=progress.n_topics,
        failures=progress.failures,
    )


class _MapJob:
    def __init__(self, batch: Batch, progress: BatchCheckpoints, context: MapContext) -> None:
        self._batch = batch
        self._progress = progress
        self._context = context
        self._unsaved: list[FinishedFirm] = []
        self._n_seen = 0
        self._n_failed = 0
        self._n_failed_in_a_row = 0
        settings = context.settings
        # Enough firms in flight to keep every worker and every LLM slot busy, and no more.
        self._limit = 2 * context.workers.n_workers + settings.llm.max_concurrent
        # A modelled firm holds its place until summarised, so this bounds modelling ahead too.
        self._slots = asyncio.Semaphore(self._limit)

    async def run(self) -> None:
        pending = self._progress.pending
        if not pending:
            return
        tasks: set[asyncio.Task[FinishedFirm | Failure]] = set()
        stop = asyncio.create_task(self._context.stop.wait())
        try:
            async with aclosing(self._firms(pending)) as firms:
                async for firm_id, sentences in firms:
                    await self._slots.acquire()
                    task = asyncio.create_task(self._one_firm(firm_id, sentences))
                    task.add_done_callback(lambda _: self._slots.release())
                    tasks.add(task)
                    tasks = await self._collect(tasks, stop, until=self._limit - 1)
            await self._collect(tasks, stop, until=0)
        finally:
            for task in tasks:
                task.cancel()
            stop.cancel()
            await asyncio.gather(*tasks, stop, return_exceptions=True)
            await self._save_finished(tasks)

    async def _save_finished(self, tasks: set[asyncio.Task[FinishedFirm | Failure]]) -> None:
        """Save what is finished, however the job ended; a storage error is raised as its own."""
        for task in tasks:
            if task.done() and not task.cancelled() and task.exception() is None:
                with suppress(ChecksFailedError):
                    await self._take(task.result())
        await self._save(self._unsaved)
        self._unsaved = []

    async def _save(self, firms: list[FinishedFirm]) -> None:
        """Save answers, then the part that rests on them, then the checkpoint that names both."""
        await self._context.client.save_answers()
        await asyncio.to_thread(self._progress.save, firms)

    async def _firms(self, pending: list[str]) -> AsyncGenerator[tuple[str, pa.Table]]:
        """Sentences of the pending firms, read ahead in a thread."""
        source = iterate_firms(
            self._context.storage, self._context.manifest, pending, columns=INPUT_COLUMNS
        )
        while (item := await asyncio.to_thread(_next, source)) is not None:
            yield item

    async def _one_firm(self, firm_id: str, sentences: pa.Table) -> FinishedFirm | Failure:
        settings = self._context.settings
        try:
            model = await self._context.workers.call(model_one_firm, sentences)
            return await summarize_firm(
                model,
                sentences,
                self._context.client,
                quarter=self._batch.quarter,
                llm=settings.llm,
            )
        except (RetryableError, StorageError, InputError):
            # The LLM, the store or the set-up failed, not this firm.
            raise
        except Exception as error:  # noqa: BLE001 - any error that one firm's text provokes is recorded
            _log.debug("firm %s failed", firm_id, exc_info=error)
            return Failure(
                firm_id=firm_id,
                error_type=type(error).__name__,
                error_message=str(error) or repr(error),
                attempts=1,
                timestamp=utc_now(),
            )

    async def _collect(
        self,
        tasks: set[asyncio.Task[FinishedFirm | Failure]],
        stop: asyncio.Task[bool],
        *,
        until: int,
    ) -> set[asyncio.Task[FinishedFirm | Failure]]:
        """Take results until at most ``until`` firms are in flight; returns those."""
        while True:
            done = {task for task in tasks if task.done()}
            for task in done:
                tasks.discard(task)
                await self._take(task.result())
            if stop.done():
                raise InterruptedRunError(
                    f"The batch {self._batch.batch_id}",
                    "was asked to stop, and everything finished is saved",
                    "Run the same command again to resume.",
                )
            if len(tasks) <= until:
                return tasks
            await asyncio.wait({*tasks, stop}, return_when=asyncio.FIRST_COMPLETED)

    async def _take(self, result: FinishedFirm | Failure) -> None:
        """Count one firm's result, save when a part is full, stop when failures are systemic."""
        self._n_seen += 1
        if isinstance(result, Failure):
            self._progress.record_failure(result)
            failures: tuple[Failure, ...] = (result,)
        else:
            self._unsaved.append(result)
            failures = result.failed_topics
        self._n_failed += bool(failures)
        self._n_failed_in_a_row = self._n_failed_in_a_row + 1 if failures else 0
        self._context.listener(StageAdvanced(STAGE))
        for failure in failures:
            place = failure.topic_id or failure.firm_id
            self._context.listener(Note(f"{place}: {failure.error_message}", "warning"))
        if len(self._unsaved) >= self._context.settings.map.checkpoint_interval:
            saving, self._unsaved = self._unsaved, []
            await self._save(saving)
        self._stop_if_systemic(failures)

    def _stop_if_systemic(self, failures: tuple[Failure, ...]) -> None:
        settings = self._context.settings.map
        reason = None
        if self._n_failed_in_a_row >= settings.max_consecutive_failures:
            reason = f"{self._n_failed_in_a_row} firms failed in a row"
        elif (
            self._n_seen >= settings.min_processed_for_rate
            and self._n_failed / self._n_seen > settings.max_failure_rate
        ):
            reason = f"{self._n_failed} of {self._n_seen} firms failed"
        if failures and reason:
            raise ChecksFailedError(
                f"The batch {self._batch.batch_id}",
                f"stopped, because {reason}. The last one failed with: "
                f"{failures[-1].error_message}",
                "Fix the cause and run the same command again: finished firms are kept, failed "
                "ones are retried. `ftm failures` lists them.",
            )


def _next(source: Iterator[tuple[str, pa.Table]]) -> tuple[str, pa.Table] | None:
    return next(source, None)
