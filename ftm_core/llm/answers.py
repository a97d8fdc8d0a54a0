"""The LLM answers of a quarter, kept by content hash so that none is asked for twice.

Each process writes journals of its own beside the quarter's progress, one JSON object a line, and
reads everybody's once, at its start. In a local folder a line reaches the system as it comes: a
killed process loses no answer that it had received. In a bucket answers are held for at most
FLUSH_SECONDS or FLUSH_ANSWERS, and by whoever calls ``flush`` before a checkpoint. A line cut
short by a crash is skipped: its answer is asked for again.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Self

from ftm_core.contracts.errors import StorageError
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import utc_now
from ftm_core.data.quarter_store import QuarterStore
from ftm_core.llm.journals import Journal, open_journal
from ftm_core.llm.messages import Answer
from ftm_core.llm.reply_text import clean_characters
from ftm_core.storage.base import Storage

FLUSH_SECONDS = 5.0
FLUSH_ANSWERS = 100
_READERS = 8
_CACHE_KIB = 2048
_PAGE = 500
_FIELDS = ("text", "model", "prompt_tokens", "completion_tokens", "finish_reason")


class AnswerStore:
    """Answers by content hash; ``open`` loads them, ``add`` keeps one more.

    The answers stand in a temporary file, so that memory does not grow with them.
    """

    def __init__(self, journal: Journal | None, *, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._clock = clock
        self._lines = _Lines()
        self._pending = 0
        self._oldest_pending = 0.0
        self._lock = threading.Lock()
        self.n_unreadable = 0

    @classmethod
    def open(
        cls,
        storage: Storage,
        quarter: Quarter,
        *,
        writer: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Load a quarter's answers; ``writer`` (a batch or job) names those added, None adds none.

        Raises StorageError when the store cannot be read.
        """
        files = QuarterStore(storage, quarter)
        journal = None
        if writer is not None:
            journal = open_journal(storage, files.new_response_key(writer))
        store = cls(journal, clock=clock)
        with ThreadPoolExecutor(_READERS) as readers:
            for data in readers.map(storage.read, files.response_keys()):
                store._load(data)
        return store

    def __len__(self) -> int:
        return len(self._lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.flush()

    def find(self, content_hash: str) -> Answer | None:
        """The answer to what has this hash, if it was ever received."""
        line = self._lines.get(content_hash)
        return None if line is None else _from_line(line)

    def contains(self, content_hash: str) -> bool:
        """Whether what has this hash was ever answered."""
        return content_hash in self._lines

    def answers(self, containing: str = "") -> Iterator[Answer]:
        """Every answer with this ASCII text, for checks that compare texts made from answers."""
        for line in self._lines:
            if containing.encode() in line:
                yield _from_line(line)

    def usage(self) -> tuple[int, int, int]:
        """How many answers there are, and the tokens of their prompts and of them, in sum."""
        return self._lines.count_and_sums("prompt_tokens", "completion_tokens")

    def add(self, answer: Answer) -> None:
        """Keep one answer received; a question already answered keeps its first answer.

        Raises StorageError when the answer could not be kept.
        """
        if self._journal is None:
            raise ValueError("this AnswerStore was opened for reading")
        record = {"hash": answer.content_hash, "received": utc_now()}
        record |= {name: getattr(answer, name) for name in _FIELDS}
        line = json.dumps(record, ensure_ascii=True, separators=(",", ":")).encode("ascii")
        with self._lock:
            if answer.content_hash in self._lines:
                return
            self._journal.append(line + b"\n")
            self._lines.put(answer.content_hash, line)
            if self._pending == 0:
                self._oldest_pending = self._clock()
            self._pending += 1

    @property
    def due(self) -> bool:
        """Whether answers have been held long enough, or are enough, to be flushed."""
        if self._pending == 0:
            return False
        held = self._clock() - self._oldest_pending
        return self._pending >= FLUSH_ANSWERS or held >= FLUSH_SECONDS

    def flush(self) -> None:
        """Make every answer added so far safe; raises StorageError, and keeps what is unsaved."""
        if self._journal is None or self._pending == 0:
            return
        with self._lock:
            pending, since = self._pending, self._clock()
        self._journal.flush()
        with self._lock:
            self._pending -= min(pending, self._pending)
            self._oldest_pending = since

    def _load(self, data: bytes) -> None:
        for line in data.split(b"\n"):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if _is_record(record):
                self._lines.put(record["hash"], line)
            else:
                self.n_unreadable += 1


class _Lines:
    """The lines of answers by content hash, each hash's first, in a file of SQLite's own.

    A private temporary database: it needs no name, and the system removes it with the process.
    Source: https://www.sqlite.org/inmemorydb.html#temp_db
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        with _translated():
            self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
            self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self._database.execute("PRAGMA journal_mode = OFF")
            self._database.execute("CREATE TABLE lines (hash TEXT UNIQUE, line BLOB)")

    def put(self, content_hash: str, line: bytes) -> None:
        self._run("INSERT OR IGNORE INTO lines VALUES (?, ?)", content_hash, line)

    def get(self, content_hash: str) -> bytes | None:
        found = self._run("SELECT line FROM lines WHERE hash = ?", content_hash)
        return found[0][0] if found else None

    def __contains__(self, content_hash: str) -> bool:
        return bool(self._run("SELECT 1 FROM lines WHERE hash = ?", content_hash))

    def __len__(self) -> int:
        return int(self._run("SELECT count(*) FROM lines")[0][0])

    def count_and_sums(self, first: str, second: str) -> tuple[int, int, int]:
        """The number of lines, and the sums of two of their fields."""
        field = "coalesce(sum(json_extract(CAST(line AS TEXT), ?)), 0)"
        statement = f"SELECT count(*), {field}, {field} FROM lines"
        n_lines, *sums = self._run(statement, f"$.{first}", f"$.{second}")[0]
        return n_lines, int(sums[0]), int(sums[1])

    def __iter__(self) -> Iterator[bytes]:
        last = 0
        while rows := self._run(
            "SELECT rowid, line FROM lines WHERE rowid > ? ORDER BY rowid LIMIT ?", last, _PAGE
        ):
            yield from (line for _, line in rows)
            last = rows[-1][0]

    def _run(self, statement: str, *values: object) -> list[Any]:
        with self._lock, _translated():
            return self._database.execute(statement, values).fetchall()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StorageError(
            f"The temporary folder {tempfile.gettempdir()}",
            f"could not hold the LLM's answers ({error})",
            "Free some space there, or point SQLITE_TMPDIR elsewhere, and run the same command "
            "again; finished work is kept.",
        ) from error


def _is_record(record: Any) -> bool:
    if not isinstance(record, dict) or not all(name in record for name in _FIELDS):
        return False
    return all(isinstance(record.get(name), str) for name in ("hash", "text", "model"))


def _from_line(line: bytes) -> Answer:
    record = json.loads(line)
    for name in ("text", "model"):
        # Lines of earlier versions may hold what no table can.
        record[name] = clean_characters(record[name])
    return Answer(
        **{name: record[name] for name in _FIELDS}, content_hash=record["hash"], from_store=True
    )
