"""Sentences a second, and closeness of vectors, against sentence-transformers' default.

Run from the project root: ``python -m bench.embedding [SENTENCES] [PAIRS]``.
"""

from __future__ import annotations

import asyncio
import os
import sys

import numpy as np
from sentence_transformers import SentenceTransformer

from bench.corpus import maec_firms
from bench.measuring import Ratio, alternate, report
from ftm_core.contracts.settings import Settings
from ftm_core.topics.embedding import Vectors, embedded_model_folder
from ftm_core.topics.workers import ModelWorkers, embed_texts


async def measure(texts: list[str], n_pairs: int) -> tuple[Ratio, np.ndarray]:
    """Pairs over all cores (our processes against the default's threads), and all cosines."""
    n_workers = os.cpu_count() or 1
    model = SentenceTransformer(str(embedded_model_folder()), local_files_only=True, device="cpu")
    vectors: dict[str, Vectors] = {}
    async with ModelWorkers(Settings(), n_workers) as workers:

        async def embed_all() -> Vectors:
            # As the map hands them out, call by call: here every so many sentences.
            parts = [texts[start : start + 150] for start in range(0, len(texts), 150)]
            return np.vstack(await asyncio.gather(*(workers.call(embed_texts, p) for p in parts)))

        def ours(pair: int) -> None:
            vectors["ours"] = asyncio.run_coroutine_threadsafe(embed_all(), loop).result()

        def theirs(pair: int) -> None:
            encoded = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
            vectors["theirs"] = np.asarray(encoded)

        loop = asyncio.get_running_loop()
        # Processes started, models loaded and warm on both sides.
        await asyncio.gather(*(workers.call(embed_texts, texts[:100]) for _ in range(n_workers)))
        model.encode(texts[:100])
        ratio = await asyncio.to_thread(alternate, ours, theirs, n_pairs)
    return ratio, (vectors["ours"] * vectors["theirs"]).sum(axis=1)


def main() -> None:
    n_texts, n_pairs = (int(given) for given in (sys.argv[1:] + ["1200", "3"][len(sys.argv) - 1 :]))
    texts = [text for firm in maec_firms(40) for text in firm["raw_text"].to_pylist()][:n_texts]
    ratio, cosines = asyncio.run(measure(texts, n_pairs))
    report(
        "embedding",
        {
            "times the sentences a second of sentence-transformers": ratio,
            "sentences": len(texts),
            "sentences a second, ours": len(texts) / min(ratio.ours_seconds),
            "sentences a second, sentence-transformers": len(texts) / min(ratio.theirs_seconds),
            "mean cosine": float(cosines.mean()),
            "lowest cosine": float(cosines.min()),
        },
    )


if __name__ == "__main__":
    main()
