"""Wall time and peak memory of clustering topics into themes, and how the paths agree.

Run from the project root: ``python -m bench.reduce_scale 15000 50000 150000``. Prints a line a
size and writes ``bench/results/reduce_scale.json``. At the first size up to the setting
``exact_up_to`` it also runs both paths on the same topics and prints their adjusted Rand index.

The topics are synthetic, made from real parts: sentences of MAEC calls and their vectors. A
planted theme lies at the mean of five neighbouring sentences; its topics are mixtures of that
place and of a sentence of their own (35 to 85 % theme). There are as many themes as the square
root of the topics, of heavy-tailed sizes. Three topics in ten mix two sentences that have nothing
to do with each other. A topic's text is the two sentences it is made of.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from ftm_core.themes.theme_model import ThemeDraft, TopicPoint, find_themes

from ftm_core.contracts.settings import Settings, ThemeSettings
from ftm_core.themes import theme_model
from ftm_core.topics.embedding import load_embedder

RESULTS = Path(__file__).parent / "results"
N_SENTENCES = 8_000
TOPICS_PER_FIRM = 30
NOISE_SHARE = 0.3
WARM_UP = 4_500  # above the 4,096 points up to which UMAP compiles nothing for neighbours


class NoEmbedder:
    """Stands where topics bring their vectors along."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Never asked."""
        raise AssertionError("the topics' own vectors are to be clustered")


def sentences() -> tuple[list[str], np.ndarray]:
    """N_SENTENCES sentences of MAEC with their vectors, embedded once and then kept."""
    folder = Path(os.environ.get("FTM_MAEC_DIR", "../shared/data/maec"))
    texts = {
        text
        for path in sorted(folder.glob("*.parquet"))
        for text in pq.read_table(path, columns=["text"])["text"].to_pylist()
        if 8 <= len(text.split()) <= 40
    }
    chosen = np.random.default_rng(42).choice(len(texts), N_SENTENCES, replace=False)
    ordered = sorted(texts)
    picked = [ordered[number] for number in np.sort(chosen)]
    kept = RESULTS / "reduce_scale_vectors.npy"
    if not kept.exists():
        RESULTS.mkdir(exist_ok=True)
        np.save(kept, load_embedder(Settings().embedding).embed(picked))
    return picked, np.load(kept)


def made_topics(n_topics: int) -> tuple[list[TopicPoint], np.ndarray]:
    texts, vectors = sentences()
    rng = np.random.default_rng(42)
    n_themes = round(n_topics**0.5)
    heads = rng.choice(len(texts), n_themes, replace=False)
    near = np.argsort(-(vectors[heads] @ vectors.T), axis=1)[:, :5]
    centres = vectors[near].mean(axis=1)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    sizes = (np.arange(n_themes) + 3.0) ** -0.8
    planted = rng.choice(n_themes, n_topics, p=sizes / sizes.sum())
    noise = rng.random(n_topics) < NOISE_SHARE
    own, other = rng.integers(len(texts), size=(2, n_topics))
    share = (rng.beta(6, 4, n_topics) * 0.5 + 0.35)[:, None]
    base = np.where(noise[:, None], vectors[other], centres[planted])
    mixed = share * base + (1 - share) * vectors[own]
    mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    first = np.where(noise, other, near[planted, rng.integers(5, size=n_topics)])
    firms = rng.integers(max(2, n_topics // TOPICS_PER_FIRM), size=n_topics)
    points = [
        TopicPoint(
            f"t{n:07d}", f"F{firms[n]:05d}", texts[first[n]], (), (texts[first[n]], texts[own[n]])
        )
        for n in range(n_topics)
    ]
    return points, mixed.astype(np.float32)


class Stopwatch:
    """Seconds spent in functions of the libraries, by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def watch(self, stage: str, owner: Any, name: str) -> None:
        """Time every call of ``owner.name`` from now on."""
        inner: Callable[..., Any] = getattr(owner, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return inner(*arguments, **options)
            finally:
                self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started

        setattr(owner, name, timed)


def watch_stages(watch: Stopwatch) -> None:
    import umap.umap_
    from bertopic import BERTopic
    from hdbscan import HDBSCAN

    from ftm_core.topics import topic_model

    watch.watch("neighbours", umap.umap_, "nearest_neighbors")
    watch.watch("spectral start", umap.umap_, "spectral_layout")
    watch.watch("layout", umap.umap_, "optimize_layout_euclidean")
    watch.watch("HDBSCAN", HDBSCAN, "fit")
    watch.watch("vocabulary", topic_model._WordVectors, "of")
    watch.watch("keywords", BERTopic, "_extract_topics")
    watch.watch("members and firms", theme_model, "_most_central_first")
    watch.watch("members and firms", theme_model, "_without_dominance")


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(n_topics: int) -> dict[str, Any]:
    """One size in this process: what is compiled first is timed apart."""
    points, vectors = made_topics(n_topics)
    before = peak_gib()
    started = time.perf_counter()
    find_themes(NoEmbedder(), Settings(), points[:WARM_UP], vectors[:WARM_UP])
    compiling = time.perf_counter() - started
    watch = Stopwatch()
    watch_stages(watch)
    started, cpu = time.perf_counter(), time.process_time()
    drafts = find_themes(NoEmbedder(), Settings(), points, vectors)
    seconds = time.perf_counter() - started
    return {
        "topics": n_topics,
        "path": "exact" if n_topics <= ThemeSettings().exact_up_to else "scaled",
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu,
        "seconds_to_compile": compiling,
        "stages": watch.seconds,
        "peak_gib": peak_gib(),
        "peak_gib_before": before,
        "themes": len(drafts),
        "share_in_themes": sum(len(draft.members) for draft in drafts) / n_topics,
    }


def labels(drafts: Sequence[ThemeDraft], n_topics: int) -> np.ndarray:
    found = np.full(n_topics, -1)
    for number, draft in enumerate(drafts):
        found[list(draft.members)] = number
    return found


def agreement(one: np.ndarray, two: np.ndarray) -> dict[str, float]:
    """Adjusted Rand index in three readings of topics that are in no theme."""
    from sklearn.metrics import adjusted_rand_score

    both = (one >= 0) & (two >= 0)
    alone = [np.where(side < 0, -1 - np.arange(len(side)), side) for side in (one, two)]
    return {
        "in_a_theme_in_both": float(adjusted_rand_score(one[both], two[both])),
        "no_theme_is_alone": float(adjusted_rand_score(*alone)),
        "no_theme_is_one_group": float(adjusted_rand_score(one, two)),
        "share_in_a_theme_in_both": float(both.mean()),
    }


def compare(n_topics: int) -> dict[str, Any]:
    """The scaled path, and the exact path under another seed, against the exact path."""
    points, vectors = made_topics(n_topics)

    def run(**options: Any) -> np.ndarray:
        settings = Settings(themes=ThemeSettings(**options))
        return labels(find_themes(NoEmbedder(), settings, points, vectors), n_topics)

    exact = run(exact_up_to=n_topics)
    return {
        "topics": n_topics,
        "scaled": agreement(exact, run(exact_up_to=0)),
        "exact_with_another_seed": agreement(exact, run(exact_up_to=n_topics, seed=43)),
    }


def apart(task: str, n_topics: int) -> dict[str, Any]:
    """Run ``task`` in a process of its own, so that peaks of memory are its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "bench.reduce_scale", task, str(n_topics)],
        stdout=subprocess.PIPE,
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def main() -> None:
    arguments = sys.argv[1:] or ["15000", "50000", "150000"]
    if arguments[0] in {"measure", "compare"}:
        task = measure if arguments[0] == "measure" else compare
        print(json.dumps(task(int(arguments[1]))))
        return
    report: dict[str, Any] = {"cores": os.cpu_count(), "machine": platform.machine(), "sizes": []}
    sizes = [int(argument) for argument in arguments]
    sentences()
    for size in sizes:
        load = os.getloadavg()[0]
        told = {**apart("measure", size), "load_before": load}
        report["sizes"].append(told)
        print(
            f"{size:>8,} topics  {told['path']:6}  {told['seconds']:7.1f} s "
            f"({told['cpu_seconds']:.1f} s of CPU, {told['seconds_to_compile']:.1f} s to compile)  "
            f"{told['peak_gib']:.2f} GiB  {told['themes']} themes  load {load:.1f} before\n"
            + "  ".join(f"{stage} {spent:.1f}" for stage, spent in told["stages"].items()),
            flush=True,
        )
    small = [size for size in sizes if size <= ThemeSettings().exact_up_to]
    if small:
        report["agreement"] = apart("compare", small[0])
        print(json.dumps(report["agreement"], indent=1))
    (RESULTS / "reduce_scale.json").write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
