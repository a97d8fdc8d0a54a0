"""One quarter from transcripts to themes: the steps that containers run apart, run in turn here."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from ftm_core.contracts.errors import FtmError, InputError, RetryableError
from ftm_core.contracts.events import Listener, Note, StageFinished, StageStarted
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import Batch, Failure, Manifest, RunIdentity, StageTiming, Timings
from ftm_core.contracts.settings import Settings
from ftm_core.data import lease
from ftm_core.data.batch_plan import plan_batches
from ftm_core.data.quarter_store import QuarterStore
from ftm_core.llm.answers import AnswerStore
from ftm_core.llm.client import LlmClient
from ftm_core.memory import peak_memory_mib
from ftm_core.run_inputs import run_inputs
from ftm_core.storage import Storage
from ftm_core.storage.probe import probe
from ftm_core.themes.reduce_job import ReduceContext, ReduceOutcome, run_reduce
from ftm_core.topics import map_job
from ftm_core.topics.map_job import BatchOutcome, MapContext, run_batch
from ftm_core.topics.workers import ModelWorkers, default_workers


@dataclass(frozen=True)
class RunRequest:
    """What one run is asked to do."""

    storage: Storage
    quarter: Quarter
    settings: Settings
    run_name: str
    listener: Listener
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    restart: bool = False
    max_firms: int | None = None
    # The steps are jobs of their own: the lease must outlive the process that acquires it.
    is_scheduled: bool = False

    @property
    def store(self) -> QuarterStore:
        """The quarter that is run."""
        return QuarterStore(self.storage, self.quarter)


@dataclass(frozen=True)
class QuarterOutcome:
    """What a run of a quarter came to."""

    run_id: str
    batches: tuple[BatchOutcome, ...]
    reduce: ReduceOutcome
    timings: tuple[StageTiming, ...]
    peak_memory_mib: float

    @property
    def failures(self) -> tuple[Failure, ...]:
        """All recorded failures of the map."""
        return tuple(failure for batch in self.batches for failure in batch.failures)


def plan(request: RunRequest) -> tuple[RunIdentity, Manifest, list[Batch]]:
    """Check the transcripts, acquire the lease, and write its plan (or keep it).

    A plan once written stays as long as its run: batches and checkpoints belong together.
    """
    manifest = request.store.manifest
    probe(request.storage)
    owner = lease.scheduled_run if request.is_scheduled else lease.this_process
    identity = request.store.acquire(
        _run_inputs(request, manifest), owner(request.run_name), restart=request.restart
    )
    batches = request.store.plan
    if batches is None:
        batches = plan_batches(manifest, request.settings.map.batch_size, request.max_firms)
        request.store.write_plan(batches)
    return identity, manifest, batches


def find_completed_run(request: RunRequest) -> RunIdentity | None:
    """The identity of a finished quarter that a run would leave as it is, else None.

    Lets a re-run find that there is nothing to do before any model or server is started.
    """
    identity = request.store.find_run()
    if identity is None or identity.finished is None or request.restart:
        return None
    manifest = request.store.manifest
    if identity.fingerprint != lease.fingerprint(_run_inputs(request, manifest)):
        return None
    output = request.store.map_output(identity.run_id)
    return None if output.failures else identity


@dataclass(frozen=True)
class _Work:
    """A run under way: what is to be done, and the client and processes that do it."""

    request: RunRequest
    identity: RunIdentity
    manifest: Manifest
    batches: list[Batch]
    client: LlmClient
    workers: ModelWorkers
    clock: _StageClock


async def run_quarter(request: RunRequest) -> QuarterOutcome:
    """Plan, map, reduce and package one quarter in this process.

    Resumes from what an earlier run of the same inputs finished. Raises the errors of ``plan``,
    ``run_batch`` and ``run_reduce``; the lease is released in every case.
    """
    clock = _StageClock(request.listener)
    identity, manifest, batches = await asyncio.to_thread(plan, request)
    finished = False
    n_workers = default_workers(request.settings)
    try:
        async with (
            _renewed_lease(request),
            _client(request) as client,
            ModelWorkers(request.settings, n_workers) as workers,
        ):
            work = _Work(request, identity, manifest, batches, client, workers, clock)
            outcomes = await _map(work)
            reduced = await _reduce(work)
        finished = True
        return QuarterOutcome(
            run_id=identity.run_id,
            batches=outcomes,
            reduce=reduced,
            timings=tuple(clock.timings),
            peak_memory_mib=peak_memory_mib(),
        )
    finally:
        _write_timings(request, clock)
        request.store.release(request.run_name, finished=finished)


async def run_one_batch(request: RunRequest, batch_id: str) -> BatchOutcome:
    """Run one batch of a quarter that ``request.run_name`` has leased: the map container's work."""
    identity = request.store.require_lease(request.run_name)
    manifest = request.store.manifest
    batches = {b.batch_id: b for b in request.store.plan or []}
    if batch_id not in batches:
        raise InputError(
            f"The batch {batch_id}",
            "is not in the plan of the quarter",
            f"Name a batch of the plan in {request.store.plan_location}.",
        )
    batch = batches[batch_id]
    n_workers = default_workers(request.settings)
    async with (
        _renewed_lease(request),
        _client(request, batch_id) as client,
        ModelWorkers(request.settings, n_workers) as workers,
    ):
        clock = _StageClock(request.listener)
        (outcome,) = await _map(_Work(request, identity, manifest, [batch], client, workers, clock))
    return outcome


async def run_reduce_alone(request: RunRequest) -> ReduceOutcome:
    """Reduce a quarter whose lease ``request.run_name`` owns: the reduce container's work.

    It is the last job of a run, so it releases the lease however it ends: once the cause is fixed,
    the quarter can be started again at once. Only an end that is retried keeps the lease.
    """
    identity = request.store.require_lease(request.run_name)
    try:
        outcome = await _reduce_leased(request, identity)
    except RetryableError:
        raise
    except Exception:
        # The reason why it failed is more important than a lease that cannot be released.
        with contextlib.suppress(FtmError):
            request.store.release(request.run_name, finished=False)
        raise
    request.store.release(request.run_name, finished=True)
    return outcome


async def _reduce_leased(request: RunRequest, identity: RunIdentity) -> ReduceOutcome:
    manifest = request.store.manifest
    batches = request.store.plan or []
    clock = _StageClock(request.listener)
    async with (
        _renewed_lease(request),
        _client(request, "themes") as client,
        ModelWorkers(request.settings, 1, embeds=False) as workers,
    ):
        outcome = await _reduce(_Work(request, identity, manifest, batches, client, workers, clock))
    _write_timings(request, clock)
    return outcome


def _run_inputs(request: RunRequest, manifest: Manifest) -> dict[str, Any]:
    """What the rows depend on; a run over some firms is another run than one over all."""
    return {
        **run_inputs(manifest, request.settings),
        "max_firms": request.max_firms,
    }


async def _map(work: _Work) -> tuple[BatchOutcome, ...]:
    request = work.request
    n_firms = sum(len(batch.firm_ids) for batch in work.batches)
    done = await asyncio.to_thread(_n_completed, request, work.identity, work.batches)
    context = MapContext(
        storage=request.storage,
        manifest=work.manifest,
        run_id=work.identity.run_id,
        settings=request.settings,
        client=work.client,
        workers=work.workers,
        stop=request.stop,
        listener=request.listener,
    )
    with work.clock.stage(map_job.STAGE, n_firms, "firms", done):
        return tuple([await run_batch(batch, context) for batch in work.batches])


async def _reduce(work: _Work) -> ReduceOutcome:
    request = work.request
    output = await asyncio.to_thread(request.store.map_output, work.identity.run_id)
    context = ReduceContext(
        storage=request.storage,
        manifest=work.manifest,
        output=output,
        settings=request.settings,
        client=work.client,
        workers=work.workers,
        stop=request.stop,
        listener=request.listener,
    )
    with work.clock.stage("reduce", None, "steps", 0):
        return await run_reduce(context)


def _n_completed(request: RunRequest, identity: RunIdentity, batches: list[Batch]) -> int:
    """Firms that earlier runs of the same identity finished."""
    done = 0
    for batch in batches:
        saved = request.store.checkpoint(batch.batch_id)
        if saved is not None and saved.run_id == identity.run_id:
            done += len(saved.completed_firm_ids)
    return done


@contextlib.asynccontextmanager
async def _client(request: RunRequest, writer: str = "run") -> AsyncIterator[LlmClient]:
    """The one LLM client of the job, with the cache of its answers."""
    answers = await asyncio.to_thread(
        AnswerStore.open, request.storage, request.quarter, writer=writer
    )
    async with LlmClient(
        request.settings.llm, answers=answers, listener=request.listener
    ) as client:
        yield client


@contextlib.asynccontextmanager
async def _renewed_lease(request: RunRequest) -> AsyncIterator[None]:
    """Renew the lease while the block runs; losing it stops the run."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(lease.HEARTBEAT_SECONDS)
            try:
                await asyncio.to_thread(request.store.renew, request.run_name)
            except FtmError as error:
                request.listener(Note(str(error), "warning"))
                request.stop.set()
                return

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class _StageClock:
    """Announces stages and keeps the seconds of each."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.timings: list[StageTiming] = []

    @contextlib.contextmanager
    def stage(self, name: str, total: int | None, unit: str, done: int) -> Iterator[None]:
        self._listener(StageStarted(name, total, unit, done))
        started = time.monotonic()
        is_complete = False
        try:
            yield
            is_complete = True
        finally:
            seconds = time.monotonic() - started
            self.timings.append(StageTiming(name, seconds))
            self._listener(StageFinished(name, seconds, is_complete))


def _write_timings(request: RunRequest, clock: _StageClock) -> None:
    """Keep the timings for the report, beside the progress."""
    stages = tuple(dataclasses.replace(one, seconds=round(one.seconds, 3)) for one in clock.timings)
    record = Timings(request.run_name, stages, round(peak_memory_mib(), 1))
    with contextlib.suppress(FtmError):
        request.store.write_timings(record)
