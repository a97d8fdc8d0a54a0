"""Each command on a quarter prints the JSON that `ftm schema` documents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ftm_cli.app import app
from ftm_cli.results.schemas import SCHEMAS, json_schema
from ftm_core.contracts.quarters import Quarter
from tests.fakes.json_shapes import check_shape
from tests.fakes.small_quarter import SmallQuarter, build_small_quarter

RUN = CliRunner()
COMMANDS = [
    ("evaluate", "--quarter", "2023Q1"),
    ("evaluate", "--all"),
    ("failures",),
    ("quality",),
    ("themes", "--quarters", "2022Q4..2023Q1"),
    ("browse", "--quarter", "2023Q1"),
    ("browse", "theme_2023Q1_001"),
    ("browse", "--topic", "F1_0"),
    ("export", "--format", "csv"),
    ("report", "--quarter", "2023Q1"),
    ("package",),
    ("runs",),
]


@pytest.fixture(scope="module")
def quarters(tmp_path_factory: pytest.TempPathFactory) -> SmallQuarter:
    from ftm_core.storage.local import LocalStorage

    storage = LocalStorage(tmp_path_factory.mktemp("two"))
    build_small_quarter(storage, of=Quarter(2022, 4))
    return build_small_quarter(storage)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_json_of_a_quarter_fits_its_schema(
    arguments: tuple[str, ...],
    quarters: SmallQuarter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = RUN.invoke(app, [*arguments, "--json", "--data", quarters.storage.uri])
    # 3: the small quarter has more failures than the default tolerates.
    assert shown.exit_code in {0, 3}, shown.output
    check_shape(arguments, shown.stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        ("config",),
        ("models", "list"),
        ("ingest", "sample", "--quarter", "2023Q1"),
        ("ingest", "sample", "--quarter", "2023Q1", "--preview"),
    ],
    ids=" ".join,
)
def test_json_of_setup_fits_its_schema(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = RUN.invoke(app, [*arguments, "--json"])
    assert shown.exit_code == 0, shown.output
    check_shape(arguments, shown.stdout)


def test_schema_shows_each_of_its_names() -> None:
    listed = RUN.invoke(app, ["schema"])
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(SCHEMAS)
    for name in SCHEMAS:
        shown = RUN.invoke(app, ["schema", name])
        assert json.loads(shown.stdout) == json_schema(name)
