"""The files of a quarter's ingested transcripts: chunks, the manifest, and lists beside them."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from typing import IO, TypeVar

from ftm_core.contracts import keys, records
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.json_records import read_record, write_record
from ftm_core.data.transcript_chunks import find_manifest
from ftm_core.storage.base import Storage

_CHUNK_NAME = re.compile(r"/chunk_(\d{4,})\.parquet$")
_Record = TypeVar("_Record")


class TranscriptStore:
    """What ingest writes of one quarter, and the only way to it.

    The manifest is written last and deleted first, so that half a quarter never looks whole.
    """

    def __init__(self, storage: Storage, quarter: Quarter) -> None:
        self.storage = storage
        self.quarter = quarter

    def chunk_key(self, number: int) -> str:
        """Key of the chunk with that number."""
        return keys.transcripts_chunk(self.quarter, number)

    def chunk_keys(self) -> list[str]:
        """Keys of the chunks that are in storage, by number."""
        numbered = {
            int(match.group(1)): key
            for key in self.storage.list(keys.transcripts_prefix(self.quarter))
            if (match := _CHUNK_NAME.search(key))
        }
        return [numbered[number] for number in sorted(numbered)]

    def delete_chunks(self, *, except_keys: frozenset[str] = frozenset()) -> None:
        """Delete every chunk whose key is not in ``except_keys``."""
        for key in self.chunk_keys():
            if key not in except_keys:
                self.storage.delete(key)

    def clear(self) -> None:
        """Delete everything that ingest wrote of the quarter, the manifest first."""
        self.delete_manifest()
        self.delete_chunks()
        self.delete_rejects()
        self.storage.delete(keys.transcripts_unmatched(self.quarter))
        self.storage.delete(keys.transcripts_source_state(self.quarter))

    def find_manifest(self) -> records.Manifest | None:
        """The manifest, or None when the quarter is not wholly ingested."""
        return find_manifest(self.storage, self.quarter)

    def has_manifest(self) -> bool:
        """Whether there is a manifest, which may be damaged."""
        return self.storage.exists(keys.transcripts_manifest(self.quarter))

    def write_manifest(self, manifest: records.Manifest) -> None:
        """Write the manifest: from here on the quarter is whole."""
        write_record(self.storage, keys.transcripts_manifest(self.quarter), manifest)

    def delete_manifest(self) -> None:
        """Delete the manifest: from here on the quarter is not whole."""
        self.storage.delete(keys.transcripts_manifest(self.quarter))

    @property
    def rejects_location(self) -> str:
        """Where the list of rejected rows is, for messages."""
        return self.storage.describe(keys.transcripts_rejects(self.quarter))

    def open_rejects(self) -> AbstractContextManager[IO[bytes]]:
        """The list of rejected rows, to be written; it appears when the block ends."""
        return self.storage.open_output(keys.transcripts_rejects(self.quarter))

    def write_rejects(self, data: bytes) -> None:
        """Write the list of rejected rows."""
        self.storage.write(keys.transcripts_rejects(self.quarter), data)

    def delete_rejects(self) -> None:
        """Delete the list of rejected rows, if there is one."""
        self.storage.delete(keys.transcripts_rejects(self.quarter))

    @property
    def unmatched_location(self) -> str:
        """Where the list of firms without a permno is, for messages."""
        return self.storage.describe(keys.transcripts_unmatched(self.quarter))

    def write_unmatched(self, data: bytes) -> None:
        """Write the list of firms without a permno."""
        self.storage.write(keys.transcripts_unmatched(self.quarter), data)

    def read_source_state(self, kind: type[_Record]) -> _Record | None:
        """The inputs of an unfinished fetch, or None; raises InputError when it is damaged."""
        return read_record(self.storage, keys.transcripts_source_state(self.quarter), kind)

    def write_source_state(self, state: object) -> None:
        """Record the inputs of a fetch before its first chunk."""
        write_record(self.storage, keys.transcripts_source_state(self.quarter), state)
