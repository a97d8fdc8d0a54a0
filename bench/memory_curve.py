"""Peak memory of the map's own process from 100 to 5,000 firms.

Run from the project root: ``python -m bench.memory_curve [FIRMS ...]``. Firms are made up, topics
are by rule and answers come at once from a fake server: memory is that of the job, whose queues
must not grow. The model processes have one firm each, for any quarter.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.measuring import report
from bench.quarters import FixedRateServer, made_up_firms, make_quarter, map_quarter
from ftm_core.memory import give_memory_back, peak_memory_mib
from ftm_core.storage.local import LocalStorage
from ftm_core.topics.find_topics import FirmTopics
from tests.fakes.chaos_models import RuleWorkers

SENTENCES = 60
TOPICS = 7
DIMENSIONS = 384


class ForgetfulWorkers(RuleWorkers):
    """Keeps no list of what it modelled."""

    def __init__(self) -> None:
        super().__init__(topics_per_firm=TOPICS)
        self._chance = np.random.default_rng(1)

    def _model(self, sentences: pa.Table) -> FirmTopics:
        model = super()._model(sentences)
        # Vectors as long as the real ones: they are most of what a firm holds.
        topics = [
            replace(topic, vector=tuple(self._chance.random(DIMENSIONS).tolist()))
            for topic in model.topics
        ]
        return replace(model, topics=tuple(topics))

    async def call(self, function: object, *arguments: object) -> object:
        self.modelled.clear()
        return await super().call(function, *arguments)  # type: ignore[arg-type]


def child(n_firms: int, folder: str) -> None:
    """One size in a process of its own: the quarter is made by another."""
    from bench.quarters import QUARTER, MadeQuarter
    from ftm_core.contracts.settings import Settings
    from ftm_core.data.batch_plan import plan_batches
    from ftm_core.data.transcript_chunks import read_manifest

    storage = LocalStorage(Path(folder))
    manifest = read_manifest(storage, QUARTER)
    quarter = MadeQuarter(storage, manifest, plan_batches(manifest, Settings().map.batch_size))
    outcomes = asyncio.run(map_quarter(quarter, ForgetfulWorkers(), FixedRateServer()))
    completed = sum(outcome.n_completed for outcome in outcomes)
    print(json.dumps({"completed": completed, "peak_mib": peak_memory_mib()}))


def main() -> None:
    give_memory_back()
    sizes = [int(given) for given in sys.argv[1:]] or [100, 1000, 5000]
    curve: dict[str, object] = {}
    for n_firms in sizes:
        with tempfile.TemporaryDirectory() as folder:
            make_quarter(LocalStorage(Path(folder)), made_up_firms(n_firms, SENTENCES))
            command = f"from bench.memory_curve import child; child({n_firms}, {folder!r})"
            done = subprocess.run(
                [sys.executable, "-c", command], stdout=subprocess.PIPE, check=True
            )
        reported = json.loads(done.stdout)
        if reported["completed"] != n_firms:
            raise RuntimeError(f"{reported['completed']} of {n_firms} firms completed")
        curve[f"peak MiB at {n_firms} firms"] = round(reported["peak_mib"], 1)
    curve["what plays models and LLM"] = "topics by rule, a fake server that answers at once"
    report("memory_curve", curve)


if __name__ == "__main__":
    main()
