"""Several files of the same columns as one source."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from ftm_core.contracts.errors import InputError
from ftm_core.transcripts.layouts import plain_name
from ftm_core.transcripts.sources.base import Record, Row, Source


class PartsSource:
    """Reads its parts one after another; row numbers are those of each file.

    A part may have the columns in another order or case, and may lack some, which are empty there.
    """

    unit = "files"

    def __init__(self, parts: Sequence[Source], names: Sequence[str], where: str) -> None:
        self._parts = parts
        self._names = names
        self._done = 0
        spelled: dict[str, str] = {}
        for part in parts:
            for column in part.columns:
                spelled.setdefault(plain_name(column), column)
        self.columns = tuple(spelled.values())
        wanted = {plain_name(column) for column in parts[0].columns}
        for part, name in zip(parts, names, strict=True):
            theirs = {plain_name(column) for column in part.columns}
            if theirs.isdisjoint(wanted):
                raise InputError(
                    f"The source {where}",
                    f"holds files of different columns: {names[0]} and {name} have none in common",
                    "Name the files of one table; add others with --with.",
                )

    @property
    def form(self) -> str:
        """The form of the first part and the number of parts."""
        return f"{len(self._parts):,} files, {self._parts[0].form}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of all parts."""
        return tuple(warning for part in self._parts for warning in part.warnings)

    @property
    def size(self) -> int:
        """Number of files."""
        return len(self._parts)

    @property
    def read_so_far(self) -> int:
        """Files read."""
        return self._done

    def checksum(self) -> str:
        """SHA-256 over the names and checksums of all parts."""
        digest = hashlib.sha256()
        for part, name in zip(self._parts, self._names, strict=True):
            digest.update(f"{name}\n{part.checksum()}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def rows(self, wanted: tuple[str, ...]) -> Iterator[Record]:
        """Yield the rows of every part under the column names of this source."""
        for part in self._parts:
            spelled = {plain_name(column): column for column in part.columns}
            theirs = {
                ours: spelled[plain_name(ours)] for ours in wanted if plain_name(ours) in spelled
            }
            same = all(ours == name for ours, name in theirs.items()) and len(theirs) == len(wanted)
            for row in part.rows(tuple(theirs.values())):
                if same or not isinstance(row, Row):
                    yield row
                else:
                    values = {ours: row.values[name] for ours, name in theirs.items()}
                    yield Row(row.file, row.number, values)
            self._done += 1
