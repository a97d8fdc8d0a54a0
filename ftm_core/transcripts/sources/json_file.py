"""Transcripts from JSON: one object a line, an array of objects, or one object."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ftm_core.contracts.errors import InputError
from ftm_core.transcripts.rows import excerpt
from ftm_core.transcripts.sources.base import (
    Damage,
    Record,
    Row,
    readable,
)
from ftm_core.transcripts.sources.text_file import TextFile, numbered_lines

_ROWS_FOR_COLUMNS = 100
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _JsonFile(TextFile):
    """What both forms share."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """A detected encoding."""
        if not self._encoding.detected:
            return ()
        return (f"{self._name} is not UTF-8 text. It is read as {self._encoding.name}.",)


class JsonLinesSource(_JsonFile):
    """Rows are numbered by line; blank lines are no rows.

    The columns are the names in the first hundred lines. A name that a line lacks is null there.
    """

    def __init__(self, path: Path, name: str | None = None, encoding: str | None = None) -> None:
        super().__init__(path, name, encoding)
        names: dict[str, None] = {}
        place, cause = f"The file {path}", "holds no line"
        for number, line in self._lines():
            parsed = self._parse(line)
            if isinstance(parsed, dict) and parsed:
                names.update(dict.fromkeys(parsed))
            elif cause == "holds no line":
                fault = parsed if isinstance(parsed, str) else "is an empty object"
                place, cause = f"Row {number} of {path}", fault
            if number >= _ROWS_FOR_COLUMNS:
                break
        if not names:
            raise InputError(
                place,
                f"{cause}, and none of the first {_ROWS_FOR_COLUMNS} lines names a column",
                "Write one object per line.",
            )
        self.columns = tuple(names)

    @property
    def form(self) -> str:
        """Encoding."""
        return f"JSON Lines, {self._encoding.name}"

    def rows(self, wanted: tuple[str, ...]) -> Iterator[Record]:
        """Yield every line as a row; one that is not a JSON object is a Damage."""
        for number, line in self._lines():
            parsed = self._parse(line)
            if isinstance(parsed, str):
                yield Damage(self._name, number, _shown(line), parsed)
            else:
                values = {name: parsed.get(name) for name in wanted}
                yield Row(self._name, number, values)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        if self._encoding.codec.startswith(("utf-16", "utf-32")):
            yield from self._wide_lines()
            return
        with readable(self._path), self._path.open("rb") as file:
            for number, line in numbered_lines(self._path, file, "Write one object per line."):
                self._position = file.tell()
                content = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
                if content.strip():
                    yield number, content

    def _wide_lines(self) -> Iterator[tuple[int, bytes]]:
        """Lines of a file whose line ends are two or four bytes, as UTF-8."""
        with readable(self._path), self._path.open("rb") as file:
            for number, line in enumerate(io.TextIOWrapper(file, self._encoding.codec), start=1):
                self._position = file.tell()
                if line.strip():
                    yield number, line.encode("utf-8")

    def _parse(self, line: bytes) -> dict[str, Any] | str:
        """The object of a line, or why there is none."""
        codec = self._encoding.codec
        try:
            text = line.decode("utf-8" if codec.startswith("utf") else codec)
        except UnicodeDecodeError:
            return f"is not {self._encoding.name} text"
        try:
            parsed = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
        except _BadJsonError as error:
            return str(error)
        except (ValueError, RecursionError) as error:
            return f"is not valid JSON ({error})"
        return flattened(parsed) if isinstance(parsed, dict) else "is not a JSON object"


class JsonArraySource(_JsonFile):
    """An array of objects, or one object; rows are numbered from 1.

    Arrays are read element by element. An object that only wraps an array of objects, such as
    ``{"data": […]}``, counts as that array.
    """

    def __init__(self, path: Path, name: str | None = None, encoding: str | None = None) -> None:
        super().__init__(path, name, encoding)
        self._prefix = self._find_prefix()
        names: dict[str, None] = {}
        for number, parsed in enumerate(self._items(), start=1):
            if isinstance(parsed, dict):
                names.update(dict.fromkeys(flattened(parsed)))
            if number >= _ROWS_FOR_COLUMNS:
                break
        if not names:
            raise InputError(
                f"The file {path}",
                "holds no JSON object",
                "Write an array of objects, one per call or turn.",
            )
        self.columns = tuple(names)

    @property
    def form(self) -> str:
        """Encoding."""
        return f"{'JSON array' if self._prefix else 'JSON object'}, {self._encoding.name}"

    def rows(self, wanted: tuple[str, ...]) -> Iterator[Record]:
        """Yield every element as a row; one that is not an object is a Damage."""
        for number, parsed in enumerate(self._items(), start=1):
            if isinstance(parsed, dict):
                flat = flattened(parsed)
                yield Row(self._name, number, {name: flat.get(name) for name in wanted})
            else:
                yield Damage(self._name, number, excerpt(str(parsed)), "is not a JSON object")
        self._position = self._path.stat().st_size

    def _find_prefix(self) -> str:
        """Where the objects are, as ijson names it: "item" in an array, "" for one object."""
        import ijson

        with readable(self._path), self._path.open("rb") as file:
            try:
                events = ijson.parse(self._utf8(file))
                _, kind, _ = next(events)
                if kind == "start_array":
                    return "item"
                n_names, first = 0, ""
                for prefix, event, _ in events:
                    n_names += event == "map_key" and not prefix
                    if event == "start_map" and prefix.count(".") == 1:
                        first = first or (prefix if prefix.endswith(".item") else "")
                    if n_names > 1:
                        return ""
                return first
            except (ijson.JSONError, StopIteration) as error:
                raise self._unreadable(error) from error
        return ""

    def _items(self) -> Iterator[Any]:
        import ijson

        with readable(self._path), self._path.open("rb") as file:
            try:
                yield from ijson.items(self._utf8(file), self._prefix, use_float=True)
            except (ijson.JSONError, UnicodeDecodeError) as error:
                raise self._unreadable(error) from error

    def _utf8(self, file: io.BufferedReader) -> Any:
        """The file as ijson reads it."""
        if self._encoding.codec == "utf-8":
            return file
        return io.TextIOWrapper(file, self._encoding.codec, self._encoding.errors)

    def _unreadable(self, error: Exception) -> InputError:
        return InputError(
            f"The file {self._path}",
            f"is not valid JSON ({' '.join(str(error).split())[:200]})",
            "Export the file again.",
        )


class _BadJsonError(ValueError):
    pass


def flattened(parsed: Mapping[str, Any]) -> dict[str, Any]:
    """An object whose nested objects are columns of dotted names, such as ``event.year``."""
    flat: dict[str, Any] = {}
    for name, value in parsed.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": found for inner, found in value.items()}
        else:
            flat[name] = value
    return flat


def is_json_lines(path: Path) -> bool:
    """Whether a JSON file holds an object on each line rather than one value."""
    with readable(path), path.open("rb") as file:
        lines = [line for line in file.readlines(4 * 1024 * 1024)[:20] if line.strip()]
    if len(lines) < 2 or not lines[0].lstrip(_BYTE_ORDER_MARK).lstrip().startswith(b"{"):
        return False
    try:
        return isinstance(json.loads(lines[0].removeprefix(_BYTE_ORDER_MARK)), dict)
    except ValueError:
        return False


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _BadJsonError("gives one name twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise _BadJsonError(f"holds {name}, which is no JSON value; write null")


def _shown(line: bytes) -> str:
    return excerpt(line.decode("utf-8", "backslashreplace").strip())
