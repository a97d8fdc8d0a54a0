"""Ingest of a full quarter: 2 million Capital IQ turns of 640 characters, time and peak memory.

    python -m bench.ingest_full_quarter [--turns 2000000] [--folder FOLDER] [--memory-limit 256MB]

It writes the quarter as one CSV file in random order of calls (once, in FOLDER), ingests it with
all cores, and reports turns per second and the largest sum of the resident memory of all
processes. Sentences are drawn from the sample corpus, so that they are split like speech.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import resource
import tempfile
import time
from pathlib import Path

from bench.measuring import PeakMemory, report
from ftm_core.memory import give_memory_back

give_memory_back()

TURNS_PER_CALL = 71
CHARACTERS = 640
_OURS = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
COLUMNS = (
    "companyid",
    "companyname",
    "keydevid",
    "transcriptid",
    "mostimportantdateutc",
    "transcriptpresentationtypename",
    "transcriptcomponentid",
    "componentorder",
    "speakertypename",
    "componenttext",
)


def write_quarter(path: Path, n_turns: int) -> None:
    """A quarter of ``n_turns``; calls come in random order, turns within a call in order."""
    from ftm_core.contracts.quarters import Quarter
    from ftm_core.text.sentences import split
    from ftm_core.transcripts.sources import sample_corpus

    with sample_corpus(Quarter(2023, 1)).open(encoding="utf-8", newline="") as file:
        turns = [row["componenttext"] for row in csv.DictReader(file)]
    spoken = [sentence for turn in turns for sentence in split(turn)]
    draw = random.Random(7)
    calls = list(range(-(-n_turns // TURNS_PER_CALL)))
    draw.shuffle(calls)
    left = n_turns
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for call in calls:
            for order in range(min(TURNS_PER_CALL, left)):
                words: list[str] = []
                while sum(map(len, words)) < CHARACTERS - 55:
                    words.append(draw.choice(spoken))
                kind = ("Operator", "Executives", "Executives", "Analysts")[order % 4]
                writer.writerow(
                    (
                        call,
                        f"Firm {call}",
                        7_000_000 + call,
                        8_000_000 + call,
                        f"2023-0{1 + call % 3}-1{call % 10} 21:00:00",
                        "Final",
                        90_000_000 + call * 100 + order,
                        order,
                        kind,
                        " ".join(words),
                    )
                )
            left -= min(TURNS_PER_CALL, left)


def main() -> None:
    """Write the quarter if it is not there, ingest it and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=2_000_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "ftm-bench")
    parser.add_argument("--memory-limit", default="256MB")
    parser.add_argument("--workers", type=int)
    asked = parser.parse_args()
    from ftm_core.contracts import events
    from ftm_core.contracts.quarters import Quarter
    from ftm_core.storage.local import LocalStorage
    from ftm_core.transcripts.ingest import IngestOptions, ingest

    asked.folder.mkdir(parents=True, exist_ok=True)
    path = asked.folder / f"{asked.turns}.csv"
    if not path.exists():
        write_quarter(path, asked.turns)
    stages: dict[str, float] = {}

    def listen(event: events.Event) -> None:
        if isinstance(event, events.StageFinished):
            stages[event.stage] = round(event.seconds, 1)

    options = IngestOptions(memory_limit=asked.memory_limit, n_workers=asked.workers)
    with tempfile.TemporaryDirectory(dir=asked.folder) as data, PeakMemory() as peak:
        began = time.perf_counter()
        done = ingest(path, Quarter(2023, 1), LocalStorage(Path(data)), options, listen)
        seconds = time.perf_counter() - began
    # Work done, independent of the load of the machine.
    cpu = sum(sum(resource.getrusage(who)[:2]) for who in _OURS)
    manifest = done.manifest
    report(
        "ingest_full_quarter",
        {
            "turns": asked.turns,
            "megabytes": path.stat().st_size / 1e6,
            "firms": manifest.n_firms,
            "sentences": manifest.n_sentences,
            "seconds": seconds,
            "seconds read": stages.get("read"),
            "seconds sort and write": stages.get("write"),
            "turns per second": asked.turns / seconds,
            "seconds of CPU": cpu,
            "turns per second of CPU": asked.turns / cpu,
            "peak MiB of all processes": peak.mib,
            "cores": len(os.sched_getaffinity(0)),
            "load at the end": os.getloadavg()[0],
        },
    )


if __name__ == "__main__":
    main()
