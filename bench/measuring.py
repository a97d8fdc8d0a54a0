"""How every benchmark measures: pairs in turn within one run, ratios with their spread, JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")


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
    seconds: dict[Callable[[int], Any], list[float]] = {ours: [], theirs: []}
    for pair in range(n_pairs):
        for run in (ours, theirs) if pair % 2 == 0 else (theirs, ours):
            started = time.perf_counter()
            run(pair)
            seconds[run].append(time.perf_counter() - started)
    return ratio_of(seconds[ours], seconds[theirs])


def ratio_of(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """The ratio of seconds measured pair by pair."""
    ratios = [other / own for own, other in zip(ours, theirs, strict=True)]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios), tuple(ours), tuple(theirs))


def report(name: str, metrics: dict[str, Any]) -> None:
    """Print the values, and write them with a description of the machine to results/NAME.json."""
    for label, value in metrics.items():
        print(
            f"{name}  {label}: {value:.4g}"
            if isinstance(value, float)
            else f"{name}  {label}: {value}"
        )
    RESULTS.mkdir(exist_ok=True)
    machine = {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "processor": _processor(),
    }
    plain = {
        label: asdict(value) if isinstance(value, Ratio) else value
        for label, value in metrics.items()
    }
    text = json.dumps({"name": name, "machine": machine, "metrics": plain}, indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
