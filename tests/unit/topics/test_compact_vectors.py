"""Vectors in one byte a dimension come back in their direction and in their rows."""

from __future__ import annotations

import numpy as np

from ftm_core.topics import compact_vectors


def unit_vectors(n: int, dimensions: int = 384) -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(n, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_quantize_keeps_the_direction() -> None:
    vectors = unit_vectors(200)

    restored = compact_vectors.dequantize(compact_vectors.quantize(vectors))

    assert np.einsum("nd,nd->n", vectors, restored).min() > 0.9995
    np.testing.assert_allclose(np.linalg.norm(restored, axis=1), 1, atol=1e-5)


def test_quantize_zero_vector_stays_zero() -> None:
    zero = np.zeros((1, 4), np.float32)

    assert not compact_vectors.dequantize(compact_vectors.quantize(zero)).any()


def test_to_arrow_other_rows_are_null() -> None:
    rounded = compact_vectors.quantize(unit_vectors(2, 8))

    column = compact_vectors.to_arrow(rounded, np.array([1, 3]), 4)

    assert column.is_valid().to_pylist() == [False, True, False, True]
    np.testing.assert_array_equal(compact_vectors.from_arrow(column), rounded)
    np.testing.assert_array_equal(compact_vectors.from_arrow(column.slice(2)), rounded[1:])
