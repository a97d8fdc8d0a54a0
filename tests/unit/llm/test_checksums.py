"""A model file is used only when it is the published one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ftm_core.contracts.checksums import sha256_of, verify_sha256
from ftm_core.contracts.errors import InputError


def test_the_published_file_passes(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"weights" * 100_000)
    expected = hashlib.sha256(b"weights" * 100_000).hexdigest()
    assert sha256_of(path) == expected
    verify_sha256(path, expected)
    verify_sha256(path, expected.upper())


def test_one_changed_byte_is_refused_and_named(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"weights")
    with pytest.raises(InputError, match=r"model\.gguf has the SHA-256 .*, but 0000"):
        verify_sha256(path, "0" * 64)


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        verify_sha256(tmp_path / "absent.gguf", "0" * 64)
