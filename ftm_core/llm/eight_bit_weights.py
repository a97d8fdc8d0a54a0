"""A copy of a small model's file with 8-bit weights, which the CPU multiplies faster.

llama.cpp has quick products of whole matrices for ggml's Q8_0 and none for its Q4_1, whose blocks
of 32 weights it multiplies row by row. Q8_0 keeps every weight of Q4_1 to within 1/254 of the
largest of its block. Source: ggml-quants.c in https://github.com/ggml-org/llama.cpp
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ftm_core.llm.gguf import GgufModel, Tensor, size_of

_Q4_1, _Q8_0 = 3, 8
_PER_BLOCK = 32
# Reading a large model's weights takes longer than multiplying them: there 4 bits are faster.
_LARGEST_BYTES = 200 * 1024**2

_Bytes = npt.NDArray[np.uint8]


def gains(file: GgufModel) -> bool:
    """Whether a copy of this file is served faster: it is small and holds Q4_1."""
    return file.size <= _LARGEST_BYTES and any(one.kind == _Q4_1 for one in file.layout.tensors)


def write_copy(file: GgufModel, target: Path) -> None:
    """Write the file again, its Q4_1 tensors in Q8_0 and all else as it is.

    The same file gives the same bytes on every machine. Raises OSError where it cannot be written.
    """
    layout = file.layout
    with file.path.open("rb") as source, target.open("wb") as copy:
        copy.write(source.read(layout.data_at))
        for one in layout.tensors:
            offset = copy.tell() - layout.data_at
            source.seek(layout.data_at + one.offset)
            data: Any = source.read(one.size)
            kind = one.kind
            if kind == _Q4_1:
                data, kind = eight_bits(np.frombuffer(data, np.uint8)), _Q8_0
            copy.write(data)
            copy.write(b"\0" * (-copy.tell() % layout.alignment))
            end = copy.tell()
            copy.seek(one.described_at)
            copy.write(struct.pack("<IQ", kind, offset))
            copy.seek(end)


def served_size(file: GgufModel) -> int:
    """Bytes of what is served: of the copy where one gains, else of the file."""
    if not gains(file):
        return file.size

    def size(one: Tensor) -> int:
        return size_of(_Q8_0 if one.kind == _Q4_1 else one.kind, one.n_values)

    return file.layout.data_at + sum(map(size, file.layout.tensors))


def eight_bits(four_bits: _Bytes) -> _Bytes:
    """Blocks of Q4_1 as blocks of Q8_0; both as flat bytes.

    A block of Q4_1 is a step and a lowest value (float16) and 32 numbers of 4 bits, the first
    sixteen in the lower halves of its bytes; one of Q8_0 is a step (float16) and 32 int8.
    """
    blocks = four_bits.reshape(-1, 4 + _PER_BLOCK // 2)
    step, lowest = blocks[:, :4].copy().view(np.float16).astype(np.float32).T[:, :, None]
    packed = blocks[:, 4:]
    weights = np.concatenate([packed & 15, packed >> 4], axis=1) * step + lowest
    scale = np.abs(weights).max(axis=1, keepdims=True) / np.float32(127)
    weights *= np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    made = np.empty((len(blocks), 2 + _PER_BLOCK), np.uint8)
    made[:, :2] = scale.astype(np.float16).view(np.uint8)
    made[:, 2:] = np.rint(weights).astype(np.int8).view(np.uint8)
    return made.reshape(-1)
