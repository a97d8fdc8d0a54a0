"""The header of a GGUF file: whether the file is whole, what it holds, the memory it needs.

Source of the format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ftm_core.contracts.errors import InputError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MOST_ENTRIES = 1_000_000
_LONGEST_STRING = 1 << 26
_ALIGNMENT = 32
# Fixed-size values by GGUF's type number; 8 is a string and 9 an array.
_SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?",
    10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9
# Values in a block and bytes of a block, by ggml's tensor type.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
    15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18),
    21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4),
    27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip
# Beside weights and context: the program, its buffers for a batch, the HTTP server.
_OVERHEAD_BYTES = 200 * 1024**2
_KV_VALUE_BYTES = 2


@dataclass(frozen=True)
class Tensor:
    """One tensor: its ggml type, its number of values, and its place within the data (bytes).

    ``described_at`` is where in the file its type and place stand, as uint32 and uint64.
    """

    kind: int
    n_values: int
    offset: int
    described_at: int

    @property
    def size(self) -> int:
        """Bytes of its data; 0 where its type is not known."""
        return size_of(self.kind, self.n_values)


@dataclass(frozen=True)
class Layout:
    """Where a file's tensors are; ``data_at`` is the byte that their places count from."""

    tensors: tuple[Tensor, ...]
    data_at: int
    alignment: int


@dataclass(frozen=True)
class GgufModel:
    """What a GGUF file says of itself; lengths in tokens, sizes in bytes."""

    path: Path
    size: int
    architecture: str
    name: str
    license: str
    context_length: int
    kv_bytes_per_token: int
    layout: Layout

    def memory(self, *, slots: int, slot_context: int) -> int:
        """Bytes that serving takes beside the weights, about: context of all slots, buffers."""
        return slots * slot_context * self.kv_bytes_per_token + _OVERHEAD_BYTES


def size_of(kind: int, n_values: int) -> int:
    """Bytes of so many values of a ggml type; 0 where the type is not known."""
    per_block, block_bytes = _BLOCKS.get(kind, (1, 0))
    return n_values // per_block * block_bytes


def read_gguf(path: Path) -> GgufModel:
    """Read a file's header; InputError unless it is a language model in a whole file."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _read(file, path, size)
    except (OSError, IsADirectoryError) as error:
        raise InputError(
            f"The model file {path}",
            f"cannot be read ({error.strerror or error})",
            "Correct the path of the GGUF file.",
        ) from error
    except (struct.error, EOFError, UnicodeDecodeError, MemoryError, KeyError) as error:
        raise _damaged(path, "ends within its header or is damaged") from error


def _read(file: BinaryIO, path: Path, size: int) -> GgufModel:
    if file.read(4) != _MAGIC:
        raise InputError(
            f"The model file {path}",
            "is not a GGUF file",
            "Give a file in GGUF form; model pages often offer it beside the original.",
        )
    version, n_tensors, n_values = struct.unpack("<IQQ", _exactly(file, 20))
    if version not in _VERSIONS:
        raise InputError(
            f"The model file {path}",
            f"has GGUF version {version}, but this ftm reads {' and '.join(map(str, _VERSIONS))}",
            "Convert it with a current release of llama.cpp.",
        )
    if max(n_tensors, n_values) > _MOST_ENTRIES:
        raise _damaged(path, "has a damaged header")
    values = {}
    for _ in range(n_values):
        key = _string(file)
        values[key] = _value(file, struct.unpack("<I", _exactly(file, 4))[0])
    layout = _layout(file, n_tensors, max(1, int(values.get("general.alignment", _ALIGNMENT))))
    end = layout.data_at + max((one.offset + one.size for one in layout.tensors), default=0)
    if size < end:
        raise _damaged(path, f"is truncated: it has {size:,} of {end:,} bytes")
    return _model(path, size, values, layout)


def _model(path: Path, size: int, values: dict[str, Any], layout: Layout) -> GgufModel:
    architecture = str(values.get("general.architecture", ""))

    def number(name: str, default: int = 0) -> int:
        found = values.get(f"{architecture}.{name}", default)
        if isinstance(found, list):
            found = max(found, default=default)
        return int(found) if isinstance(found, int | float) else default

    layers, heads = number("block_count"), number("attention.head_count")
    if not (layers and heads and number("context_length")):
        raise InputError(
            f"The model file {path}",
            f"holds no language model (architecture {architecture or 'not named'})",
            "Give the GGUF file of an instruction-tuned language model.",
        )
    width = number("attention.key_length") or number("embedding_length") // heads
    kv_heads = number("attention.head_count_kv") or heads
    return GgufModel(
        path=path,
        size=size,
        architecture=architecture,
        name=str(values.get("general.name") or path.stem),
        license=str(values.get("general.license") or ""),
        context_length=number("context_length"),
        kv_bytes_per_token=2 * layers * kv_heads * width * _KV_VALUE_BYTES,
        layout=layout,
    )


def _layout(file: BinaryIO, n_tensors: int, alignment: int) -> Layout:
    tensors = []
    for _ in range(n_tensors):
        _string(file)
        n_dimensions = struct.unpack("<I", _exactly(file, 4))[0]
        if n_dimensions > 8:
            raise EOFError
        lengths = struct.unpack(f"<{n_dimensions}Q", _exactly(file, 8 * n_dimensions))
        described_at = file.tell()
        kind, offset = struct.unpack("<IQ", _exactly(file, 12))
        tensors.append(Tensor(kind, math.prod(lengths), offset, described_at))
    return Layout(tuple(tensors), -(-file.tell() // alignment) * alignment, alignment)


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        item, length = struct.unpack("<IQ", _exactly(file, 12))
        if length > _LONGEST_STRING:
            raise EOFError
        if item in _SCALARS:
            form = _SCALARS[item]
            data = _exactly(file, length * struct.calcsize(form))
            return list(struct.unpack(f"<{length}{form[1]}", data))
        return [_value(file, item) for _ in range(length)]
    form = _SCALARS[kind]
    return struct.unpack(form, _exactly(file, struct.calcsize(form)))[0]


def _string(file: BinaryIO) -> str:
    length = struct.unpack("<Q", _exactly(file, 8))[0]
    if length > _LONGEST_STRING:
        raise EOFError
    return _exactly(file, length).decode("utf-8", "replace")


def _exactly(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise EOFError
    return data


def _damaged(path: Path, how: str) -> InputError:
    return InputError(f"The model file {path}", how, "Download it again and compare its SHA-256.")
