"""The whole map against the longer of models alone and LLM alone, with a fake server of fixed rate.

Run from the project root: ``python -m bench.overlap [FIRMS] [PAIRS]``. The server's rate is set so
that both sides alone take as long as each other, where overlapping gains most. One side waits while
the first firms are modelled and the last are answered, which counts for less the more firms.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from bench.corpus import maec_firms
from bench.measuring import ratio_of, report
from bench.quarters import FixedRateServer, make_quarter, map_quarter, transcripts_of
from ftm_core.contracts.settings import Settings
from ftm_core.storage.local import LocalStorage
from ftm_core.topics.workers import ModelWorkers, default_workers, model_one_firm


async def measure(firms: list[pa.Table], n_pairs: int) -> dict[str, object]:
    settings = Settings()
    longer, whole = [], []
    async with ModelWorkers(settings, default_workers(settings)) as workers:
        await workers.call(model_one_firm, firms[0])
        await _timed(firms[:2], workers, FixedRateServer())
        for _ in range(n_pairs):
            instant = FixedRateServer()
            models_alone = await _timed(firms, workers, instant)
            rate = instant.n_answers / models_alone
            limited = FixedRateServer(rate)
            whole.append(await _timed(firms, workers, limited))
            # The rate is kept exactly, so the LLM alone takes its answers times their distance.
            longer.append(max(models_alone, limited.n_answers / rate))
    # As a share of the longer one: small is good, so it stands in the other's place.
    return {
        "whole map, times the longer of models alone and LLM alone": ratio_of(longer, whole),
        "firms": len(firms),
        "what plays the LLM": "a fake server of fixed rate, in this process",
    }


async def _timed(firms: list[pa.Table], workers: ModelWorkers, server: FixedRateServer) -> float:
    with tempfile.TemporaryDirectory() as folder:
        quarter = make_quarter(LocalStorage(Path(folder)), map(transcripts_of, firms))
        started = time.perf_counter()
        await map_quarter(quarter, workers, server)
        return time.perf_counter() - started


def main() -> None:
    n_firms, n_pairs = (int(given) for given in (sys.argv[1:] + ["120", "3"][len(sys.argv) - 1 :]))
    report("overlap", asyncio.run(measure(maec_firms(n_firms), n_pairs)))


if __name__ == "__main__":
    main()
