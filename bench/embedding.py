"""Sentences a second, and closeness of vectors, against sentence-transformers' default.

Run from the project root: ``python -m bench.embedding [CALLS] [PAIRS]``.
"""

from __future__ import annotations

import asyncio
import os
import sys
from statistics import median

import numpy as np
from sentence_transformers import SentenceTransformer

from bench.corpus import maec_firms
from bench.measuring import Ratio, alternate, report
from ftm_core.contracts.settings import Settings
from ftm_core.topics.embedding import Vectors, bundled_model_folder
from ftm_core.topics.workers import ModelWorkers, embed_texts


async def measure(firms: list[list[str]], n_pairs: int) -> tuple[Ratio, np.ndarray]:
    """Pairs over all cores (our processes against the default's threads), and all cosines.

    Both are handed the sentences call by call, as whoever models firms does.
    """
    n_workers = os.cpu_count() or 1
    model = SentenceTransformer(str(bundled_model_folder()), local_files_only=True, device="cpu")
    vectors: dict[str, Vectors] = {}
    async with ModelWorkers(Settings(), n_workers) as workers:

        async def embed_all() -> Vectors:
            calls = (workers.call(embed_texts, firm) for firm in firms)
            return np.vstack(await asyncio.gather(*calls))

        def ours(pair: int) -> None:
            vectors["ours"] = asyncio.run_coroutine_threadsafe(embed_all(), loop).result()

        def theirs(pair: int) -> None:
            encoded = [
                model.encode(firm, normalize_embeddings=True, show_progress_bar=False)
                for firm in firms
            ]
            vectors["theirs"] = np.vstack(encoded)

        loop = asyncio.get_running_loop()
        # Processes started, models loaded and warm on both sides.
        await asyncio.gather(*(workers.call(embed_texts, firms[0]) for _ in range(2 * n_workers)))
        model.encode(firms[0])
        ratio = await asyncio.to_thread(alternate, ours, theirs, n_pairs)
    return ratio, (vectors["ours"] * vectors["theirs"]).sum(axis=1)


def main() -> None:
    n_firms, n_pairs = (int(given) for given in (sys.argv[1:] + ["12", "5"][len(sys.argv) - 1 :]))
    firms = [firm["raw_text"].to_pylist() for firm in maec_firms(n_firms)]
    n_sentences = sum(map(len, firms))
    ratio, cosines = asyncio.run(measure(firms, n_pairs))
    report(
        "embedding",
        {
            "times the sentences a second of sentence-transformers": ratio,
            "calls": len(firms),
            "sentences": n_sentences,
            "sentences a second, ours": n_sentences / median(ratio.ours_seconds),
            "sentences a second, sentence-transformers": n_sentences / median(ratio.theirs_seconds),
            "mean cosine": float(cosines.mean()),
            "lowest cosine": float(cosines.min()),
        },
    )


if __name__ == "__main__":
    main()
