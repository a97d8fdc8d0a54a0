"""Ways to embed the bundled sentence model on the CPU: backends, spreads over cores, and passes.

Run by ``make bench-embedding``, or from the project root as ``python -m bench.embedding_backends
[--firms N] [--rounds N]`` with the packages of bench/backends.txt. Every way embeds the same calls
of MAEC, largest first, call by call, in processes of its own that have loaded their model before;
the ways take turns in one run. Its first round, with shapes that the backend has not yet seen,
counts apart. `ftm` is the product itself, by its ModelWorkers; ``ctranslate2 int8, 16 sentences``
is the same by the processes of this benchmark.

"alone" and "in another call": how far one coordinate of a sentence's vector is at most from that
in its own call, if it is embedded by itself, or together with sentences of all calls.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.embedding_models import LAST_GRAPH, Batches, Way, embed_calls, make_graphs, start_process
from bench.measuring import Spent, in_turn, ratio_of, report
from ftm_core.contracts.settings import Settings
from ftm_core.topics.embedding import Vectors
from ftm_core.topics.workers import ModelWorkers, embed_texts

Calls = Sequence[list[str]]
PACKAGES = ("onnx", "onnxruntime", "openvino", "nncf")
PRODUCT = "ftm"
DEFAULT = "sentence-transformers, threads"
# Sentences that NNCF takes ranges from, of other firms than those measured.
CALIBRATION = 64
CT2 = "ctranslate2 int8"
WAYS = {
    DEFAULT: Way("sentence-transformers", "threads"),
    f"{CT2}, 16 sentences": Way(CT2, "processes"),
    f"{CT2}, threads": Way(CT2, "threads"),
    f"{CT2}, streams": Way(CT2, "streams"),
    f"{CT2}, 256 tokens": Way(CT2, "processes", Batches(None, tokens=256)),
    f"{CT2}, 512 tokens": Way(CT2, "processes", Batches(None, tokens=512)),
    f"{CT2}, 1024 tokens": Way(CT2, "processes", Batches(None, tokens=1024)),
    f"{CT2}, one sentence": Way(CT2, "processes", Batches(1)),
    f"{CT2}, equal lengths": Way(CT2, "processes", Batches(multiple=1)),
    f"{CT2}, multiples of 8": Way(CT2, "processes", Batches(multiple=8)),
    f"{CT2}, multiples of 16": Way(CT2, "processes", Batches(multiple=16)),
    "onnxruntime fp32, processes": Way("onnxruntime fp32", "processes"),
    "onnxruntime int8, threads": Way("onnxruntime int8", "threads"),
    "onnxruntime int8, processes": Way("onnxruntime int8", "processes"),
    "onnxruntime int8, fused, processes": Way("onnxruntime int8, fused", "processes"),
    "openvino fp32, threads": Way("openvino fp32", "threads"),
    "openvino fp32, processes": Way("openvino fp32", "processes"),
    "openvino default, processes": Way("openvino default", "processes"),
    "openvino int8, threads": Way("openvino int8", "threads"),
    "openvino int8, streams": Way("openvino int8", "streams"),
    "openvino int8, processes": Way("openvino int8", "processes"),
    "openvino int8 weights, processes": Way("openvino int8 weights", "processes"),
}


class Processes:
    """The processes of one way, their models loaded."""

    def __init__(self, way: Way, graphs: Path, n_cores: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._n = way.n_processes(n_cores)
        started = (way, graphs, n_cores, context.Barrier(self._n))
        self._pool = ProcessPoolExecutor(self._n, context, start_process, started)
        self.embed([["Revenue grew."]] * self._n)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def embed(self, calls: Calls) -> Vectors:
        """Vectors of all sentences, one call after the other."""
        tasks = [calls] if self._n == 1 else [[call] for call in calls]
        done = list(self._pool.map(embed_calls, tasks))
        return np.vstack([vectors for task in done for vectors in task])


class Product:
    """The workers of the map, driven from an event loop in a thread of its own."""

    def __init__(self, n_cores: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._workers = ModelWorkers(Settings(), n_cores)
        self.embed([["Revenue grew."]] * 2 * n_cores)

    def __enter__(self) -> Product:
        return self

    def __exit__(self, *_: object) -> None:
        self._await(self._workers.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def embed(self, calls: Calls) -> Vectors:
        """Vectors of all sentences, one call after the other."""
        return np.vstack(self._await(self._embed(calls)))

    async def _embed(self, calls: Calls) -> list[Vectors]:
        tasks = (self._workers.call(embed_texts, call) for call in calls)
        vectors: list[Vectors] = await asyncio.gather(*tasks)
        return vectors

    def _await(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        result: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return result.result()


def measure(
    ways: dict[str, Processes | Product], calls: Calls, n_rounds: int, n_alone: int
) -> dict[str, Any]:
    """Measures of each way; those that compare ways are missing where one of the two is."""
    n_sentences = sum(map(len, calls))
    sentences = [text for call in calls for text in call]
    row = {text: number for number, text in enumerate(sentences)}
    alone = list(row)[:: max(1, len(row) // n_alone)][:n_alone]
    vectors: dict[str, Vectors] = {}
    measures: dict[str, dict[str, float]] = {}
    for name, way in ways.items():
        started = time.perf_counter()
        vectors[name] = way.embed(calls)
        first = n_sentences / (time.perf_counter() - started)
        print(f"{name}: first round, {first:.0f} sentences a second", file=sys.stderr)
        in_calls = vectors[name][[row[text] for text in alone]]
        measures[name] = {
            "first round": first,
            "alone": float(np.abs(way.embed([[text] for text in alone]) - in_calls).max()),
            "in another call": float(np.abs(way.embed([alone]) - in_calls).max()),
        }
    runs = [_run(way, calls) for way in ways.values()]
    spent = dict(zip(ways, in_turn(runs, n_rounds), strict=True))
    for name in ways:
        measures[name] = _rates(spent[name], n_sentences) | measures[name]
        if PRODUCT in spent:
            ratio = ratio_of(spent[name].seconds, spent[PRODUCT].seconds)
            measures[name]["times ftm"] = ratio.median
        if DEFAULT in vectors:
            cosines = (vectors[name] * vectors[DEFAULT]).sum(axis=1)
            measures[name]["mean cosine"] = float(cosines.mean())
            measures[name]["lowest cosine"] = float(cosines.min())
    return measures


def _run(way: Processes | Product, calls: Calls) -> Callable[[int], Vectors]:
    return lambda _: way.embed(calls)


def _rates(spent: Spent, n_sentences: int) -> dict[str, float]:
    rates = [n_sentences / seconds for seconds in spent.seconds]
    return {
        "sentences a second": median(rates),
        "lowest": min(rates),
        "highest": max(rates),
        "sentences a CPU second": n_sentences / median(spent.cpu_seconds),
    }


def read_calls(n_firms: int) -> list[list[str]]:
    """What the map embeds of each firm."""
    # The processes of all ways import this module again; BERTopic would be 500 MiB in each.
    from bench.corpus import maec_firms
    from bench.map_firms import embedded

    return [embedded(firm) for firm in maec_firms(n_firms)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--firms", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", type=int, default=100, help="sentences embedded by themselves")
    parser.add_argument("--graphs", type=Path, help="keep the converted models in this folder")
    parser.add_argument("--only", nargs="*", choices=[PRODUCT, *WAYS], default=[PRODUCT, *WAYS])
    given = parser.parse_args()
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise SystemExit(
            f"The packages {', '.join(missing)} are not installed: run `make bench-embedding`, "
            "which installs bench/backends.txt beside the project's own environment."
        )
    n_cores = os.cpu_count() or 1
    read = read_calls(given.firms + 2)
    calls = sorted(read[: given.firms], key=len, reverse=True)
    calibration = [text for call in read[given.firms :] for text in call][:CALIBRATION]
    with tempfile.TemporaryDirectory() as made, ExitStack() as running:
        graphs = given.graphs or Path(made)
        if not (graphs / LAST_GRAPH).exists():
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, context) as converter:
                converter.submit(make_graphs, graphs, calibration).result()
        ways: dict[str, Processes | Product] = {}
        for name in given.only:
            if name == PRODUCT:
                ways[name] = running.enter_context(Product(n_cores))
            else:
                ways[name] = running.enter_context(Processes(WAYS[name], graphs, n_cores))
        measures = measure(ways, calls, given.rounds, given.alone)
    about = {"calls": len(calls), "sentences": sum(map(len, calls)), "rounds": given.rounds}
    report("embedding_backends", about | measures)


if __name__ == "__main__":
    main()
