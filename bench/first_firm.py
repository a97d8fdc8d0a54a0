"""Seconds from the start of `ftm run` until its first firm is finished and saved.

Run from the project root: ``python -m bench.first_firm [RUNS]``. Each run is a new process over 60
firms of MAEC, saves every firm at once, and is stopped when its first part is there. A local LLM
server answers at once. With ``--cold`` the pages of all installed files are dropped from memory
before each run, as far as no other process uses them.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.golden import MODEL, golden_llm, write_maec_firms
from bench.measuring import measured_commit, report

QUARTER = "2017Q1"
POLL_SECONDS = 0.02
LIMIT_SECONDS = 300.0


def ftm(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ftm_cli", *arguments]


def first_firm(source: Path, url: str) -> tuple[float, float]:
    """Seconds until the first part is written, and CPU seconds of the run and its processes."""
    with tempfile.TemporaryDirectory(prefix="first-firm-") as folder:
        where = ["--quarter", QUARTER, "--data", folder]
        subprocess.run(
            ftm("ingest", str(source), *where), check=True, capture_output=True, text=True
        )
        settings = {"LLM_BASE_URL": url, "LLM_MODEL_NAME": MODEL, "CHECKPOINT_INTERVAL": "1"}
        parts = Path(folder) / "intermediate" / "firm-topics"
        worked = os.times()
        started = time.perf_counter()
        run = subprocess.Popen(
            ftm("run", *where),
            env={**os.environ, **settings},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while not any(parts.rglob("*.parquet")):
                if run.poll() is not None or time.perf_counter() - started > LIMIT_SECONDS:
                    raise RuntimeError(f"the run ended with {run.poll()} before its first firm")
                time.sleep(POLL_SECONDS)
            seconds = time.perf_counter() - started
        finally:
            run.send_signal(signal.SIGTERM)
            run.wait()
        now = os.times()
        spent = now.children_user + now.children_system
        return seconds, spent - worked.children_user - worked.children_system


def drop_pages() -> None:
    """Take the installed files out of the page cache."""
    for path in [Path(sys.prefix), Path.cwd()]:
        for file in path.rglob("*"):
            if file.is_file() and not file.is_symlink():
                with file.open("rb") as opened:
                    os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> None:
    cold = "--cold" in sys.argv
    given = [one for one in sys.argv[1:] if one != "--cold"]
    n_runs = int(given[0]) if given else 5
    measured = []
    measured_commit()
    with tempfile.TemporaryDirectory() as folder, golden_llm() as url:
        source = Path(folder) / "maec_60.parquet"
        write_maec_firms(source)
        for _ in range(n_runs):
            if cold:
                drop_pages()
            measured.append(first_firm(source, url))
    seconds = [one for one, _ in measured]
    report(
        "first_firm_cold" if cold else "first_firm",
        {
            "seconds until the first firm is saved": statistics.median(seconds),
            "fewest seconds": min(seconds),
            "most seconds": max(seconds),
            "runs": n_runs,
            "CPU seconds until the run has stopped": statistics.median(cpu for _, cpu in measured),
        },
    )


if __name__ == "__main__":
    main()
