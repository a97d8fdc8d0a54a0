"""Time and memory of evaluate, quality, report and export on a full quarter, through `ftm`.

    python -m bench.finished_commands [FIRMS]
    python -m bench.finished_commands make FOLDER [FIRMS]
    python -m bench.finished_commands measure FOLDER [COMMAND ...]

The quarter is finished and sound: 5,000 firms of 300 real sentences, 30 topics each. Ingest, map,
reduce and their records are written by the product's own writers; topics, vectors and themes
follow a rule, and a fake LLM server answers at once. Each command then runs as a process of its
own. Its memory is that of the command and its children.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.corpus import maec_file
from bench.golden import MODEL, answer_to
from bench.measuring import PeakMemory, measured_commit, report
from bench.quarters import QUARTER, make_quarter
from ftm_core.contracts.events import ignore
from ftm_core.contracts.settings import LlmSettings, Settings
from ftm_core.data import lease
from ftm_core.data.batch_plan import write_plan
from ftm_core.data.map_output import read_map_output
from ftm_core.llm.answers import AnswerStore
from ftm_core.llm.client import LlmClient
from ftm_core.run_inputs import run_inputs
from ftm_core.storage.local import LocalStorage
from ftm_core.text.small_talk import is_small_talk
from ftm_core.themes.assignment import Assignment
from ftm_core.themes.quarter_sentences import read_sentences
from ftm_core.themes.reduce_job import ReduceContext, run_reduce
from ftm_core.themes.theme_finding import FoundTheme, FoundThemes
from ftm_core.topics.find_topics import FirmTopics, TopicDraft
from ftm_core.topics.map_job import MapContext, run_batch
from ftm_core.topics.workers import ModelWorkers
from ftm_core.transcripts.call_sentences import Sentence
from ftm_core.transcripts.chunks import Call, FirmTranscripts
from tests.fakes.llm_server import completion

FIRMS = 5_000
N_REAL = 8_000
PER_FIRM, TOPICS, PER_TOPIC = 300, 30, 8
THEMES = 700
# Of ten real sentences that a theme could have, so many are in it.
IN_THEME = 6
DIMENSIONS = 384
RUN_NAME = "2017Q1-20170601-120000"
DAY = dt.date(2017, 2, 1)
COMMANDS: dict[str, tuple[str, ...]] = {
    "evaluate": ("evaluate",),
    "quality": ("quality",),
    "report": ("report", "--output", "report.html"),
    "export": ("export", "--format", "csv", "--output", "exported"),
}


def real_texts() -> list[str]:
    """N_REAL distinct sentences of MAEC that are not small talk."""
    said = pq.read_table(maec_file(), columns=["text"])["text"].to_pylist()
    texts = [text for text in dict.fromkeys(said) if not is_small_talk(text, "CEO")]
    chosen = np.random.default_rng(42).choice(len(texts), N_REAL, replace=False)
    return [texts[row] for row in np.sort(chosen)]


def _firm(number: int, texts: list[str]) -> FirmTranscripts:
    said = np.random.default_rng(number).choice(N_REAL, PER_FIRM, replace=False)
    sentences = tuple(Sentence(texts[row], "CEO", place) for place, row in enumerate(said))
    return FirmTranscripts(
        firm_id=f"F{number:05d}",
        firm_name=f"Firm {number} Incorporated",
        calls=(Call(f"T{number:05d}", DAY, sentences),),
        ticker=f"T{number}",
        permno=10_000 + number,
        gvkey=f"{number:06d}",
        link_date=dt.date(2010, 1, 1),
    )


class _Rule:
    """Takes the place of the processes: topics by position, themes by the words."""

    n_workers = 8

    def __init__(self, texts: list[str]) -> None:
        chance = np.random.default_rng(7)
        self._vectors = chance.integers(-127, 128, (N_REAL, DIMENSIONS), np.int8)
        self._row = {text: row for row, text in enumerate(texts)}

    async def call(self, function: Callable[..., Any], argument: Any) -> Any:
        if isinstance(argument, pa.Table):
            return self._topics(argument)
        return await asyncio.to_thread(self._themes, argument)

    def _topics(self, sentences: pa.Table) -> FirmTopics:
        rows = sentences.to_pylist()
        vectors = self._vectors[[self._row[row["raw_text"]] for row in rows]]
        return FirmTopics(
            firm_id=rows[0]["firm_id"],
            topics=tuple(
                _topic(number, rows[number * PER_TOPIC : (number + 1) * PER_TOPIC], vectors)
                for number in range(TOPICS)
            ),
            sentence_topics=tuple(
                place // PER_TOPIC if place < TOPICS * PER_TOPIC else -1
                for place in range(PER_FIRM)
            ),
            kept=np.arange(PER_FIRM),
            sentence_vectors=vectors,
        )

    def _themes(self, folder: str) -> FoundThemes:
        sentences = read_sentences(Path(folder))
        texts = sentences.table["raw_text"].take(sentences.kept).to_pylist()
        real = np.array([self._row[text] for text in texts])
        labels = np.where(real // THEMES % 10 < IN_THEME, real % THEMES, -1).astype(np.int64)
        firms = sentences.codes("firm_id")
        themes = []
        for number in range(THEMES):
            own = np.flatnonzero(labels == number)
            keywords = tuple(dict.fromkeys(_words(texts[own[0]])))[:10]
            themes.append(
                FoundTheme(
                    keywords=keywords,
                    label=", ".join(keywords[:3]),
                    kind="subject",
                    group=number // 10,
                    group_name=", ".join(keywords[:2]),
                    n_firms=len(np.unique(firms[own])),
                    n_sentences=len(own),
                    leading_sentences=tuple(dict.fromkeys(texts[row] for row in own[:200]))[:8],
                )
            )
        chance = np.random.default_rng(3)
        directions = chance.normal(size=(THEMES, DIMENSIONS)).astype(np.float32)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        similarity = chance.uniform(0.3, 0.9, len(labels)).astype(np.float32)
        return FoundThemes(tuple(themes), directions, Assignment(labels, similarity))


def _words(text: str) -> Iterator[str]:
    return (word for word in text.lower().split() if word.isalpha() and len(word) > 4)


def _topic(number: int, rows: list[dict[str, Any]], vectors: np.ndarray) -> TopicDraft:
    first = rows[0]
    mean = vectors[number * PER_TOPIC : (number + 1) * PER_TOPIC].mean(axis=0)
    keywords = dict.fromkeys(word for row in rows for word in _words(row["raw_text"]))
    return TopicDraft(
        topic_id=f"{first['firm_id']}_{number}",
        local_topic_id=number,
        earnings_call_date=first["earnings_call_date"],
        firm_name=first["firm_name"],
        permno=first["permno"],
        gvkey=first["gvkey"],
        keywords=tuple(keywords)[:10],
        sentence_ids=tuple(row["sentence_id"] for row in rows),
        leading_texts=tuple(row["raw_text"] for row in rows),
        vector=tuple((mean / np.linalg.norm(mean)).tolist()),
    )


def _answer(request: httpx.Request) -> httpx.Response:
    import json

    if request.url.path.endswith("/models"):
        return httpx.Response(200, json={"data": [{"id": MODEL, "max_model_len": 4096}]})
    if request.method == "GET":
        return httpx.Response(200)
    return completion(answer_to(json.loads(request.content)), model=MODEL)


async def make(storage: LocalStorage, n_firms: int) -> None:
    """Write the finished quarter."""
    texts = real_texts()
    made = make_quarter(storage, (_firm(number, texts) for number in range(n_firms)))
    llm = LlmSettings(base_url="http://127.0.0.1:9/v1", model_name=MODEL)
    settings = Settings(llm=llm)
    inputs = {**run_inputs(made.manifest, settings), "max_firms": None}
    identity = lease.acquire(storage, QUARTER, inputs, lease.this_process(RUN_NAME))
    write_plan(storage, QUARTER, made.batches)
    answers = AnswerStore.open(storage, QUARTER, writer="run")
    workers = cast(ModelWorkers, _Rule(texts))
    stop = asyncio.Event()
    async with LlmClient(llm, answers=answers, transport=httpx.MockTransport(_answer)) as client:
        context = MapContext(
            storage, made.manifest, identity.run_id, settings, client, workers, stop, ignore
        )
        for batch in made.batches:
            await run_batch(batch, context)
            print(f"{batch.batch_id} mapped", file=sys.stderr, flush=True)
        output = read_map_output(storage, QUARTER, made.batches, identity.run_id)
        await run_reduce(
            ReduceContext(storage, made.manifest, output, settings, client, workers, stop, ignore)
        )
    lease.release(storage, QUARTER, RUN_NAME, finished=True)


def run_command(arguments: tuple[str, ...], data: Path, folder: Path) -> dict[str, float]:
    """One `ftm` command in ``folder``: its exit status, seconds, CPU seconds and peak MiB."""
    started = time.perf_counter()
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        command = [sys.executable, "-m", "ftm_cli", *arguments]
        where = ["--quarter", str(QUARTER), "--data", str(data)]
        environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        process = subprocess.Popen(
            [*command, *where], cwd=folder, stdout=out, stderr=err, env=environment
        )
        with PeakMemory(process.pid) as peak:
            _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "exit code": process.returncode,
        "seconds": time.perf_counter() - started,
        "CPU seconds": used.ru_utime + used.ru_stime,
        "peak MiB": peak.mib,
    }


def measure(data: Path, names: list[str]) -> dict[str, object]:
    """The values of each command."""
    measured_commit()
    store_rows = pq.ParquetFile(
        next(data.glob(f"processed/sentences/quarter={QUARTER}/*.parquet"))
    ).metadata.num_rows
    values: dict[str, object] = {"sentences": store_rows}
    for name in names:
        with tempfile.TemporaryDirectory(prefix="finished-commands-") as folder:
            found = run_command(COMMANDS[name], data, Path(folder))
            if found["exit code"] != 0:
                print((Path(folder) / "stderr").read_text()[-3000:], file=sys.stderr)
                raise RuntimeError(f"ftm {name} ended with {found['exit code']:.0f}")
        values |= {f"{name}, {kind}": value for kind, value in found.items() if kind != "exit code"}
        print(f"{name}: {found}", file=sys.stderr, flush=True)
    return values


def main() -> None:
    words = sys.argv[1:]
    if words[:1] == ["make"]:
        n_firms = int(words[2]) if len(words) > 2 else FIRMS
        asyncio.run(make(LocalStorage(Path(words[1])), n_firms))
        return
    if words[:1] == ["measure"]:
        report("finished_commands", measure(Path(words[1]), words[2:] or list(COMMANDS)))
        return
    with tempfile.TemporaryDirectory(prefix="finished-quarter-") as folder:
        # In a process of its own: its memory and threads are none of the commands'.
        make_it = [sys.executable, "-m", "bench.finished_commands", "make", folder, *words]
        subprocess.run(make_it, check=True)
        report("finished_commands", measure(Path(folder), list(COMMANDS)))


if __name__ == "__main__":
    main()
