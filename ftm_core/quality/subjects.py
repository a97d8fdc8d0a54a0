"""Subject recovery: how well some theme matches each subject of a dictionary of patterns."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ftm_core.contracts.errors import InputError

# Subjects with fewer marked sentences do not count: one sentence more or less would decide.
FEWEST_SENTENCES = 40


@dataclass(frozen=True)
class Subject:
    """A subject by name and the pattern that marks sentences on it, upper and lower case alike."""

    name: str
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class RecoveredSubject:
    """A subject, its marked sentences, and its best theme (-1: none) with the F1 of the two."""

    name: str
    n_sentences: int
    theme: int
    f1: float


@dataclass(frozen=True)
class SubjectRecovery:
    """The subjects that count, in the order of the file, and the mean F1; None without any."""

    subjects: tuple[RecoveredSubject, ...]
    n_too_rare: int

    @property
    def mean(self) -> float | None:
        """Mean over the subjects of the best F1 over all themes."""
        values = [subject.f1 for subject in self.subjects]
        return sum(values) / len(values) if values else None


def read_subjects(path: Path) -> list[Subject]:
    """Read a CSV file of two columns, a subject's name and its regular expression.

    The first line is a header. Raises InputError naming the line that is not usable.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The patterns file {path}", f"cannot be read ({error})", "Name a CSV file in UTF-8."
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""))
    next(reader, None)
    subjects = []
    for row in reader:
        if not row:
            continue
        where = f"Line {reader.line_num} of the patterns file {path}"
        if len(row) != 2 or not row[0].strip() or not row[1]:
            raise InputError(
                where,
                f"must have two fields, but has {len(row)}",
                "Give each line a name and a regular expression.",
            )
        try:
            pattern = re.compile(row[1], re.IGNORECASE)
        except re.error as error:
            raise InputError(
                where,
                f"has an invalid regular expression ({error})",
                "Correct the regular expression.",
            ) from error
        if pattern.search(""):
            raise InputError(
                where, "has a pattern that matches everything", "Write a narrower expression."
            )
        subjects.append(Subject(row[0].strip(), pattern))
    if not subjects:
        raise InputError(
            f"The patterns file {path}", "names no subject", "Give it a header and one line each."
        )
    return subjects


def subject_recovery(
    texts: Sequence[str], themes: npt.NDArray[np.int64], subjects: Sequence[Subject]
) -> SubjectRecovery:
    """Compare the sentences of each theme with those that each subject's pattern marks.

    ``themes`` holds the theme of each text, -1 for none. Subjects that mark fewer than
    FEWEST_SENTENCES sentences are counted and left out. It is a proxy: patterns miss sentences that
    say it in other words, so 1.0 is out of reach.
    """
    in_theme = themes >= 0
    n_themes = int(themes.max(initial=-1)) + 1
    sizes = np.bincount(themes[in_theme], minlength=n_themes)
    found, n_too_rare = [], 0
    for subject in subjects:
        marked = np.fromiter((bool(subject.pattern.search(text)) for text in texts), bool)
        n_marked = int(marked.sum())
        if n_marked < FEWEST_SENTENCES:
            n_too_rare += 1
            continue
        hits = np.bincount(themes[marked & in_theme], minlength=n_themes)
        f1 = 2 * hits / (sizes + n_marked)
        best = int(f1.argmax()) if n_themes and f1.max() > 0 else -1
        found.append(
            RecoveredSubject(subject.name, n_marked, best, float(f1[best]) if best >= 0 else 0.0)
        )
    return SubjectRecovery(tuple(found), n_too_rare)
