"""Every command, with a reader that has gone and as JSON; a new command must be added here."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.fakes.forked_commands import Case, Ended, leaf_commands, run_cases
from tests.fakes.json_shapes import check_shape
from tests.fakes.small_quarter import SmallQuarter
from tests.integration.faults.conftest import environment

# A command line of each command, and its exit code. Those that end with 2 lack what they need, such
# as a pinned profile: their error is plain text, and standard output is empty. `ftm validate` finds
# what this machine lacks.
LINES: Mapping[str, tuple[str, int | None]] = {
    "pin-profile": ("--clear", 0),
    "config": ("", 0),
    "models list": ("", 0),
    "models fetch": ("nothing-known", 2),
    "models add": ("/nowhere.gguf", 2),
    "models remove": ("nothing-known", 2),
    "validate": ("--target local", None),
    "build": ("--dry-run", 0),
    "deploy": ("--plan", 2),
    "ingest files": ("sample --quarter 2023Q1 --preview", 0),
    "ingest wrds": ("--quarter 2023Q1", 2),
    "ingest merge-identifiers": ("nowhere.csv --quarter 2023Q1", 2),
    "vllm scale": ("1 --dry-run", 2),
    "vllm status": ("", 2),
    "scale-up": ("--dry-run", 2),
    "run": ("--quarter 2023Q1 --dry-run", 0),
    "step plan": ("--quarter 2030Q1 --run-name r", 2),
    "step map": ("--quarter 2030Q1 --run-name r --batch 2030Q1_batch_0000", 2),
    "step reduce": ("--quarter 2030Q1 --run-name r", 2),
    "cancel": ("r", 2),
    "smoke": ("--quarter 2023Q1 --dry-run", 0),
    "scale-down": ("--dry-run", 2),
    "monitor": ("2023Q1 --target local", 0),
    "logs": ("map", 2),
    "runs": ("", 0),
    "failures": ("", 0),
    "doctor": ("--target local", 3),
    "evaluate": ("", 3),
    "quality": ("", 0),
    "themes": ("--quarters 2022Q4..2023Q1", 2),
    "browse": ("", 0),
    "report": ("--quarter 2023Q1", 0),
    "package": ("", 0),
    "export": ("--format csv", 0),
    "schema": ("run", 0),
    "destroy": ("--plan", 2),
}


def words(name: str) -> tuple[str, ...]:
    """The command line of a command."""
    # `ftm ingest SOURCE` is its group's default.
    start = () if name == "ingest files" else name.split()[1:]
    return (name.split(maxsplit=1)[0], *start, *LINES[name][0].split())


def as_json(name: str) -> tuple[str, ...]:
    """The same with --json, which `ftm schema` prints anyway."""
    return words(name) if name == "schema" else (*words(name), "--json")


@pytest.fixture(scope="module")
def ends(
    finished_quarter: SmallQuarter, tmp_path_factory: pytest.TempPathFactory
) -> dict[Case, Ended]:
    cases = [
        case for name in LINES for case in (Case(words(name), is_read=False), Case(as_json(name)))
    ]
    variables = environment({"FTM_DATA": finished_quarter.storage.uri})
    return run_cases(cases, tmp_path_factory.mktemp("commands"), variables)


def test_every_command_has_a_line() -> None:
    assert {" ".join(path) for path in leaf_commands()} == set(LINES)


@pytest.mark.parametrize("name", LINES)
def test_command_without_a_reader_keeps_its_code(name: str, ends: dict[Case, Ended]) -> None:
    """`ftm COMMAND | head -1`, at its worst: nobody reads even the first line."""
    end, read = ends[Case(words(name), is_read=False)], ends[Case(as_json(name))]
    assert end.exit_code == read.exit_code, end.stderr
    for fault in ("Traceback", "Broken pipe", "BrokenPipe", "bug in ftm", "Exception ignored"):
        assert fault not in end.stderr


@pytest.mark.parametrize("name", LINES)
def test_command_with_json_prints_json_alone(name: str, ends: dict[Case, Ended]) -> None:
    end, code = ends[Case(as_json(name))], LINES[name][1]
    assert end.exit_code in ({0, 3} if code is None else {code}), end.stderr
    if end.exit_code == 2:
        assert end.stdout == ""
        assert "error" in end.stderr
    elif name != "schema":
        check_shape(as_json(name), end.stdout)
