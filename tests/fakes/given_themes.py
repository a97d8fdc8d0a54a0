"""Themes by a rule instead of by clustering, from the sentences that the job handed over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ftm_core.themes.assignment import Assignment
from ftm_core.themes.quarter_sentences import read_sentences
from ftm_core.themes.theme_finding import FoundTheme, FoundThemes


def given_themes(
    folder: str, subjects: Sequence[str], subject_of: Callable[[Mapping[str, Any]], str | None]
) -> FoundThemes:
    """A theme per subject that some sentence has, in the order of ``subjects``."""
    sentences = read_sentences(Path(folder))
    rows = sentences.table.take(sentences.kept).to_pylist()
    spoken = [subject_of(row) for row in rows]
    present = [subject for subject in subjects if subject in spoken]
    numbers = {subject: number for number, subject in enumerate(present)}
    labels = np.array([numbers.get(subject or "", -1) for subject in spoken], np.int64)
    themes = []
    for number, subject in enumerate(present):
        own = [row for row, label in zip(rows, labels, strict=True) if label == number]
        firms = {row["firm_id"]: row["raw_text"] for row in own}
        themes.append(
            FoundTheme(
                keywords=(subject, "cost"),
                label=f"{subject}, cost",
                kind="subject",
                group=0,
                group_name="cost",
                n_firms=len(firms),
                n_sentences=len(own),
                leading_sentences=tuple(firms.values())[:8],
            )
        )
    directions = np.eye(max(len(present), 2), dtype=np.float32)[: len(present)]
    similarity = np.full(len(rows), 0.9, np.float32)
    return FoundThemes(tuple(themes), directions, Assignment(labels, similarity))
