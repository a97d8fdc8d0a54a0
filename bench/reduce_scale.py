"""How long the reduce takes from parts to tables and what memory it needs, by sentences.

Run from the project root: ``python -m bench.reduce_scale 150000 1500000``. The quarter is made from
real sentences of MAEC 2017Q1: each vector is a real vector moved towards another at random, each
text is a real text, and firms have 300 sentences. The writers of ingest and map write it, then the
reduce of each size runs in a process of its own. A fake LLM server answers at once, so the seconds
hold everything but the LLM's. Prints a line per size and writes
``bench/measured/reduce_scale.json``.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.corpus import maec_file
from bench.input_output import CountingStorage
from bench.measuring import report
from bench.quarters import QUARTER, MadeQuarter, make_quarter
from ftm_core.contracts import schemas
from ftm_core.contracts.events import Event, Listener, StageFinished
from ftm_core.contracts.settings import Settings
from ftm_core.data.batch_plan import plan_batches
from ftm_core.data.checkpoints import BatchCheckpoints, FinishedFirm
from ftm_core.data.map_output import read_map_output
from ftm_core.data.transcript_chunks import read_manifest
from ftm_core.llm.answers import AnswerStore
from ftm_core.memory import peak_memory_mib
from ftm_core.storage.local import LocalStorage
from ftm_core.text.small_talk import is_small_talk
from ftm_core.themes.reduce_job import ReduceContext, ReduceOutcome, run_reduce
from ftm_core.topics.compact_vectors import quantize, to_arrow
from ftm_core.topics.embedding import load_embedder
from ftm_core.topics.workers import ModelWorkers
from ftm_core.transcripts.call_sentences import Sentence
from ftm_core.transcripts.chunks import Call, FirmTranscripts, sentence_id
from tests.fakes.llm_server import MODEL, FakeLlmServer

RESULTS = Path("bench/results")
RUN_ID = "bench"
DAY = dt.date(2017, 2, 1)
STAMP = dt.datetime(2017, 6, 1, tzinfo=dt.UTC)
N_REAL = 8_000
PER_FIRM = 300
FIRMS_PER_PART = 50
# As many topics as a call of MAEC of that length has, of the usual size.
TOPICS = 20
PER_TOPIC = 8


def real_sentences() -> tuple[list[str], np.ndarray]:
    """N_REAL sentences of MAEC that are not small talk, with vectors embedded once and kept."""
    said = pq.read_table(maec_file(), columns=["text"])["text"].to_pylist()
    texts = [text for text in said if not is_small_talk(text, "Unknown")]
    chosen = np.sort(np.random.default_rng(42).choice(len(texts), N_REAL, replace=False))
    picked = [texts[row] for row in chosen]
    kept = RESULTS / "reduce_scale_vectors.npy"
    if not kept.exists():
        RESULTS.mkdir(parents=True, exist_ok=True)
        np.save(kept, load_embedder(Settings().embedding).embed(picked))
    return picked, np.load(kept)


def write_quarter(storage: LocalStorage, n_sentences: int) -> MadeQuarter:
    """Transcripts, plan and map output of made-up firms, by the writers of ingest and map."""
    texts, vectors = real_sentences()
    chance = np.random.default_rng(7)
    names = [f"F{number:05d}" for number in range(n_sentences // PER_FIRM)]
    made = make_quarter(
        storage, (_transcripts(name, texts, number) for number, name in enumerate(names))
    )
    for batch in made.batches:
        progress = BatchCheckpoints.open(storage, batch, RUN_ID)
        for start in range(0, len(batch.firm_ids), FIRMS_PER_PART):
            firms = batch.firm_ids[start : start + FIRMS_PER_PART]
            progress.save([_map_output(firm, texts, vectors, chance) for firm in firms])
    return made


def _said_by(firm: int) -> np.ndarray:
    """Which of the real sentences a firm says."""
    return np.random.default_rng(firm).integers(0, N_REAL, PER_FIRM)


def _transcripts(name: str, texts: list[str], firm: int) -> FirmTranscripts:
    said = enumerate(_said_by(firm))
    sentences = tuple(Sentence(texts[row], "CEO", place) for place, row in said)
    return FirmTranscripts(name, name, (Call(f"T{name}", DAY, sentences),), permno=firm + 1)


def _map_output(
    name: str, texts: list[str], vectors: np.ndarray, chance: np.random.Generator
) -> FinishedFirm:
    """Each vector is that of the real sentence, moved up to two fifths towards another's."""
    firm = int(name[1:])
    rows = _said_by(firm)
    share = chance.uniform(0, 0.4, (PER_FIRM, 1)).astype(np.float32)
    mixed = (1 - share) * vectors[rows] + share * vectors[chance.integers(0, N_REAL, PER_FIRM)]
    mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    places = np.arange(PER_FIRM)
    ids = [sentence_id(name, f"T{name}", place) for place in range(PER_FIRM)]
    topics = np.where(places < TOPICS * PER_TOPIC, places // PER_TOPIC, -1)
    values = {
        "sentence_id": ids,
        "firm_id": [name] * PER_FIRM,
        "permno": [firm + 1] * PER_FIRM,
        "transcript_id": [f"T{name}"] * PER_FIRM,
        "earnings_call_date": [DAY] * PER_FIRM,
        "raw_text": [texts[row] for row in rows],
        "speaker_type": ["CEO"] * PER_FIRM,
        "position": places,
        "local_topic_id": topics,
        "is_small_talk": [False] * PER_FIRM,
        "quarter": [str(QUARTER)] * PER_FIRM,
        "vector": to_arrow(quantize(mixed), places, PER_FIRM),
    }
    columns = [pa.array(values[field.name], field.type) for field in schemas.MAP_SENTENCES]
    sentences = pa.Table.from_arrays(columns, schema=schemas.MAP_SENTENCES)
    return FinishedFirm(name, tuple(_topics(name, firm, ids, texts, rows, mixed)), sentences, ())


def _topics(
    name: str,
    firm: int,
    ids: list[str],
    texts: list[str],
    rows: np.ndarray,
    vectors: np.ndarray,
) -> Iterator[dict[str, Any]]:
    for number in range(TOPICS):
        own = range(number * PER_TOPIC, (number + 1) * PER_TOPIC)
        yield {
            "firm_id": name,
            "firm_name": name,
            "quarter": str(QUARTER),
            "permno": firm + 1,
            "gvkey": None,
            "earnings_call_date": DAY,
            "topic_id": f"{name}_{number}",
            "local_topic_id": number,
            "representation": "cost, price",
            "summary": "Costs rose more than prices.",
            "naming_method": "llm",
            "summary_mode": "write",
            "keywords": ["cost", "price"],
            "n_sentences": PER_TOPIC,
            "sentence_ids": [ids[place] for place in own],
            "leading_sentences": [texts[rows[place]] for place in own[:2]],
            "processing_timestamp": STAMP,
            "llm_model": MODEL,
            "prompt_version": "1",
            "vector": vectors[own[0]].tolist(),
        }


class InThisProcess:
    """Takes the place of the model processes, so that one peak holds all memory of the reduce."""

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.to_thread(function, None, Settings(), *arguments)


async def reduce_quarter(made: MadeQuarter, listener: Listener) -> ReduceOutcome:
    """The reduce from parts to tables; a fake LLM server answers at once."""
    output = read_map_output(made.storage, QUARTER, made.batches, RUN_ID)
    answers = AnswerStore.open(made.storage, QUARTER, writer="themes")
    async with FakeLlmServer().client(answers=answers) as client:
        context = ReduceContext(
            storage=made.storage,
            manifest=made.manifest,
            output=output,
            settings=Settings(),
            client=client,
            workers=cast(ModelWorkers, InThisProcess()),
            stop=asyncio.Event(),
            listener=listener,
        )
        return await run_reduce(context)


def measure(folder: Path) -> dict[str, float]:
    """The reduce of the quarter in ``folder``, in this process: its stages and what it reads."""
    storage = CountingStorage(folder)
    manifest = read_manifest(storage, QUARTER)
    made = MadeQuarter(storage, manifest, plan_batches(manifest, Settings().map.batch_size))
    started, worked = time.perf_counter(), time.process_time()
    stages: dict[str, float] = {}

    def note_stage(event: Event) -> None:
        if isinstance(event, StageFinished):
            stages[f"{event.stage}, seconds"] = round(event.seconds, 1)

    outcome = asyncio.run(reduce_quarter(made, note_stage))
    assert outcome.downstream is not None
    output = read_map_output(storage, QUARTER, made.batches, RUN_ID)
    reads = {}
    for name, keys in (("topics", output.topic_keys()), ("sentences", output.sentence_keys())):
        reads[f"reads of a part of {name}, most"] = max(
            storage.bytes_read[key] / storage.size(key) for key in keys
        )
    return {
        "sentences": outcome.downstream.n_sentences,
        "firms": outcome.downstream.n_firms,
        "topics": outcome.n_topics,
        "themes": outcome.n_themes,
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(time.process_time() - worked, 1),
        "peak_mib": round(peak_memory_mib(), 1),
        **stages,
        **reads,
    }


def main() -> None:
    if sys.argv[1:2] == ["one"]:
        print(json.dumps(measure(Path(sys.argv[2]))))
        return
    values: dict[str, object] = {}
    for size in sys.argv[1:] or ["150000", "1500000"]:
        with tempfile.TemporaryDirectory(prefix="reduce-scale-") as folder:
            write_quarter(LocalStorage(Path(folder)), int(size))
            done = subprocess.run(
                [sys.executable, "-W", "ignore", "-m", "bench.reduce_scale", "one", folder],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
        measured = json.loads(done.stdout.splitlines()[-1])
        values |= {f"{int(size):,} sentences, {name}": one for name, one in measured.items()}
    report("reduce_scale", values)


if __name__ == "__main__":
    main()
