"""How every benchmark measures: pairs in turn within one run, ratios with their spread, JSON."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import psutil

# One file for each benchmark, from which `make docs` writes docs/reference/measurements.md.
MEASURED = Path(__file__).with_name("measured")
_SAMPLE_SECONDS = 0.1


@dataclass(frozen=True)
class Ratio:
    """How many times as long the other way took: median and extremes over the pairs."""

    median: float
    lowest: float
    highest: float
    ours_seconds: tuple[float, ...]
    theirs_seconds: tuple[float, ...]

    def __str__(self) -> str:
        n_pairs = len(self.ours_seconds)
        return f"{self.median:.2f} ({self.lowest:.2f} to {self.highest:.2f}, {n_pairs} pairs)"


def alternate(ours: Callable[[int], Any], theirs: Callable[[int], Any], n_pairs: int) -> Ratio:
    """Run both ``n_pairs`` times in turn, each first in every other pair.

    Both get the number of the pair. Load on the machine meets both alike, so their ratio holds
    where neither time does.
    """
    measured_commit()
    seconds: dict[Callable[[int], Any], list[float]] = {ours: [], theirs: []}
    for pair in range(n_pairs):
        for run in (ours, theirs) if pair % 2 == 0 else (theirs, ours):
            started = time.perf_counter()
            run(pair)
            seconds[run].append(time.perf_counter() - started)
    return ratio_of(seconds[ours], seconds[theirs])


@dataclass(frozen=True)
class Spent:
    """Seconds of the clock and of CPU that each round of a run took."""

    seconds: list[float]
    cpu_seconds: list[float]


def in_turn(runs: Sequence[Callable[[int], Any]], n_rounds: int) -> list[Spent]:
    """What each of several runs takes in each round; another one is first in every round.

    CPU is that of this process and of the processes below it that live throughout.
    """
    measured_commit()
    spent = [Spent([], []) for _ in runs]
    for number in range(n_rounds):
        for place in range(len(runs)):
            chosen = (place + number) % len(runs)
            started, worked = time.perf_counter(), _cpu_seconds()
            runs[chosen](number)
            spent[chosen].seconds.append(time.perf_counter() - started)
            spent[chosen].cpu_seconds.append(_cpu_seconds() - worked)
    return spent


def _cpu_seconds() -> float:
    own = psutil.Process()
    times = [process.cpu_times() for process in [own, *own.children(recursive=True)]]
    return sum(one.user + one.system for one in times)


class PeakMemory:
    """The largest sum of the memory of a process and all below it, sampled ten times a second.

    Of this process unless ``pid`` names another. Pages that processes share count once: the
    proportional set size where the system has it.
    """

    def __init__(self, pid: int | None = None) -> None:
        self._root = psutil.Process(pid)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.mib = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            self.mib = max(self.mib, sum(self._sizes()) / 2**20)

    def _sizes(self) -> Iterator[int]:
        try:
            processes = [self._root, *self._root.children(recursive=True)]
        except psutil.Error:  # it has just ended
            return
        for process in processes:
            try:
                memory = process.memory_full_info()
                yield getattr(memory, "pss", memory.rss)
            except psutil.Error:
                continue


def ratio_of(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """The ratio of seconds measured pair by pair."""
    ratios = [other / own for own, other in zip(ours, theirs, strict=True)]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios), tuple(ours), tuple(theirs))


def report(name: str, metrics: dict[str, Any]) -> None:
    """Print the values, and write them with commit, command and machine to measured/NAME.json."""
    for label, value in metrics.items():
        print(f"{name}  {label}: {_shown(value)}")
    MEASURED.mkdir(exist_ok=True)
    record = {
        "name": name,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "commit": measured_commit(),
        "command": _command(),
        "machine": {
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
            "python": platform.python_version(),
            "processor": _processor(),
        },
        "metrics": {
            label: asdict(value) if isinstance(value, Ratio) else value
            for label, value in metrics.items()
        },
    }
    text = json.dumps(record, indent=1)
    (MEASURED / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{label} {_shown(part)}" for label, part in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@cache
def measured_commit() -> str:
    """The commit at the first call, before anything is measured.

    It is marked where files of the product differ from it.
    """
    root = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "ftm_core", "ftm_cli")
    return git("rev-parse", "--short=10", "HEAD") + (" with changes" if changed else "")


def _command() -> str:
    """How the benchmark was started."""
    main = sys.modules["__main__"].__spec__
    module = main.name if main is not None else Path(sys.argv[0]).name
    arguments = [Path(one).name if one.startswith("/") else one for one in sys.argv[1:]]
    return " ".join(["python -m", module, *arguments])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
