"""Other ways to what many firms talk about, on the same sentences and vectors as ours.

Run from the project root: ``python -m bench.peers --data DATA --quarter Q [--firms N]``, over a
quarter that `ftm ingest` has read. Every way runs alone in a process of its own
(bench/peer_models.py): ours and BERTopic in this environment, the others in the one that
``make bench-peers`` installs from bench/peers.txt. One that fails is listed with its error.

Embedding is left out, as all get the same vectors of the full model; so is the LLM, which none
needs to find topics. Topics that stand on too few firms, or of which one firm has too large a share
(the settings of ours), are no cross-firm topics. A quarter of the sample also compares all with the
themes planted in it; with ``--subjects`` all are compared with those subjects.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sentence_transformers import SentenceTransformer

from bench.measuring import report
from bench.peer_models import WAYS
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import Settings
from ftm_core.data.transcript_chunks import find_manifest, iterate_firms
from ftm_core.quality.coherence import CallWords, diversity
from ftm_core.quality.subjects import Subject, read_subjects, subject_recovery
from ftm_core.quality.theme_recovery import Key, compare, own_key
from ftm_core.storage.local import LocalStorage
from ftm_core.text.substance import share_of_content_words
from ftm_core.topics.embedding import bundled_model_folder
from ftm_core.topics.find_topics import INPUT_COLUMNS

# As the map leaves out what MAEC puts in place of names.
MASK = re.compile("<unk>", re.IGNORECASE)
OURS = ("ftm", "bertopic")
NO_TOPIC = -1
# Share of a topic's words that must name a subject; below it a topic is small talk.
MIN_SUBSTANCE = 0.22


def sentences(data: Path, quarter: Quarter, n_firms: int | None) -> tuple[pa.Table, Key | None]:
    """INPUT_COLUMNS of the quarter's first firms and what is clustered, with the sample's key."""
    storage = LocalStorage(data)
    manifest = find_manifest(storage, quarter)
    if manifest is None:
        raise SystemExit(f"{quarter} is not in {data}: `ftm ingest` it first")
    firms = sorted(manifest.firm_to_chunk)[:n_firms]
    read = [rows for _, rows in iterate_firms(storage, manifest, firms, columns=INPUT_COLUMNS)]
    table = pa.concat_tables(read)
    texts = [MASK.sub("", text) for text in table["raw_text"].to_pylist()]
    return (
        table.append_column("text", pa.array(texts)),
        own_key(quarter, manifest.source),
    )


def run_way(name: str, folder: Path, peers: Path) -> dict[str, Any]:
    """What the way found and took, or its error."""
    python = sys.executable if name in OURS else str(peers / "bin" / "python")
    script = Path(__file__).with_name("peer_models.py")
    try:
        done = subprocess.run(
            [python, "-W", "ignore", str(script), name, str(folder)],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(script.parents[1]), "TOKENIZERS_PARALLELISM": ""},
        )
    except OSError as error:
        return {"error": f"{error}; `make bench-peers` installs it"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        return {"error": last}
    reported: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return reported


def score_method(
    reported: dict[str, Any], rows: pa.Table, key: Key | None, subjects: Sequence[Subject]
) -> dict[str, float]:
    """Measures of one method; subject recovery where subjects are given."""
    settings = Settings().themes
    labels = reported["labels"]
    firms_of: dict[int, Counter[str]] = defaultdict(Counter)
    texts_of: dict[int, list[str]] = defaultdict(list)
    columns = (rows["firm_id"].to_pylist(), rows["text"].to_pylist())
    for label, firm, text in zip(labels, *columns, strict=True):
        firms_of[label][firm] += 1
        texts_of[label].append(text)
    topics = [int(topic) for topic in reported["words"]]
    shared = [
        topic
        for topic in topics
        if len(firms_of[topic]) >= settings.min_firms
        and max(firms_of[topic].values()) / firms_of[topic].total() <= settings.max_firm_dominance
    ]
    empty = [topic for topic in topics if share_of_content_words(texts_of[topic]) < MIN_SUBSTANCE]
    words = CallWords()
    for call, text in zip(rows["transcript_id"].to_pylist(), rows["text"].to_pylist(), strict=True):
        words.add(call, text)
    keywords = [reported["words"][str(topic)][:10] for topic in topics]
    coherence = [value for value in words.coherence(keywords, "c_npmi") if value is not None]
    measures = {
        "seconds": reported["seconds"],
        "cpu seconds": reported["cpu_seconds"],
        "peak MiB": reported["peak_mib"],
        "topics": len(topics),
        "cross-firm": len(shared) / max(1, len(topics)),
        "small talk": len(empty) / max(1, len(topics)),
        "NPMI": float(np.mean(coherence)) if coherence else float("nan"),
        "diversity": diversity(keywords) or 0.0,
        "in a topic": float(np.mean(np.array(labels) != NO_TOPIC)),
    }
    if subjects:
        found_subjects = subject_recovery(rows["text"].to_pylist(), np.array(labels), subjects)
        measures["subject recovery"] = found_subjects.mean or 0.0
    if key is not None:
        places = zip(rows["transcript_id"].to_pylist(), rows["position"].to_pylist(), strict=True)
        of = {
            place: None if label == NO_TOPIC else str(label)
            for place, label in zip(places, labels, strict=True)
        }
        found = compare(key, of, of)
        measures |= {
            "recovered": len(found.recovered),
            "pure": len(found.pure),
            "ARI": found.ari or 0.0,
            "AMI": found.ami or 0.0,
            "ARI, no topic as one": found.ari_all or 0.0,
        }
    return measures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--quarter", type=Quarter.parse, required=True)
    parser.add_argument("--firms", type=int)
    parser.add_argument("--peers", type=Path, default=Path(".venv-peers"))
    parser.add_argument("--subjects", type=Path, help="patterns of subjects, as for ftm quality")
    parser.add_argument("--only", choices=list(WAYS), nargs="*", default=list(WAYS))
    given = parser.parse_args()
    rows, key = sentences(given.data, given.quarter, given.firms)
    subjects = read_subjects(given.subjects) if given.subjects else []
    model = SentenceTransformer(str(bundled_model_folder()), local_files_only=True, device="cpu")
    vectors = model.encode(
        rows["text"].to_pylist(), normalize_embeddings=True, show_progress_bar=False
    )
    scores: dict[str, Any] = {
        "firms": len(set(rows["firm_id"].to_pylist())),
        "sentences": len(rows),
    }
    n_topics = 0
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        pq.write_table(rows, folder / "sentences.parquet")
        np.save(folder / "vectors.npy", np.asarray(vectors, np.float32))
        # ftm comes first: methods that need a number of topics get that of our themes.
        for name in sorted(given.only, key=list(WAYS).index):
            about = {"model_folder": str(bundled_model_folder()), "n_topics": n_topics or 20}
            (folder / "corpus.json").write_text(json.dumps(about), encoding="utf-8")
            reported = run_way(name, folder, given.peers)
            if "error" in reported:
                scores[name] = reported
            else:
                scores[name] = score_method(reported, rows, key, subjects)
                n_topics = n_topics or int(scores[name]["topics"])
            measures = "  ".join(
                f"{label} {value:.4g}" if isinstance(value, float | int) else f"{label}: {value}"
                for label, value in scores[name].items()
            )
            print(f"peers  {name:10} {measures}", flush=True)
    report(f"peers_{given.quarter}", scores)


if __name__ == "__main__":
    main()
