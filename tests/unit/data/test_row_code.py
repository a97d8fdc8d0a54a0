"""The fingerprint of a run changes with the code that decides rows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import ftm_core
from ftm_core.contracts.settings import Settings
from ftm_core.data.lease import fingerprint
from ftm_core.row_code import ROW_FILES, ROW_PACKAGES, digest_of, row_code_version
from ftm_core.run_inputs import run_inputs
from tests.unit.data.builders import manifest

SOURCE = Path(ftm_core.__file__).parent


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for name in (*ROW_PACKAGES, *ROW_FILES):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if (SOURCE / name).is_dir():
            shutil.copytree(SOURCE / name, tmp_path / name)
        else:
            shutil.copy(SOURCE / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    "changed", ["text/lexicon/keyword_filler.txt", "llm/prompts.py", "contracts/schemas.py"]
)
def test_row_code_changed_file_changes_the_digest(copied: Path, changed: str) -> None:
    """A word or a prompt that changes must not be mixed into a quarter that is half done."""
    before = digest_of(copied)
    with (copied / changed).open("a", encoding="utf-8") as file:
        file.write("# changed\n")

    assert before == digest_of(SOURCE)
    assert digest_of(copied) != before


def test_row_code_compiled_files_do_not_count(copied: Path) -> None:
    (copied / "text" / "__pycache__").mkdir(exist_ok=True)
    (copied / "text" / "__pycache__" / "tokens.cpython-311.pyc").write_bytes(b"compiled")

    assert digest_of(copied) == digest_of(SOURCE)


def test_run_inputs_name_the_row_code(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = run_inputs(manifest(), Settings())
    other = {**inputs, "code_version": "0.1.0+000000000000"}

    assert inputs["code_version"] == row_code_version()
    assert fingerprint(inputs) != fingerprint(other)
