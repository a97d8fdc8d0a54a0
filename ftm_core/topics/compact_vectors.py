"""Sentence vectors in one signed byte a dimension, as the map output keeps them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ftm_core.topics.embedding import Vectors

Bytes = npt.NDArray[np.int8]
_LARGEST = 127


def quantize(vectors: Vectors) -> Bytes:
    """Round vectors of shape (n, dimensions) to -127..127, each scaled to its largest component.

    The scale is not kept: every vector has length 1, which ``dequantize`` restores. The cosine of
    a vector and its rounded form is above 0.9995.
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0.0)
    scaled = vectors * (_LARGEST / np.maximum(largest, 1e-9))
    return np.asarray(np.rint(scaled), np.int8)


def dequantize(rounded: Bytes) -> Vectors:
    """Vectors of length 1, of the same shape; a row of zeros stays zero."""
    vectors = rounded.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), np.float32)


def to_arrow(rounded: Bytes, rows: npt.NDArray[np.int64], n_rows: int) -> pa.Array:
    """A binary column of ``n_rows``: row ``rows[i]`` holds vector ``i``, all others are null."""
    values: list[bytes | None] = [None] * n_rows
    for row, vector in zip(rows.tolist(), rounded, strict=True):
        values[row] = vector.tobytes()
    return pa.array(values, pa.binary())


def from_arrow(column: pa.Array | pa.ChunkedArray) -> Bytes:
    """The vectors of the rows that are not null, of shape (n, dimensions)."""
    values = column.drop_null()
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if not len(values):
        return np.zeros((0, 0), np.int8)
    dimensions = len(values[0].as_py())
    offsets = np.frombuffer(values.buffers()[1], np.int32)[
        values.offset : values.offset + len(values) + 1
    ]
    flat = np.frombuffer(values.buffers()[2], np.int8)[offsets[0] : offsets[-1]]
    return flat.reshape(len(values), dimensions)
