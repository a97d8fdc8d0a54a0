"""How long finding themes takes and what memory it needs, by the number of sentences.

Run from the project root: ``python -m bench.reduce_scale 150000 1500000``. Sentences are made from
real ones of MAEC 2017Q1: each vector is a real vector moved towards another at random, each text is
a real text, and firms have 300 sentences. Every size runs in a process of its own. Prints a line
per size and writes ``bench/results/reduce_scale.json``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.corpus import maec_file
from ftm_core.contracts.settings import Settings, ThemeSettings
from ftm_core.memory import peak_memory_mib
from ftm_core.themes.quarter_sentences import QuarterSentences
from ftm_core.themes.theme_finding import themes_of
from ftm_core.topics.compact_vectors import Bytes, quantize
from ftm_core.topics.embedding import load_embedder

RESULTS = Path("bench/results")
N_REAL = 8_000
PER_FIRM = 300
BLOCK = 50_000


def real_sentences() -> tuple[list[str], np.ndarray]:
    """N_REAL sentences of MAEC with their vectors, embedded once and then kept."""
    texts = pq.read_table(maec_file(), columns=["text"])["text"].to_pylist()
    chosen = np.sort(np.random.default_rng(42).choice(len(texts), N_REAL, replace=False))
    picked = [texts[row] for row in chosen]
    kept = RESULTS / "reduce_scale_vectors.npy"
    if not kept.exists():
        RESULTS.mkdir(parents=True, exist_ok=True)
        np.save(kept, load_embedder(Settings().embedding).embed(picked))
    return picked, np.load(kept)


def made_quarter(n_sentences: int) -> QuarterSentences:
    texts, vectors = real_sentences()
    rng = np.random.default_rng(7)
    rounded: list[Bytes] = []
    said: list[str] = []
    for start in range(0, n_sentences, BLOCK):
        size = min(BLOCK, n_sentences - start)
        first, second = rng.integers(0, N_REAL, (2, size))
        share = rng.uniform(0, 0.4, (size, 1)).astype(np.float32)
        mixed = (1 - share) * vectors[first] + share * vectors[second]
        rounded.append(quantize(mixed / np.linalg.norm(mixed, axis=1, keepdims=True)))
        said += [texts[row] for row in first]
    rows = np.arange(n_sentences)
    firms = pa.array(rows // PER_FIRM).cast(pa.string())
    table = pa.table(
        {
            "sentence_id": pa.array(rows).cast(pa.string()),
            "firm_id": firms,
            "transcript_id": firms,
            "raw_text": pa.array(said),
            "position": pa.array(rows % PER_FIRM, pa.int32()),
        }
    )
    return QuarterSentences(table, rows, np.concatenate(rounded))


def measure(n_sentences: int) -> dict[str, float]:
    """One size in this process."""
    quarter = made_quarter(n_sentences)
    started = time.perf_counter()
    found = themes_of(quarter, ThemeSettings())
    return {
        "sentences": n_sentences,
        "firms": n_sentences // PER_FIRM,
        "themes": len(found.themes),
        "seconds": round(time.perf_counter() - started, 1),
        "peak_mib": round(peak_memory_mib(), 1),
    }


def main() -> None:
    if sys.argv[1:2] == ["one"]:
        print(json.dumps(measure(int(sys.argv[2]))))
        return
    report = []
    for size in sys.argv[1:] or ["150000", "1500000"]:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "bench.reduce_scale", "one", size],
            check=True,
            capture_output=True,
            text=True,
        )
        report.append(json.loads(done.stdout.splitlines()[-1]))
        print(report[-1], flush=True)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "reduce_scale.json").write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
