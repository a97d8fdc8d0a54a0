"""A tiny GGUF file, written byte by byte as the format says."""

from __future__ import annotations

import struct

_STRING, _UINT32 = 8, 4


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def _entry(key: str, value: str | int) -> bytes:
    if isinstance(value, str):
        return _text(key) + struct.pack("<I", _STRING) + _text(value)
    return _text(key) + struct.pack("<II", _UINT32, value)


def gguf_bytes(*, version: int = 3, architecture: str = "llama", blocks: int = 2) -> bytes:
    """A whole file with one tensor of 64 numbers (float32)."""
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
    header = b"GGUF" + struct.pack("<IQQ", version, 1, len(values))
    header += b"".join(_entry(key, value) for key, value in values.items())
    header += _text("weights") + struct.pack("<IQIQ", 1, 64, 0, 0)
    return header + b"\0" * (-len(header) % 32) + b"\1" * 256
