"""Rows that were not ingested: counted by reason, the first ones kept, all of them in a CSV."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import astuple, replace
from pathlib import Path

from ftm_core.contracts.errors import InputError
from ftm_core.transcripts.results import Reject
from ftm_core.transcripts.staging import temporary_disk

SHOWN = 100
_KINDS = 100
COLUMNS = ("file", "row", "field", "value", "reason")
_PARTICULARS = re.compile(r"\b\d[\d-]*\b|'[^']*'|\"[^\"]*\"")


def printable(name: str) -> str:
    """A file name that can be written as UTF-8, even if its bytes on disk are not."""
    return name.encode("utf-8", "backslashreplace").decode()


class RejectLog:
    """Writes rejects to a file as they come; only counts and the first few stay in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.first: list[Reject] = []
        self.by_reason: Counter[str] = Counter()
        with temporary_disk(path.parent):
            self._file = path.open("w", encoding="utf-8", newline="")
            self._writer = csv.writer(self._file)
            self._writer.writerow(COLUMNS)

    def add(self, reject: Reject) -> None:
        """Record one row."""
        reject = replace(reject, file=printable(reject.file))
        self.count += 1
        self.by_reason[self._kind(reject)] += 1
        if len(self.first) < SHOWN:
            self.first.append(reject)
        with temporary_disk(self.path.parent):
            self._writer.writerow(astuple(reject))

    def _kind(self, reject: Reject) -> str:
        """The reason without its particulars; past a hundred kinds, all further ones are one."""
        plain = _PARTICULARS.sub("…", reject.reason).partition(": ")[0]
        kind = f"{reject.field} {plain}".strip()
        return kind if kind in self.by_reason or len(self.by_reason) < _KINDS else "other reasons"

    def close(self) -> None:
        """Finish the file."""
        with temporary_disk(self.path.parent):
            self._file.close()


class RejectedRowsError(InputError):
    """The source was refused because of its rows; ``first`` holds some of them, to be shown."""

    def __init__(self, where: str, cause: str, hint: str, log: RejectLog | None = None) -> None:
        super().__init__(where, cause, hint)
        self.first = tuple(log.first) if log is not None else ()
        self.count = log.count if log is not None else 0
        self.by_reason = dict(log.by_reason.most_common()) if log is not None else {}
