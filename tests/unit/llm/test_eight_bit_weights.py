"""The 8-bit copy of a model's file keeps its weights, its other tensors and its header."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ftm_core.llm import eight_bit_weights
from ftm_core.llm.gguf import read_gguf
from tests.fakes.gguf_file import gguf_bytes

FLOAT32, Q4_1, Q8_0 = 0, 3, 8


def q4_1(steps: npt.NDArray[np.float16], numbers: npt.NDArray[np.uint8]) -> bytes:
    """Blocks of Q4_1 from (step, lowest value) and 32 numbers below 16 each."""
    packed = numbers[:, :16] | numbers[:, 16:] << 4
    return np.concatenate([steps.view(np.uint8), packed], axis=1).tobytes()


def weights_of_q8_0(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    blocks = data.reshape(-1, 34)
    return blocks[:, :2].copy().view(np.float16).astype(np.float32) * blocks[:, 2:].view(np.int8)


@given(
    arrays(np.float16, (3, 2), elements=st.floats(-8, 8, width=16, allow_subnormal=False)),
    arrays(np.uint8, (3, 32), elements=st.integers(0, 15)),
)
def test_weights_stay_within_half_a_step_of_eight_bits(
    steps: npt.NDArray[np.float16], numbers: npt.NDArray[np.uint8]
) -> None:
    exact = steps[:, :1].astype(np.float32) * numbers + steps[:, 1:].astype(np.float32)
    found = weights_of_q8_0(
        eight_bit_weights.eight_bits(np.frombuffer(q4_1(steps, numbers), np.uint8))
    )
    largest = np.abs(exact).max(axis=1, keepdims=True)
    # Half a step, and the rounding of the step itself to float16.
    assert (np.abs(found - exact) <= largest * (1 / 254 + 1 / 2048) + 2**-18).all()


def test_all_else_of_the_file_is_kept(tmp_path: Path) -> None:
    steps = np.array([[0.5, -4.0], [0.0, 0.0]], np.float16)
    numbers = np.tile(np.arange(32, dtype=np.uint8) % 16, (2, 1))
    kept = np.arange(5, dtype=np.float32).tobytes()
    path, target = tmp_path / "four.gguf", tmp_path / "eight.gguf"
    path.write_bytes(
        gguf_bytes(tensors=[(FLOAT32, 5, kept), (Q4_1, 64, q4_1(steps, numbers)), (0, 5, kept)])
    )
    four = read_gguf(path)
    assert eight_bit_weights.gains(four)
    eight_bit_weights.write_copy(four, target)
    eight = read_gguf(target)
    assert [one.kind for one in eight.layout.tensors] == [FLOAT32, Q8_0, FLOAT32]
    assert not eight_bit_weights.gains(eight)
    assert abs(eight_bit_weights.served_size(four) - target.stat().st_size) < 3 * 32
    assert (eight.name, eight.context_length) == (four.name, four.context_length)
    content = target.read_bytes()
    first, made, last = (
        content[eight.layout.data_at + one.offset :][: one.size] for one in eight.layout.tensors
    )
    assert first == last == kept
    found = weights_of_q8_0(np.frombuffer(made, np.uint8))
    assert np.allclose(found[0], numbers[0] * 0.5 - 4, atol=0.02)
    assert not found[1].any()


def test_a_file_without_four_bit_blocks_is_served_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(gguf_bytes())
    file = read_gguf(path)
    assert not eight_bit_weights.gains(file)
    assert eight_bit_weights.served_size(file) == file.size
