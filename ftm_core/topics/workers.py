"""Processes that embed and cluster, so that neither the LLM calls nor each other wait for them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import multiprocessing
import multiprocessing.connection
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, Self, TypeVar

import pyarrow as pa
from tqdm import tqdm

from ftm_core.contracts.errors import FtmError, InputError, RetryableError
from ftm_core.contracts.settings import Settings
from ftm_core.cpus import available_cpus
from ftm_core.stopping import block_signals
from ftm_core.topics.embedding import Embedder

_Result = TypeVar("_Result")
_NICENESS = 10
_END_SECONDS = 5.0
_POLL_SECONDS = 0.02
# Stops Python from importing modules out of the working folder (-P). Source: python(1).
_SAFE_PATH = "PYTHONSAFEPATH"
# A crash that comes at each start again, as where a library needs a newer CPU.
_CRASHES = frozenset({signal.SIGILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE})

# One embedder a process, loaded when the process starts and shared by all its firms. Nothing else
# outlives a firm: each gets models of its own.
_embedder: Embedder | None = None
_settings: Settings | None = None
_start_error: FtmError | None = None


class ModelWorkers:
    """A pool of processes for models; with ``embeds`` each loads the embedding model as it starts.

    Without, functions get None in place of the embedding model, which then need not exist.
    """

    def __init__(self, settings: Settings, n_workers: int, *, embeds: bool = True) -> None:
        self.n_workers = n_workers
        try:
            self._pool = ProcessPoolExecutor(
                n_workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start_worker,
                initargs=(settings, embeds),
            )
        except OSError as error:
            # Their queues have semaphores, which live in shared memory.
            raise InputError(
                "The shared memory /dev/shm",
                f"cannot be used by the topic-model processes ({error.strerror})",
                "Free or enlarge it; for a container, with --shm-size 64m or more.",
            ) from error
        self._children: list[multiprocessing.process.BaseProcess] = []
        self._has_worked = False

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
            self._close_call_queue()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _close_call_queue(self) -> None:
        """Close the reading end of the pool's queue, so that no thread writes to killed processes.

        Python before 3.11.5 leaves it open and then waits for that thread without end. Source:
        CPython issue 94777.
        """
        queue: Any = self._pool._call_queue  # type: ignore[attr-defined]
        if queue is not None:
            queue._reader.close()

    async def call(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Run ``function(embedder, settings, *arguments)`` in a worker.

        Raises InputError with the cause when the workers cannot start, RetryableError when one
        died at work (killed, or out of memory).
        """
        try:
            # The pool starts its processes as work comes in.
            with block_signals(), _own_modules_only():
                future = self._pool.submit(_run_in_worker, function, arguments)
            self._children += [
                child for child in multiprocessing.active_children() if child not in self._children
            ]
            result = await asyncio.wrap_future(future)
            self._has_worked = True
            return result
        except BrokenProcessPool as error:
            if not self._has_worked:
                self._raise_if_unable_to_start()
            raise RetryableError(
                "A topic-model process",
                "died: it was killed, or memory ran out",
                "Run the same command again: finished firms are kept. With little memory, lower "
                "MAP_WORKERS.",
            ) from error

    def _raise_if_unable_to_start(self) -> None:
        """Raise InputError when a worker ended by itself, or crashed, before any had worked."""
        sentinels = {child.sentinel: child for child in self._children}
        for sentinel in multiprocessing.connection.wait(list(sentinels), _END_SECONDS):
            assert isinstance(sentinel, int)
            code = _exit_code(sentinels[sentinel])
            if code is None or code == 0 or (code < 0 and -code not in _CRASHES):
                continue
            how = (
                f"ended with code {code}" if code > 0 else f"crashed ({signal.Signals(-code).name})"
            )
            raise InputError(
                "A topic-model process",
                f"{how} as it started",
                "Run `ftm validate`. If that passes, make the Python environment again: a package "
                "in it is damaged, or made for another CPU.",
            )


def _exit_code(child: multiprocessing.process.BaseProcess) -> int | None:
    """How an ended process ended; None when the system does not say within five seconds.

    The pool notices the end before the system reports it, and waits for the same process in a
    thread of its own: a wait that loses to that thread returns at once, with nothing.
    """
    deadline = time.monotonic() + _END_SECONDS
    while (code := child.exitcode) is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return code


@contextlib.contextmanager
def _own_modules_only() -> Iterator[None]:
    """Processes started in the block import nothing from the working folder."""
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SAFE_PATH]
        else:
            os.environ[_SAFE_PATH] = before


def default_workers(settings: Settings) -> int:
    """Processes to use: the setting, or one per core but one."""
    return settings.map.workers or max(1, available_cpus() - 1)


def _start_worker(settings: Settings, embeds: bool) -> None:
    global _start_error  # noqa: PLW0603 - state of the process, set once at its start
    # The parent decides when to stop; a Ctrl-C reaches the whole process group.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    # Models run ahead of the LLM: where it runs on this machine, it gets the cores first.
    os.nice(_NICENESS)
    # Progress bars, drawn or not, share a lock between processes. It is registered to be removed
    # by a process that ends in order, which one that is killed at work never does.
    tqdm.set_lock(threading.RLock())
    # An exception here would only break the pool, and its reason would be lost: the first task
    # raises it instead.
    try:
        _load_models(settings, embeds)
    except FtmError as error:
        _start_error = error
    except Exception as error:  # noqa: BLE001 - a package may raise anything as it is loaded
        _start_error = _unable_to_start(error)


def _load_models(settings: Settings, embeds: bool) -> None:
    global _embedder, _settings  # noqa: PLW0603 - state of the process, set once at its start
    from ftm_core.topics.numba_cache import ensure_numba_cache

    ensure_numba_cache()
    if embeds:
        from ftm_core.topics.embedding import load_embedder

        _embedder = load_embedder(settings.embedding)
    # Loaded now, so that a package that is missing or broken is no fault of a firm.
    import ftm_core.topics.topic_model  # noqa: F401

    _settings = settings


def _unable_to_start(error: Exception) -> FtmError:
    """What ``error`` means for whoever started the run."""
    where = "A topic-model process"
    if isinstance(error, MemoryError):
        return RetryableError(where, "ran out of memory", "Lower MAP_WORKERS, then repeat.")
    cause = f"cannot start ({type(error).__name__}: {error})"
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return InputError(
            where,
            f"cannot start: the temporary folder {tempfile.gettempdir()} is full",
            "Free some space there, or set TMPDIR to another folder.",
        )
    if isinstance(error, ImportError):
        return InputError(where, cause, "Install ftm again, with all packages of its lock file.")
    return InputError(where, cause, "Correct the cause. `ftm validate` checks models and folders.")


def _exit_with_parent() -> None:
    """Leave when the parent is gone, even by kill -9."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _run_in_worker(function: Callable[..., _Result], arguments: tuple[Any, ...]) -> _Result:
    if _start_error is not None:
        raise _start_error
    assert _settings is not None
    return function(_embedder, _settings, *arguments)


def embed_texts(embedder: Embedder, settings: Settings, texts: list[str]) -> Any:
    """Worker task: vectors of the texts."""
    return embedder.embed(texts)


def model_one_firm(embedder: Embedder, settings: Settings, sentences: pa.Table) -> Any:
    """Worker task: topics of one firm."""
    from ftm_core.topics.find_topics import find_firm_topics

    return find_firm_topics(sentences, embedder, settings.firm_topics)
