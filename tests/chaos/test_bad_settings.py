"""Settings and records broken in every way: refused by name, and nothing written over."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ftm_cli.app import app
from ftm_core.contracts import keys
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.settings import PROJECT_FILE, resolve, setting_fields
from ftm_core.pipeline import RunRequest, find_completed_run
from ftm_core.storage.local import LocalStorage
from tests.fakes.chaos_runs import Q
from tests.fakes.small_quarter import SmallQuarter, build_small_quarter

VARIABLES = {
    str(info.json_schema_extra["env"]): f"{group}.{name}"
    for group, name, info in setting_fields()
    if isinstance(info.json_schema_extra, dict) and info.annotation in {int, float}
}
NO_NUMBER = st.sampled_from(
    ["soon", "-1", "1e", "0x10", "12 firms", "--", "nan?", "1,5", "٣٣x", " ", "True", "[]", "-0.5"]
)


@settings(max_examples=120)
@given(variable=st.sampled_from(sorted(VARIABLES)), value=NO_NUMBER | st.text(min_size=1))
def test_bad_input_broken_variable_is_named_and_writes_nothing(variable: str, value: str) -> None:
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        return
    with tempfile.TemporaryDirectory() as folder, inside(Path(folder), {variable: value}):
        if refusal() is None:
            # Not broken after all.
            return
        ended = CliRunner().invoke(app, ["run", "--quarter", "2023Q1", "--data", "data"])
        assert ended.exit_code == 2, ended.output
        reported = "".join(ended.output.split())
        assert VARIABLES[variable] in reported
        assert variable in reported
        assert list(Path(folder).iterdir()) == []


TOML_VALUES = st.one_of(
    st.integers(-(10**6), 0),
    st.floats(max_value=-0.1),
    st.just(float("nan")),
    st.text("abc -", max_size=5),
    st.booleans(),
    st.lists(st.integers(), max_size=2),
)


@settings(max_examples=80)
@given(full=st.sampled_from([*sorted(VARIABLES.values()), "llm.nonsense"]), value=TOML_VALUES)
def test_bad_input_a_broken_project_file_is_named(full: str, value: object) -> None:
    group, name = full.split(".")
    text = f"[{group}]\n{name} = {json.dumps(value)}\n".replace("NaN", "nan")
    text = text.replace("-Infinity", "-inf")
    with tempfile.TemporaryDirectory() as folder, inside(Path(folder), {}):
        Path(PROJECT_FILE).write_text(text)
        error = refusal()
        if error is None:
            return
        assert full in error.where
        assert PROJECT_FILE in error.where
        ended = CliRunner().invoke(app, ["run", "--quarter", "2023Q1", "--data", "data"])
        assert ended.exit_code == 2, ended.output
        assert [path.name for path in Path(folder).iterdir()] == [PROJECT_FILE]


def refusal() -> InputError | None:
    """What the settings here are refused with, if they are."""
    try:
        resolve(environment=os.environ, project_file=Path(PROJECT_FILE))
    except InputError as error:
        return error
    return None


@contextmanager
def inside(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Work in ``folder`` with only these settings in the environment."""
    before, values = Path.cwd(), dict(os.environ)
    for variable in [*VARIABLES, "LLM_BASE_URL", "LLM_MODEL_NAME"]:
        os.environ.pop(variable, None)
    os.environ.update(environment)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(values)


RECORDS = [
    keys.run_identity(Q),
    keys.batches(Q),
    keys.checkpoint(Q, "2023Q1_batch_0000"),
    keys.failures(Q, "2023Q1_batch_0001"),
    keys.transcripts_manifest(Q),
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> SmallQuarter:
    return build_small_quarter(LocalStorage(tmp_path_factory.mktemp("records")))


@settings(max_examples=100)
@given(
    key=st.sampled_from(RECORDS),
    start=st.floats(0, 1),
    length=st.integers(0, 40),
    put=st.binary(max_size=8),
)
def test_bad_input_a_damaged_record_is_named_and_left_as_it_is(
    finished: SmallQuarter, key: str, start: float, length: int, put: bytes
) -> None:
    storage = finished.storage
    whole = storage.read(key)
    place = int(start * len(whole))
    damaged = whole[:place] + put + whole[place + length :]
    storage.write(key, damaged)
    request = RunRequest(storage, Q, finished.settings, "another-run", listener=lambda _: None)
    before = {name: storage.read(name) for name in storage.list("")}
    reported = ""
    try:
        find_completed_run(request)
    except InputError as error:
        reported = str(error)
    after = {name: storage.read(name) for name in storage.list("")}
    storage.write(key, whole)
    assert after == before
    # Damage that leaves a record readable may speak of another batch or firm instead.
    assert (
        not reported
        or storage.describe(key) in reported
        or "batch" in reported
        or "quarter" in reported
    )
