"""Processes that embed and cluster, so that neither the LLM calls nor each other wait for them."""

from __future__ import annotations

import asyncio
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, Self, TypeVar

import pyarrow as pa
from tqdm import tqdm

from ftm_core.contracts.errors import RetryableError
from ftm_core.contracts.settings import Settings
from ftm_core.stopping import held_back
from ftm_core.topics.embedding import Embedder

_Result = TypeVar("_Result")
_NICENESS = 10

# One embedder a process, loaded when the process starts and shared by all its firms. Nothing else
# outlives a firm: each gets models of its own.
_embedder: Embedder | None = None
_settings: Settings | None = None


class ModelWorkers:
    """A pool of processes that hold the embedding model."""

    def __init__(self, settings: Settings, n_workers: int) -> None:
        self.n_workers = n_workers
        self._pool = ProcessPoolExecutor(
            n_workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(settings,),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            # An interrupted run must leave within seconds; a firm at work is simply done again.
            for child in multiprocessing.active_children():
                child.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def call(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Run ``function(embedder, settings, *arguments)`` in a worker.

        Raises RetryableError when a worker died (killed, or out of memory).
        """
        try:
            # The pool starts its processes as work comes in.
            with held_back():
                future = self._pool.submit(_run_in_worker, function, arguments)
            return await asyncio.wrap_future(future)
        except BrokenProcessPool as error:
            raise RetryableError(
                "a topic-model process",
                "died (killed, or out of memory)",
                "Run the same command again: finished firms are kept. With little memory, lower "
                "MAP_WORKERS.",
            ) from error


def default_workers(settings: Settings) -> int:
    """Processes to use: the setting, or one per core but one."""
    return settings.map.workers or max(1, (os.cpu_count() or 2) - 1)


def _start_worker(settings: Settings) -> None:
    global _embedder, _settings  # noqa: PLW0603 - state of the process, set once at its start
    # The parent decides when to stop; a Ctrl-C reaches the whole process group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    # Models run ahead of the LLM: where it is embedded, the cores are the LLM's first.
    os.nice(_NICENESS)
    # Progress bars, drawn or not, share a lock between processes. It is registered to be removed
    # by a process that ends in order, which one that is killed at work never does.
    tqdm.set_lock(threading.RLock())
    from ftm_core.topics.embedding import load_embedder

    _embedder = load_embedder(settings.embedding)
    _settings = settings


def _exit_with_parent() -> None:
    """Leave when the parent is gone, even by kill -9."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _run_in_worker(function: Callable[..., _Result], arguments: tuple[Any, ...]) -> _Result:
    assert _embedder is not None
    assert _settings is not None
    return function(_embedder, _settings, *arguments)


def embed_texts(embedder: Embedder, settings: Settings, texts: list[str]) -> Any:
    """Worker task: vectors of the texts."""
    return embedder.embed(texts)


def model_one_firm(embedder: Embedder, settings: Settings, sentences: pa.Table) -> Any:
    """Worker task: topics of one firm."""
    from ftm_core.topics.firm_model import model_firm

    return model_firm(sentences, embedder, settings.firm_topics)
