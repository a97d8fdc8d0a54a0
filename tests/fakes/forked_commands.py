"""Runs many command lines of ftm, each in a fork of one process that has imported them all.

Starting Python anew for each takes two seconds, most of it imports. Usage: JSON list of cases on
standard input; ``python -m tests.fakes.forked_commands`` prints one JSON list of their ends.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from typer.main import get_command

from ftm_cli.app import app, main
from ftm_core.instruction_set import use_one_instruction_set

PRELOADED = (
    "duckdb",
    "pandas",
    "rich.table",
    "sklearn.feature_extraction.text",
    "ftm_cli.targets.local",
    "ftm_core.checks.evaluate",
    "ftm_core.pipeline",
    "ftm_core.quality.measure",
)
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Case:
    """One command line; with ``is_read`` false the reader of its output has gone before."""

    arguments: tuple[str, ...]
    is_read: bool = True


@dataclass(frozen=True)
class Ended:
    """How a command line ended."""

    exit_code: int
    stdout: str
    stderr: str


def leaf_commands() -> Iterator[tuple[str, ...]]:
    """Every command of ftm as the words that call it, those of groups included."""
    yield from _leaves(get_command(app), ())


def _leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    children: Mapping[str, Any] | None = getattr(command, "commands", None)
    if children is None:
        yield path
        return
    for name in children:
        yield from _leaves(children[name], (*path, name))


def run_cases(
    cases: Sequence[Case], folder: Path, environment: Mapping[str, str]
) -> dict[Case, Ended]:
    """Run each case in ``folder``, one after the other."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.fakes.forked_commands", str(folder)],
        input=json.dumps([asdict(case) for case in cases]),
        capture_output=True,
        check=True,
        text=True,
        cwd=ROOT,
        env=dict(environment),
        timeout=300,
    )
    return {
        case: Ended(**values) for case, values in zip(cases, json.loads(ended.stdout), strict=True)
    }


def _run(case: Case, folder: Path) -> Ended:
    log, errors = folder / "stdout", folder / "stderr"
    child = os.fork()
    if child == 0:
        code = 70
        try:
            _become(case, log, errors)
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return Ended(os.waitstatus_to_exitcode(status), log.read_text(), errors.read_text())


def _become(case: Case, log: Path, errors: Path) -> None:
    """Take the command line and the streams of ``case``."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    output = os.open(log, flags)
    if not case.is_read:
        reading, output = os.pipe()
        os.close(reading)
    os.dup2(output, 1)
    os.dup2(os.open(errors, flags), 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["ftm", *case.arguments]


def _serve(folder: Path) -> None:
    cases = [Case(tuple(values["arguments"]), values["is_read"]) for values in json.load(sys.stdin)]
    # As `ftm` does, before the first numeric library.
    use_one_instruction_set()
    # What costs the commands most of their time, imported once for all forks.
    for module in PRELOADED:
        importlib.import_module(module)
    list(leaf_commands())
    work = folder / "work"
    work.mkdir()
    os.chdir(work)
    print(json.dumps([asdict(_run(case, folder)) for case in cases]))


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
