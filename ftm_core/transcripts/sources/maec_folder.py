"""Transcripts from a folder as MAEC publishes them: ``YYYYMMDD_TICKER/text.txt``, in any case."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from ftm_core.contracts.errors import InputError
from ftm_core.transcripts.rows import excerpt
from ftm_core.transcripts.sources.base import (
    Damage,
    Record,
    Row,
    file_checksum,
    readable,
)
from ftm_core.transcripts.sources.text_file import numbered_lines

_CALL_FOLDER = re.compile(r"^([0-9]{4})([0-9]{2})([0-9]{2})_(.+)$")
_TICKER_FOLDER = re.compile(r"^\d{8}_[A-Z0-9]{1,6}([.\-][A-Z0-9]{1,3})?$")
_TEXT = "text.txt"


class MaecFolderSource:
    """One sentence a line; rows are numbered by line within each file.

    Ticker and day come from the folder's name, the position from the line; other files and
    folders are left alone.
    """

    unit = "calls"
    form = "a folder for each call, text.txt with a sentence a line"
    warnings: tuple[str, ...] = ()
    columns = ("transcript_id", "ticker", "call_date", "position", "text")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done = 0
        with readable(path):
            found = [item for item in path.iterdir() if _CALL_FOLDER.match(item.name)]
        self._calls = sorted(item for item in found if item.is_dir())
        if not self._calls:
            raise InputError(
                f"The folder {path}",
                "holds no folder named like 20230131_TICKER",
                "Name a CSV, Parquet or JSON Lines file, or a folder as MAEC publishes it.",
            )

    @property
    def size(self) -> int:
        """Number of calls."""
        return len(self._calls)

    @property
    def read_so_far(self) -> int:
        """Calls read."""
        return self._done

    def checksum(self) -> str:
        """SHA-256 over the names and checksums of all texts."""
        digest = hashlib.sha256()
        for call in self._calls:
            text = _text_of(call)
            content = file_checksum(text) if text.is_file() else "none"
            digest.update(f"{call.name}\n{content}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def rows(self, wanted: tuple[str, ...]) -> Iterator[Record]:
        """Yield every line of every call; a call without text is a Damage."""
        for call in self._calls:
            match = _CALL_FOLDER.match(call.name)
            assert match is not None
            given = {
                "transcript_id": call.name,
                "ticker": match.group(4),
                "call_date": "-".join(match.groups()[:3]),
            }
            path = _text_of(call)
            name = f"{call.name}/{path.name}"
            number = 0
            for number, line in self._lines(path):
                if isinstance(line, str):
                    yield Row(name, number, {**given, "position": number - 1, "text": line})
                else:
                    shown = excerpt(line.decode("utf-8", "backslashreplace"))
                    yield Damage(name, number, shown, "is not UTF-8 text")
            if number == 0:
                there = path.is_file()
                yield Damage(name, 1, "", "the file is empty" if there else "the file is missing")
            self._done += 1

    def _lines(self, path: Path) -> Iterator[tuple[int, str | bytes]]:
        """Lines with their numbers, as bytes where they are not UTF-8."""
        if not path.is_file():
            return
        with readable(path), path.open("rb") as file:
            for number, line in numbered_lines(path, file, "Write one sentence a line."):
                try:
                    yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError:
                    yield number, line


def is_maec_folder(path: Path) -> bool:
    """Whether most folders in ``path`` are named by a day and a ticker, as MAEC's are.

    A company's name in place of the ticker makes it another set, whose ticker stays empty.
    """
    if not path.is_dir():
        return False
    with readable(path):
        names = [item.name for item in path.iterdir() if item.is_dir()]
    dated = [name for name in names if _CALL_FOLDER.match(name)]
    return 2 * sum(bool(_TICKER_FOLDER.match(name)) for name in dated) > len(dated)


def _text_of(call: Path) -> Path:
    """The call's text, its name in any case."""
    with readable(call):
        found = [item for item in call.iterdir() if item.name.lower() == _TEXT]
    return found[0] if found else call / _TEXT
