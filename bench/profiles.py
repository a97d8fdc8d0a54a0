"""Where the time goes in the loop that one would write, and in ours: two pictures by py-spy.

Run from the project root: ``python -m bench.profiles [FIRMS]``, after ``make bench-peers``, which
installs py-spy. Each side models the same firms in a process of its own, without LLM, once models
are loaded and compiled; the flame graphs are bench/results/profile_loop.svg and profile_ours.svg.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

PY_SPY = Path(".venv-peers/bin/py-spy")
SIDES = ("loop", "ours")
READY = "ready"


RESULTS = Path(__file__).with_name("results")


def model_side(side: str, n_firms: int) -> None:
    """Warm up, say so, wait to be watched, and model the firms."""
    from bench.corpus import maec_firms

    firms = maec_firms(n_firms)
    if side == "loop":
        from bench.map_firms import Loop

        model_all = Loop().topics
    else:
        from ftm_core.contracts.settings import Settings
        from ftm_core.topics.embedding import load_embedder
        from ftm_core.topics.find_topics import find_firm_topics

        settings = Settings()
        embedder = load_embedder(settings.embedding)

        def model_all(firms: Sequence[pa.Table]) -> Any:
            return [find_firm_topics(firm, embedder, settings.firm_topics) for firm in firms]

    model_all(firms[:1])
    print(READY, flush=True)
    sys.stdin.readline()
    started = time.perf_counter()
    model_all(firms)
    print(
        f"profiles  {side}: {len(firms)} firms in {time.perf_counter() - started:.1f} s", flush=True
    )


def record(side: str, n_firms: int) -> None:
    """One side under py-spy, from its being ready to its end."""
    picture = RESULTS / f"profile_{side}.svg"
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "bench.profiles", side, str(n_firms)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        while READY not in child.stdout.readline():
            if child.poll() is not None:
                raise SystemExit(f"the {side} side ended before it was ready")
        with subprocess.Popen(
            [
                PY_SPY,
                "record",
                "--pid",
                str(child.pid),
                "--output",
                picture,
                "--rate",
                "100",
                "--idle",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as watching:
            child.stdin.write("\n")
            child.stdin.close()
            print(child.stdout.read().strip())
            watching.wait()
    print(f"profiles  {side}: {os.path.relpath(picture)}")


def main() -> None:
    if sys.argv[1:2] and sys.argv[1] in SIDES:
        model_side(sys.argv[1], int(sys.argv[2]))
        return
    if not PY_SPY.exists():
        raise SystemExit(f"{PY_SPY} is missing: `make bench-peers` installs it")
    RESULTS.mkdir(exist_ok=True)
    for side in SIDES:
        record(side, int((sys.argv[1:] or ["12"])[0]))


if __name__ == "__main__":
    main()
