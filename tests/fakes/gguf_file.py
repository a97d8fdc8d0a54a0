"""A tiny GGUF file, written byte by byte as the format says."""

from __future__ import annotations

import struct
from collections.abc import Sequence

_STRING, _UINT32 = 8, 4


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def _entry(key: str, value: str | int) -> bytes:
    if isinstance(value, str):
        return _text(key) + struct.pack("<I", _STRING) + _text(value)
    return _text(key) + struct.pack("<II", _UINT32, value)


def gguf_bytes(
    *,
    version: int = 3,
    architecture: str = "llama",
    blocks: int = 2,
    tensors: Sequence[tuple[int, int, bytes]] = ((0, 64, b"\1" * 256),),
) -> bytes:
    """A whole file; each tensor is ggml's type, its number of values and its data."""
    values: dict[str, str | int] = {
        "general.architecture": architecture,
        "general.name": "Tiny",
        "general.license": "mit",
        f"{architecture}.block_count": blocks,
        f"{architecture}.context_length": 8192,
        f"{architecture}.embedding_length": 8,
        f"{architecture}.attention.head_count": 2,
        f"{architecture}.attention.head_count_kv": 1,
    }
    header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values))
    header += b"".join(_entry(key, value) for key, value in values.items())
    body = b""
    for number, (kind, n_values, data) in enumerate(tensors):
        header += _text(f"weights.{number}") + struct.pack("<IQIQ", 1, n_values, kind, len(body))
        body += data + b"\0" * (-len(data) % 32 if number + 1 < len(tensors) else 0)
    return header + b"\0" * (-len(header) % 32) + body
