"""Run checks that are SQL files: each returns the rows that violate it, as dbt tests do.

A file ``NAME.sql`` is the check NAME. Lines ``-- key: value`` before the statement describe it:
``title`` (with ``{parameters}``), ``group``, ``unit`` and ``of``, a table or query in parentheses
whose rows are the items checked. A second statement, if there is one, gives the check's value in
words instead. A column ``violation`` describes a row; without it all columns are shown. ``$name``
stands for a parameter: ``quarter``, ``first_day``, ``last_day``, ``min_firms``,
``max_firm_dominance``, ``max_failure_rate``, ``n_ingested``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ftm_core.checks.result import EXAMPLES_SHOWN, GROUPS, Check, detail_of
from ftm_core.contracts.errors import InputError
from ftm_core.data.database import QuarterDatabase

_HEADER = re.compile(r"^-- (title|group|unit|of): (.+)$")
_PARAMETER = re.compile(r"\$([a-z_]+)")


@dataclass(frozen=True)
class SqlCheck:
    """One check: its description, the statement that finds violations, and that of its value."""

    id: str
    title: str
    group: str
    unit: str
    of: str | None
    violations: str
    value: str | None


def built_in_checks() -> list[SqlCheck]:
    """The checks that come with ftm."""
    return list(_read_folder(_packaged("sql"), group="map"))


def checks_in(folder: Path) -> list[SqlCheck]:
    """A user's own checks: every ``.sql`` file of a folder, by name.

    Raises InputError when the folder has none, or one is named like a check of ftm.
    """
    found = list(_read_folder(folder, group="custom"))
    if not found:
        raise InputError(
            f"The folder {folder}", "has no .sql file", "Name a folder with checks of your own."
        )
    taken = {check.id for check in built_in_checks()}
    for check in found:
        if check.id in taken:
            raise InputError(
                f"The file {folder / check.id}.sql",
                "is named like a check of ftm",
                "Give the file another name.",
            )
    return found


def prepare(database: QuarterDatabase) -> None:
    """Make the helper tables that several checks use."""
    for name in ("calls", "topic_sentences", "topic_digests"):
        database.create(name, (_packaged("prepare") / f"{name}.sql").read_text(encoding="utf-8"))


def run_check(check: SqlCheck, database: QuarterDatabase, parameters: Mapping[str, Any]) -> Check:
    """Run one check; raises InputError, naming it, when DuckDB refuses its statement."""
    try:
        return _run(check, database, parameters)
    except InputError as error:
        raise InputError(
            f"The check {check.id}",
            f"failed. {error.sentence.removesuffix('.')}",
            "Correct the statement in its file.",
        ) from error


def _run(check: SqlCheck, database: QuarterDatabase, parameters: Mapping[str, Any]) -> Check:
    rows = database.query(
        f"SELECT *, count(*) OVER () AS n_violations FROM ({check.violations}) "
        f"LIMIT {EXAMPLES_SHOWN}",
        _used(check.violations, parameters),
    ).to_pylist()
    n_faults = rows[0]["n_violations"] if rows else 0
    return Check(
        id=check.id,
        group=check.group,
        title=check.title.format(**parameters),
        passed=not rows,
        value=_value(check, n_faults, database, parameters),
        detail=detail_of([_described(row) for row in rows], n_faults),
    )


def _value(
    check: SqlCheck, n_faults: int, database: QuarterDatabase, parameters: Mapping[str, Any]
) -> str:
    if check.value is not None:
        found = database.query(check.value, _used(check.value, parameters))
        return str(found.column(0)[0].as_py())
    if check.of is None:
        return f"{n_faults} {check.unit} violate it"
    total = database.query(f"SELECT count(*) FROM {check.of}").column(0)[0].as_py()
    return f"{max(0, total - n_faults)} of {total} {check.unit}"


def _described(row: Mapping[str, Any]) -> str:
    if "violation" in row:
        return str(row["violation"])
    return ", ".join(f"{name} {value}" for name, value in row.items() if name != "n_violations")


def _used(statement: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    names = set(_PARAMETER.findall(statement))
    return {name: value for name, value in parameters.items() if name in names}


def _packaged(folder: str) -> Path:
    return Path(str(resources.files("ftm_core.checks"))) / folder


def _read_folder(folder: Path, *, group: str) -> Iterator[SqlCheck]:
    if not folder.is_dir():
        raise InputError(f"The folder {folder}", "does not exist", "Name a folder of .sql files.")
    for path in sorted(folder.glob("*.sql")):
        yield parse_check(path.stem, path.read_text(encoding="utf-8"), group=group)


def parse_check(name: str, text: str, *, group: str = "custom") -> SqlCheck:
    """The check in a file's text; raises InputError for an unknown group or no statement."""
    matches = (_HEADER.match(line) for line in text.splitlines())
    header = {match[1]: match[2] for match in matches if match is not None}
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    statements = [part.strip() for part in "\n".join(lines).split(";\n") if part.strip(" ;\n")]
    if not 1 <= len(statements) <= 2:
        raise InputError(
            f"The check {name}",
            f"has {len(statements)} statements, not one or two",
            "Write one SELECT that returns violating rows, and at most one for its value.",
        )
    if header.get("group", group) not in GROUPS:
        raise InputError(
            f"The check {name}",
            f"has the unknown group {header['group']}",
            f"Use one of {', '.join(GROUPS)}.",
        )
    return SqlCheck(
        id=name,
        title=header.get("title", name),
        group=header.get("group", group),
        unit=header.get("unit", "rows"),
        of=header.get("of"),
        violations=statements[0].rstrip("; \n"),
        value=statements[1].rstrip("; \n") if len(statements) == 2 else None,
    )
