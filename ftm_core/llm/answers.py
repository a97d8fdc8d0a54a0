"""The LLM answers of a quarter, kept by content hash so that none is asked for twice.

Each process writes journals of its own under ``keys.answers_prefix``, one JSON object a line, and
reads everybody's once, at its start. In a local folder a line reaches the system as it comes: a
killed process loses no answer that it had received. In a bucket answers are held for at most
FLUSH_SECONDS or FLUSH_ANSWERS, and by whoever calls ``flush`` before a checkpoint. A line cut
short by a crash is passed over: its answer is asked for again.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from ftm_core.contracts import keys
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import utc_now
from ftm_core.llm.journals import Journal, open_journal
from ftm_core.llm.messages import Answer
from ftm_core.storage.base import Storage

FLUSH_SECONDS = 5.0
FLUSH_ANSWERS = 100
_READERS = 8
_FIELDS = ("text", "model", "prompt_tokens", "completion_tokens", "finish_reason")


class AnswerStore:
    """Answers by content hash; ``open`` loads them, ``add`` keeps one more.

    Memory is the answers' own lines, about 20 MB for the 30,000 answers of 5,000 firms.
    """

    def __init__(self, journal: Journal | None, *, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._clock = clock
        self._lines: dict[str, bytes] = {}
        self._hash_by_text: dict[bytes, str] = {}
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
        prefix = keys.answers_prefix(quarter)
        journal = None
        if writer is not None:
            # Sorted by time, so that of two answers to one question the older is read first.
            safe = re.sub(r"[^\w-]", "-", writer)
            stamp = re.sub(r"[^\dT]", "", utc_now().partition("+")[0])
            journal = open_journal(storage, f"{prefix}{stamp}_{safe}_{uuid.uuid4().hex[:8]}")
        store = cls(journal, clock=clock)
        names = [key for key in storage.list(prefix) if key.endswith(".jsonl")]
        with ThreadPoolExecutor(_READERS) as readers:
            for data in readers.map(storage.read, names):
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
        if line is None:
            return None
        record = json.loads(line)
        return Answer(
            **{name: record[name] for name in _FIELDS}, content_hash=content_hash, from_store=True
        )

    def find_by_text(self, text: str) -> Answer | None:
        """An answer received with exactly this text."""
        found = self._hash_by_text.get(_digest(text))
        return None if found is None else self.find(found)

    def contains(self, content_hash: str) -> bool:
        """Whether what has this hash was ever answered."""
        return content_hash in self._lines

    def contains_text(self, text: str) -> bool:
        """Whether an answer with exactly this text was ever received."""
        return _digest(text) in self._hash_by_text

    def answers(self) -> Iterator[Answer]:
        """Every answer, for checks that compare texts made from answers."""
        for content_hash in list(self._lines):
            answer = self.find(content_hash)
            assert answer is not None
            yield answer

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
            self._keep(answer.content_hash, answer.text, line)
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
                content_hash, text = record["hash"], record["text"]
                complete = isinstance(text, str) and all(name in record for name in _FIELDS)
            except (ValueError, KeyError, TypeError):
                complete = False
            if not complete:
                self.n_unreadable += 1
            elif content_hash not in self._lines:
                self._keep(content_hash, text, line)

    def _keep(self, content_hash: str, text: str, line: bytes) -> None:
        self._lines[content_hash] = line
        self._hash_by_text.setdefault(_digest(text), content_hash)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]
