"""Whether themes hold up when nothing but the seed of the clustering changes."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

from ftm_core.contracts.settings import ThemeSettings
from ftm_core.data.finished import FinishedQuarter
from ftm_core.data.part_copies import PartCopies
from ftm_core.themes.quarter_sentences import read_sentences, write_sentences
from ftm_core.themes.theme_finding import assign_sentences

SEEDS = 5


def stability(finished: FinishedQuarter) -> float | None:
    """Mean adjusted Rand index over all pairs of clusterings by SEEDS seeds, the run's the first.

    Over all sentences that are no small talk, those in no theme as one group. None without
    sentences. The settings are those that the run recorded.
    """
    from sklearn.metrics import adjusted_rand_score

    themes = ThemeSettings(**finished.settings["themes"])
    with tempfile.TemporaryDirectory(prefix="ftm-stability-") as folder:
        if not write_sentences(PartCopies(finished.storage, finished.output, Path(folder))):
            return None
        sentences = read_sentences(Path(folder))
        found = [
            assign_sentences(sentences, themes.model_copy(update={"seed": seed})).themes
            for seed in range(themes.seed, themes.seed + SEEDS)
        ]
    values = [adjusted_rand_score(*pair) for pair in itertools.combinations(found, 2)]
    return float(sum(values) / len(values))
