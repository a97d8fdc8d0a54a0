"""Split the turns of many calls into sentences, on all cores where that pays."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from types import TracebackType
from typing import Self, TypeVar

from ftm_core.contracts.errors import RetryableError
from ftm_core.text.sentences import split

# Below this number of turns a pool costs more to start than it saves.
TURNS_WORTH_A_POOL = 10_000
# Turns that go to a process together: enough to make the transfer cheap, few enough for memory.
_TURNS_PER_TASK = 500
_TASKS_PER_WORKER = 2

_Item = TypeVar("_Item")


class Splitter:
    """Splits texts in processes, or here when there are few; order and result are the same.

    Use it as a context manager: leaving it ends the processes.
    """

    def __init__(self, n_turns: int, n_workers: int | None = None) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self._n_workers = n_workers if n_workers is not None else cores or 1
        self._pool: ProcessPoolExecutor | None = None
        if self._n_workers > 1 and n_turns >= TURNS_WORTH_A_POOL:
            self._pool = ProcessPoolExecutor(
                self._n_workers,
                # A fork would inherit the locks of Arrow's and DuckDB's threads.
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start_worker,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def split_all(
        self, items: Iterable[_Item], texts_of: Callable[[_Item], Sequence[str]]
    ) -> Iterator[tuple[_Item, list[list[str]]]]:
        """Yield each item with the sentences of each of its texts, in the order of ``items``.

        Only a few items per process are held at a time. Raises RetryableError when a process died.
        """
        if self._pool is None:
            for item in items:
                yield item, split_texts(texts_of(item))
            return
        try:
            yield from self._in_processes(self._pool, items, texts_of)
        except BrokenProcessPool as error:
            raise RetryableError(
                "A process that splits sentences",
                "ended before its work was done: it was killed, or memory ran out",
                "Run the same command again; nothing was written.",
            ) from error

    def _in_processes(
        self,
        pool: ProcessPoolExecutor,
        items: Iterable[_Item],
        texts_of: Callable[[_Item], Sequence[str]],
    ) -> Iterator[tuple[_Item, list[list[str]]]]:
        waiting: deque[tuple[list[tuple[_Item, int]], Future[list[list[str]]]]] = deque()
        for group in _groups(items, texts_of):
            texts = [text for _, its in group for text in its]
            counts = [(item, len(its)) for item, its in group]
            waiting.append((counts, pool.submit(split_texts, texts)))
            if len(waiting) >= _TASKS_PER_WORKER * self._n_workers:
                yield from _results(*waiting.popleft())
        while waiting:
            yield from _results(*waiting.popleft())


def split_texts(texts: Sequence[str]) -> list[list[str]]:
    """The sentences of each text."""
    return [split(text) for text in texts]


def _groups(
    items: Iterable[_Item], texts_of: Callable[[_Item], Sequence[str]]
) -> Iterator[list[tuple[_Item, Sequence[str]]]]:
    group: list[tuple[_Item, Sequence[str]]] = []
    n_texts = 0
    for item in items:
        texts = texts_of(item)
        group.append((item, texts))
        n_texts += len(texts)
        if n_texts >= _TURNS_PER_TASK:
            yield group
            group, n_texts = [], 0
    if group:
        yield group


def _results(
    counts: list[tuple[_Item, int]], future: Future[list[list[str]]]
) -> Iterator[tuple[_Item, list[list[str]]]]:
    sentences = iter(future.result())
    for item, count in counts:
        yield item, list(islice(sentences, count))


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, which ends its processes itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
