"""Subject recovery against a dictionary of patterns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ftm_core.contracts.errors import InputError
from ftm_core.quality.subjects import read_subjects, subject_recovery


def patterns(folder: Path, *lines: str) -> Path:
    path = folder / "patterns.csv"
    path.write_text("\n".join(["matter,pattern", *lines]) + "\n", encoding="utf-8")
    return path


def test_recovery_is_the_best_f1_of_a_subject(tmp_path: Path) -> None:
    """60 marked sentences, 40 of them in a theme of 50; the rare subject is left out."""
    subjects = read_subjects(patterns(tmp_path, "freight,freight|trucking", "rare,unheard"))
    texts = ["Freight rose."] * 30 + ["TRUCKING fell."] * 30 + ["Wages rose."] * 40
    themes = np.array([0] * 40 + [-1] * 20 + [0] * 10 + [1] * 30)

    found = subject_recovery(texts, themes, subjects)

    assert [(one.name, one.n_sentences, one.theme) for one in found.subjects] == [
        ("freight", 60, 0)
    ]
    assert found.mean == pytest.approx(2 * 40 / (60 + 50))
    assert found.n_too_rare == 1


def test_recovery_without_themes_is_zero(tmp_path: Path) -> None:
    subjects = read_subjects(patterns(tmp_path, "freight,freight"))

    found = subject_recovery(["Freight rose."] * 50, np.full(50, -1), subjects)

    assert (found.mean, found.subjects[0].theme) == (0.0, -1)


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("freight,(", "invalid"),
        ("freight", "two fields, but has 1"),
        ("freight,a*", "matches everything"),
    ],
)
def test_read_subjects_names_the_faulty_line(tmp_path: Path, line: str, cause: str) -> None:
    with pytest.raises(InputError, match=cause) as caught:
        read_subjects(patterns(tmp_path, line))

    assert "Line 2" in str(caught.value)
