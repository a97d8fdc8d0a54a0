"""Transcripts from a folder with a file for each call."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from ftm_core.contracts.errors import InputError
from ftm_core.transcripts.layouts import OPTIONAL, REQUIRED, VERSION, Layout
from ftm_core.transcripts.sources.base import (
    LONGEST_RECORD,
    PREVIEW_HINT,
    Damage,
    Record,
    Row,
    Skipped,
    readable,
)
from ftm_core.transcripts.sources.call_texts import CallText, NotACallError, read_call
from ftm_core.transcripts.sources.encodings import decode
from ftm_core.transcripts.sources.files import InputFile
from ftm_core.transcripts.sources.names import NamePattern, call_name

_FILES_FOR_LAYOUT = 5
_COLUMNS = (*REQUIRED, *OPTIONAL, *VERSION, "turns", "fiscal", "file")


class CallFilesSource:
    """Each file is one call, read whole; its layout is that of its first files.

    Day, ticker and firm come from the text, from the file's name, or, for names that have them in
    another way, from ``--name-pattern``. Names that a pattern gives go before the text.
    """

    unit = "files"
    columns = _COLUMNS

    def __init__(
        self,
        files: Sequence[InputFile],
        *,
        pattern: str | None = None,
        encoding: str | None = None,
        where: str,
    ) -> None:
        self._files = files
        self._pattern = NamePattern(pattern)
        self._encoding = encoding
        self._done = 0
        self._encodings: Counter[str] = Counter()
        self._detected: Counter[str] = Counter()
        self.layout = self._find_layout(where)

    @property
    def form(self) -> str:
        """Number of files, and their encodings once they are read."""
        names = ", ".join(f"{name} ({count:,})" for name, count in self._encodings.most_common())
        return f"{len(self._files):,} text files, one for each call" + (names and f"; {names}")

    @property
    def warnings(self) -> tuple[str, ...]:
        """Detected encodings, once the files are read."""
        return tuple(
            f"{count:,} files are not UTF-8 text. They are read as {name}, which fits all of each "
            "file; --encoding names another."
            for name, count in self._detected.items()
        )

    @property
    def size(self) -> int:
        """Number of files."""
        return len(self._files)

    @property
    def read_so_far(self) -> int:
        """Files read."""
        return self._done

    def checksum(self) -> str:
        """SHA-256 over the names and contents of all files."""
        digest = hashlib.sha256()
        for file in self._files:
            content = hashlib.sha256(self._bytes(file)).hexdigest()
            digest.update(f"{file.name}\n{content}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def rows(self, wanted: tuple[str, ...]) -> Iterator[Record]:
        """Yield a row for each call; a file that cannot be read as one is a Damage."""
        self._encodings.clear()
        self._detected.clear()
        for file in self._files:
            try:
                call = self._call(file)
            except NotACallError as error:
                yield Skipped(file.name, str(error))
            except ValueError as error:
                yield Damage(file.name, 1, "", str(error))
            else:
                yield Row(file.name, 1, self._values(file, call))
            self._done += 1

    def _values(self, file: InputFile, call: CallText) -> dict[str, Any]:
        values = {name: value for name, value in call.values.items() if value}
        firm = values.get("firm_id") or values.get("ticker") or values.get("firm_name")
        return {
            **dict.fromkeys(_COLUMNS),
            **values,
            "file": file.name,
            "firm_id": firm,
            "firm_name": values.get("firm_name") or firm,
            "transcript_id": values.get("transcript_id") or call_name(file.name),
            "turns": [
                {"speaker": t.speaker, "type": t.speaker_type, "text": t.text} for t in call.turns
            ],
        }

    def _call(self, file: InputFile) -> CallText:
        data = self._bytes(file)
        if not data.strip():
            raise ValueError("the file is empty")
        try:
            text, encoding = decode(data, file.name, self._encoding)
        except InputError as error:
            raise ValueError(error.cause) from error
        self._encodings[encoding.name] += 1
        if encoding.detected:
            self._detected[encoding.name] += 1
        if "\x00" in text:
            raise ValueError("is not text but a binary file")
        return read_call(
            text, self._pattern.read(file.name), name_first=self._pattern.pattern is not None
        )

    def _bytes(self, file: InputFile) -> bytes:
        with readable(file.path), file.path.open("rb") as opened:
            return opened.read(8 * LONGEST_RECORD)

    def _find_layout(self, where: str) -> Layout:
        """The layout of the first files that can be read; raises InputError when none can."""
        found: Counter[tuple[str, bool]] = Counter()
        first_fault = ""
        for file in self._files:
            try:
                call = self._call(file)
            except NotACallError:
                continue
            except ValueError as error:
                first_fault = first_fault or f"{file.name}: {error}"
                continue
            found[call.layout, call.is_split] += 1
            if found.total() >= _FILES_FOR_LAYOUT:
                break
        self._encodings.clear()
        self._detected.clear()
        if not found:
            raise InputError(
                f"The source {where}",
                f"holds no call that can be read ({first_fault or 'all its files are briefs'})",
                "Known files are StreetEvents text and XML, FactSet XML, Seeking Alpha text, a "
                f"sentence a line, and text that names its speakers. {PREVIEW_HINT}",
            )
        (name, is_split), _ = found.most_common(1)[0]
        return Layout(
            name,
            "a file is a call",
            {column: (column,) for column in ("firm_id", "earnings_call_date")},
            splits=not is_split,
            optional={column: (column,) for column in _COLUMNS},
            whole_calls=True,
        )
