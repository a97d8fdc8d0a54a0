"""A GGUF header is read; what is no whole language model is refused with its cause."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftm_core.contracts.errors import InputError
from ftm_core.llm.gguf import read_gguf
from ftm_core.llm.local_models import plan_server
from tests.fakes.gguf_file import gguf_bytes


def test_header_gives_what_serving_needs(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(gguf_bytes())
    model = read_gguf(path)
    assert (model.architecture, model.name, model.license) == ("llama", "Tiny", "mit")
    assert model.context_length == 8192
    # Keys and values of 2 layers with 1 head of 4 numbers, each of 2 bytes.
    assert model.kv_bytes_per_token == 2 * 2 * 1 * 4 * 2
    one, two = (model.memory(slots=n, slot_context=1000) for n in (1, 2))
    assert two - one == 1000 * model.kv_bytes_per_token


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "is not a GGUF file"),
        (b"GGML" + b"\0" * 100, "is not a GGUF file"),
        (b"GGUF", "ends within its header"),
        (gguf_bytes()[:60], "ends within its header"),
        (gguf_bytes()[:-1], "is truncated"),
        (gguf_bytes(version=9), "has GGUF version 9"),
        (gguf_bytes(architecture="clip", blocks=0), "holds no language model"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1), "has a damaged header"),
    ],
)
def test_a_file_that_cannot_be_served_is_refused(
    content: bytes, cause: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(InputError, match=cause):
        read_gguf(path)


@pytest.mark.parametrize("name", ["none.gguf", "."])
def test_a_path_without_a_file_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_gguf(tmp_path / name)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_damage_of_a_header_is_never_a_crash(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(gguf_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 200))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.gguf"
    path.write_bytes(content)
    try:
        read_gguf(path)
    except InputError:
        return


def test_slots_follow_memory_and_too_little_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(gguf_bytes())
    model = read_gguf(path)
    assert plan_server(model, concurrent=16, available=1 << 40).slots == 8
    two = model.size + model.memory(slots=2, slot_context=2048)
    assert plan_server(model, concurrent=16, available=two).slots == 2
    with pytest.raises(InputError, match=r"needs 0\.2 GiB of memory, but only 0\.0 GiB are free"):
        plan_server(model, concurrent=16, available=1 << 20)
