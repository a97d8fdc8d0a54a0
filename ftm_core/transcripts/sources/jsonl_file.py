"""Transcripts from a JSON Lines file: one object a line, UTF-8."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ftm_core.contracts.errors import InputError
from ftm_core.transcripts.rows import excerpt
from ftm_core.transcripts.sources.base import (
    LONGEST_RECORD,
    Damage,
    Row,
    file_checksum,
    readable,
    refuse_unless_text,
)

_LINES_FOR_COLUMNS = 100
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class JsonLinesSource:
    """Rows are numbered by line; blank lines are no rows.

    The columns are the names in the first hundred lines. A name that a line lacks is null there.
    """

    unit = "kB"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        refuse_unless_text(path)
        names: dict[str, None] = {}
        place, cause = str(path), "holds no line"
        for number, line in self._lines():
            parsed = _parse(line)
            if isinstance(parsed, dict) and parsed:
                names.update(dict.fromkeys(parsed))
            elif place == str(path):
                fault = parsed if isinstance(parsed, str) else "is an empty object"
                place, cause = f"{path} row {number}", fault
            if number >= _LINES_FOR_COLUMNS:
                break
        if not names:
            raise InputError(
                place,
                f"{cause}, and no line before line {_LINES_FOR_COLUMNS + 1} names a column",
                "Write one object a line.",
            )
        self.columns = tuple(names)

    @property
    def size(self) -> int:
        """File size in kB."""
        with readable(self._path):
            return self._path.stat().st_size // 1000

    @property
    def read_so_far(self) -> int:
        """Kilobytes read."""
        return self._position // 1000

    def checksum(self) -> str:
        """SHA-256 of the file."""
        return file_checksum(self._path)

    def rows(self, wanted: tuple[str, ...]) -> Iterator[Row | Damage]:
        """Yield every line as a row; one that is not a JSON object is a Damage."""
        for number, line in self._lines():
            parsed = _parse(line)
            if isinstance(parsed, str):
                yield Damage(self._path.name, number, _shown(line), parsed)
            else:
                values = {name: parsed.get(name) for name in wanted}
                yield Row(self._path.name, number, values)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        with readable(self._path), self._path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST_RECORD):
                number += 1
                if len(line) == LONGEST_RECORD and not line.endswith(b"\n"):
                    raise InputError(
                        f"{self._path} row {number}",
                        f"is longer than {LONGEST_RECORD} bytes",
                        "Write one object a line.",
                    )
                self._position = file.tell()
                line = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
                if line.strip():
                    yield number, line


class _BadJsonError(ValueError):
    pass


def _parse(line: bytes) -> dict[str, Any] | str:
    """The object of a line, or why there is none."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return "is not UTF-8 text"
    try:
        parsed = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except _BadJsonError as error:
        return str(error)
    except (ValueError, RecursionError) as error:
        return f"is not valid JSON ({error})"
    return parsed if isinstance(parsed, dict) else "is not a JSON object"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _BadJsonError("gives one name twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise _BadJsonError(f"holds {name}, which is no JSON value; write null")


def _shown(line: bytes) -> str:
    return excerpt(line.decode("utf-8", "backslashreplace").strip())
