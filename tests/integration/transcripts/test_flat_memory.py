"""Memory of an ingest of turns of real length: 300,000 rows against a million."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.transcript_corpora import turn_row

TURNS_PER_CALL = 200

MEASURED = """
import json, resource, sys
from ftm_core.memory import give_memory_back
# As the commands begin.
give_memory_back()
from pathlib import Path
from ftm_core.contracts.quarters import Quarter
from ftm_core.storage.local import LocalStorage
from ftm_core.transcripts.ingest import ingest
report = ingest(Path(sys.argv[1]), Quarter(2023, 1), LocalStorage(Path(sys.argv[2])))
print(json.dumps({
    "rows": report.n_rows,
    "firms": report.manifest.n_firms,
    "sentences": report.manifest.n_sentences,
    "seconds": round(report.seconds, 1),
    "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
}))
"""


def write_shuffled(path: Path, n_rows: int) -> Path:
    """Turns of many firms in random order, so that the sort has all its work to do."""
    firms = n_rows // TURNS_PER_CALL
    places = list(range(n_rows))
    random.Random(42).shuffle(places)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(turn_row()))
        writer.writeheader()
        for place in places:
            firm, order = place % firms, place // firms
            text = f"Sentence {order} of firm {firm} is about demand in region {order}. " * 11
            writer.writerow(turn_row(firm, 1, order, componenttext=text))
    return path


def measure(folder: Path, n_rows: int) -> dict[str, Any]:
    """Ingest in a process of its own, so that the peak is that of the ingest."""
    source = write_shuffled(folder / f"{n_rows}.csv", n_rows)
    words = [sys.executable, "-c", MEASURED, str(source), str(folder / f"data-{n_rows}")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    facts: dict[str, Any] = json.loads(done.stdout)
    print(facts)
    return facts


@pytest.mark.long
def test_three_times_the_rows_take_no_more_memory(tmp_path: Path) -> None:
    # Fewer rows are sorted in less than the memory that the sort may have, so they show nothing.
    small, large = measure(tmp_path, 300_000), measure(tmp_path, 1_000_000)
    assert (small["rows"], large["rows"]) == (300_000, 1_000_000)
    assert large["sentences"] == 11 * large["rows"]
    assert large["peak_mib"] < 1.5 * small["peak_mib"]
