"""Seconds from the start of `ftm run` until its first firm is finished and saved.

Run from the project root: ``python -m bench.first_firm [RUNS]``. Each run is a new process over 60
firms of MAEC, saves every firm at once, and is stopped when its first part is there. A local LLM
server answers at once. With ``--cold`` the pages of all installed files are dropped from memory
before each run, as far as no other process uses them. With ``--image NAME`` it is the map job in a
container of that worker image, after the plan job in another (Docker with the host's network).
"""

from __future__ import annotations

import argparse
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
from ftm_core.contracts.keys import batch_id
from ftm_core.contracts.quarters import Quarter

QUARTER = "2017Q1"
POLL_SECONDS = 0.02
LIMIT_SECONDS = 300.0
FIRST = "seconds until the first firm is saved"


def ftm(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ftm_cli", *arguments]


def ingested(source: Path, folder: str) -> Path:
    """Ingest into ``folder``, writable by a container's user, and say where parts will be."""
    where = ["--quarter", QUARTER, "--data", folder]
    subprocess.run(ftm("ingest", str(source), *where), check=True, capture_output=True, text=True)
    for path in (Path(folder), *Path(folder).rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    return Path(folder) / "intermediate" / "firm-topics"


def first_part(command: list[str], environment: dict[str, str], parts: Path) -> float:
    """Seconds from the start of a command until it has written its first part; it is stopped."""
    started = time.perf_counter()
    run = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not any(parts.rglob("*.parquet")):
            if run.poll() is not None or time.perf_counter() - started > LIMIT_SECONDS:
                raise RuntimeError(f"the run ended with {run.poll()} before its first firm")
            time.sleep(POLL_SECONDS)
        return time.perf_counter() - started
    finally:
        run.send_signal(signal.SIGTERM)
        run.wait()


def first_firm(source: Path, url: str) -> dict[str, float]:
    """Seconds until the first part is written, and CPU seconds of the run and its processes."""
    with tempfile.TemporaryDirectory(prefix="first-firm-") as folder:
        parts = ingested(source, folder)
        worked = os.times()
        command = ftm("run", "--quarter", QUARTER, "--data", folder)
        seconds = first_part(command, llm_settings(url), parts)
        now = os.times()
        spent = now.children_user + now.children_system
        used = spent - worked.children_user - worked.children_system
    return {FIRST: seconds, "CPU seconds until the run has stopped": used}


def first_firm_in_container(source: Path, url: str, image: str) -> dict[str, float]:
    """Seconds of the plan job, and from the start of a map job until its first part."""
    with tempfile.TemporaryDirectory(prefix="first-firm-") as folder:
        parts = ingested(source, folder)
        values = {
            **llm_settings(url),
            "S3_BUCKET": "/data",
            "QUARTER": QUARTER,
            "RUN_NAME": f"{QUARTER}-20170601-120000",
            "BATCH_ID": batch_id(Quarter.parse(QUARTER), 0),
        }
        given = [part for name, value in values.items() for part in ("--env", f"{name}={value}")]
        options = ["--rm", "--network=host", f"--volume={folder}:/data", *given, image]
        started = time.perf_counter()
        plan = ["docker", "run", *options, "plan"]
        subprocess.run(plan, check=True, stdout=subprocess.DEVNULL)
        planned = time.perf_counter() - started
        seconds = first_part(["docker", "run", *options, "map"], {}, parts)
    return {FIRST: seconds, "seconds of the plan job": planned}


def llm_settings(url: str) -> dict[str, str]:
    return {"LLM_BASE_URL": url, "LLM_MODEL_NAME": MODEL, "CHECKPOINT_INTERVAL": "1"}


def drop_pages() -> None:
    """Take the installed files out of the page cache."""
    for path in [Path(sys.prefix), Path.cwd()]:
        for file in path.rglob("*"):
            if file.is_file() and not file.is_symlink():
                with file.open("rb") as opened:
                    os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("runs", type=int, nargs="?", default=5)
    asked.add_argument("--cold", action="store_true")
    asked.add_argument("--image")
    given = asked.parse_args()
    measured = []
    measured_commit()
    with tempfile.TemporaryDirectory() as folder, golden_llm() as url:
        source = Path(folder) / "maec_60.parquet"
        write_maec_firms(source)
        for _ in range(given.runs):
            if given.cold:
                drop_pages()
            measured.append(
                first_firm_in_container(source, url, given.image)
                if given.image
                else first_firm(source, url)
            )
    seconds = [one[FIRST] for one in measured]
    report(
        "first_firm" + "_container" * bool(given.image) + "_cold" * given.cold,
        {
            **{name: statistics.median(one[name] for one in measured) for name in measured[0]},
            "fewest seconds": min(seconds),
            "most seconds": max(seconds),
            "runs": given.runs,
        },
    )


if __name__ == "__main__":
    main()
