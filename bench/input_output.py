"""Reads of each chunk, and bytes read and written a firm, in one map over a local folder.

Run from the project root: ``python -m bench.input_output [FIRMS]``. Models and LLM are fakes:
neither changes what is read, and what is written differs by the topics alone.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from bench.corpus import maec_firms
from bench.measuring import report
from bench.quarters import FixedRateServer, make_quarter, map_quarter, transcripts_of
from ftm_core.contracts import schemas
from ftm_core.storage.local import LocalStorage
from ftm_core.topics.find_topics import INPUT_COLUMNS
from tests.fakes.chaos_models import RuleWorkers

TOPICS = 10


class _Counted:
    """An open file that adds the bytes read from it to a counter; no other way to read it."""

    def __init__(self, file: pa.NativeFile, counts: Counter[str], key: str) -> None:
        self._counts, self._key = counts, key
        self._read = file.read
        self.seek, self.tell, self.close = file.seek, file.tell, file.close
        self.closed = False

    def read(self, n_bytes: int | None = None) -> bytes:
        data: bytes = self._read(n_bytes)
        self._counts[self._key] += len(data)
        return data


class CountingStorage(LocalStorage):
    """Counts whole reads, and bytes however they are read, by key."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.reads: Counter[str] = Counter()
        self.bytes_read: Counter[str] = Counter()
        self.bytes_written: Counter[str] = Counter()

    def read(self, key: str) -> bytes:
        data = super().read(key)
        self.reads[key] += 1
        self.bytes_read[key] += len(data)
        return data

    def write(self, key: str, data: bytes) -> None:
        super().write(key, data)
        self.bytes_written[key] += len(data)

    @contextmanager
    def open_input(self, key: str) -> Iterator[Any]:
        with super().open_input(key) as file:
            yield _Counted(file, self.bytes_read, key)

    @contextmanager
    def open_output(self, key: str) -> Iterator[IO[bytes]]:
        with super().open_output(key) as file:
            yield file
        self.bytes_written[key] += self.size(key)


def main() -> None:
    n_firms = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    firms = maec_firms(n_firms)
    with tempfile.TemporaryDirectory() as folder:
        made = make_quarter(LocalStorage(Path(folder)), map(transcripts_of, firms))
        storage = CountingStorage(Path(folder))
        quarter = type(made)(storage, made.manifest, made.batches)
        asyncio.run(map_quarter(quarter, RuleWorkers(topics_per_firm=TOPICS), FixedRateServer()))
        answers = sum(p.stat().st_size for p in Path(folder).rglob("*.jsonl"))
    chunk_keys = [chunk.key for chunk in made.manifest.chunks]
    report(
        "input_output",
        {
            "firms": n_firms,
            "chunks": len(chunk_keys),
            "reads of the chunk read most often": max(storage.reads[key] for key in chunk_keys),
            "columns unpacked": f"{len(INPUT_COLUMNS)} of {len(schemas.TRANSCRIPTS.names)}",
            "bytes read a firm": sum(storage.bytes_read.values()) / n_firms,
            "bytes written a firm, parts and checkpoints": sum(storage.bytes_written.values())
            / n_firms,
            "bytes written per firm, cached responses": answers / n_firms,
        },
    )


if __name__ == "__main__":
    main()
