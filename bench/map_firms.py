"""The map without LLM, against the loop that one would write and against embedding alone.

Run from the project root: ``python -m bench.map_firms [FIRMS] [PAIRS]``. Each pair takes its own
share of the firms, all sides the same, in turn. Embedding alone embeds the very texts that the map
embeds, by the same processes, and does nothing else. Models are loaded and UMAP compiled before.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from bertopic import BERTopic
from bertopic.representation import KeyBERTInspired, MaximalMarginalRelevance
from hdbscan import HDBSCAN
from sentence_transformers import SentenceTransformer
from sklearn.feature_extraction.text import CountVectorizer
from umap import UMAP

from bench.corpus import maec_firms
from bench.measuring import in_turn, ratio_of, report
from ftm_core.contracts.settings import Settings
from ftm_core.quality.coherence import CallWords, diversity
from ftm_core.text.small_talk import is_small_talk
from ftm_core.topics.embedding import bundled_model_folder
from ftm_core.topics.find_topics import _MASK
from ftm_core.topics.topic_model import NGRAM_MAX
from ftm_core.topics.workers import ModelWorkers, embed_texts, model_one_firm

Keywords = tuple[str, ...]


@dataclass
class Loop:
    """The loop: encode, cluster, describe, one firm after another, at the design's parameters."""

    settings: Settings = field(default_factory=Settings)
    model: SentenceTransformer = field(
        default_factory=lambda: SentenceTransformer(
            str(bundled_model_folder()), local_files_only=True, device="cpu"
        )
    )

    def topics(self, firms: Sequence[pa.Table]) -> list[list[Keywords]]:
        """Keywords of each firm's topics."""
        return [self._one(firm["raw_text"].to_pylist()) for firm in firms]

    def _one(self, texts: list[str]) -> list[Keywords]:
        model = BERTopic(
            embedding_model=self.model,
            umap_model=UMAP(
                n_neighbors=15, n_components=10, min_dist=0.0, metric="cosine", random_state=42
            ),
            hdbscan_model=HDBSCAN(
                min_cluster_size=6, min_samples=2, cluster_selection_method="leaf"
            ),
            # BERTopic counts documents of joined sentences, where min_df 2 would leave no word of
            # one topic alone (docs/explanation/architecture.md), so the loop's is 1.
            vectorizer_model=CountVectorizer(stop_words="english", ngram_range=(1, NGRAM_MAX)),
            representation_model=[
                KeyBERTInspired(),
                MaximalMarginalRelevance(diversity=0.3),
            ],
        )
        labels, _ = model.fit_transform(texts, self.model.encode(texts, show_progress_bar=False))
        found = sorted(set(labels) - {-1})
        return [tuple(word for word, _ in model.get_topic(topic) if word) for topic in found]


async def measure(firms: list[pa.Table], n_pairs: int) -> dict[str, Any]:
    """The ratio of the times, and coherence and diversity of both sides' keywords."""
    settings, loop = Settings(), Loop()
    n_workers = os.cpu_count() or 1
    found: dict[str, list[list[Keywords]]] = {"ours": [], "loop": []}
    async with ModelWorkers(settings, n_workers) as workers:

        async def model(some: Sequence[pa.Table]) -> list[list[Keywords]]:
            models = await asyncio.gather(*(workers.call(model_one_firm, firm) for firm in some))
            return [[topic.keywords for topic in model.topics] for model in models]

        async def embed(some: Sequence[pa.Table]) -> None:
            await asyncio.gather(*(workers.call(embed_texts, embedded(firm)) for firm in some))

        def wait_for(work: Coroutine[Any, Any, Any]) -> Any:
            return asyncio.run_coroutine_threadsafe(work, running).result()

        def ours(pair: int) -> None:
            found["ours"] += wait_for(model(firms[pair::n_pairs]))

        def theirs(pair: int) -> None:
            found["loop"] += loop.topics(firms[pair::n_pairs])

        def embedding(pair: int) -> None:
            wait_for(embed(firms[pair::n_pairs]))

        running = asyncio.get_running_loop()
        await model(firms[:1] * (2 * n_workers))
        await asyncio.to_thread(loop.topics, firms[:1])
        spent = await asyncio.to_thread(in_turn, (ours, theirs, embedding), n_pairs)
    own, of_loop, alone = spent
    ratio = ratio_of(own.seconds, of_loop.seconds)
    in_order = [firm for pair in range(n_pairs) for firm in firms[pair::n_pairs]]
    measures: dict[str, Any] = {
        "times the firms a minute of the loop": ratio,
        "times as long as embedding alone": ratio_of(alone.seconds, own.seconds),
        "times the CPU of embedding alone": ratio_of(alone.cpu_seconds, own.cpu_seconds),
        "firms": len(firms),
        "sentences": sum(len(firm) for firm in firms),
        "firms a minute, ours": 60 * len(firms) / sum(ratio.ours_seconds),
        "firms a minute, loop": 60 * len(firms) / sum(ratio.theirs_seconds),
    }
    for side, keywords in found.items():
        measures |= keyword_quality(in_order, keywords, side)
        measures[f"topics, {side}"] = sum(len(firm) for firm in keywords)
    return measures


def embedded(firm: pa.Table) -> list[str]:
    """The texts of a firm that the map embeds."""
    spoken = zip(firm["raw_text"].to_pylist(), firm["speaker_type"].to_pylist(), strict=True)
    return [_MASK.sub("", text) for text, speaker in spoken if not is_small_talk(text, speaker)]


def keyword_quality(
    firms: Sequence[pa.Table], keywords: Sequence[Sequence[Keywords]], side: str
) -> dict[str, float]:
    """Coherence and diversity of the keywords of one side's topics, firm by firm."""
    spread = [value for firm in keywords if (value := diversity(firm)) is not None]
    return {
        f"NPMI, {side}": _coherence(firms, keywords),
        f"diversity within a firm, {side}": sum(spread) / len(spread),
    }


def _coherence(firms: Sequence[pa.Table], keywords: Sequence[Sequence[Keywords]]) -> float:
    """Mean NPMI of all topics, counted over all calls of the corpus."""
    words = CallWords()
    for firm in firms:
        for text in firm["raw_text"].to_pylist():
            words.add(firm["transcript_id"][0].as_py(), text)
    values = words.coherence([topic for firm in keywords for topic in firm], "c_npmi")
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined)


def main() -> None:
    n_firms, n_pairs = (int(given) for given in (sys.argv[1:] + ["40", "4"][len(sys.argv) - 1 :]))
    report("map_firms", asyncio.run(measure(maec_firms(n_firms), n_pairs)))


if __name__ == "__main__":
    main()
