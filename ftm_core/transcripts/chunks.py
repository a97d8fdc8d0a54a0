"""Write a quarter's transcripts in chunks of about 200 firms, and their manifest last."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ftm_core.contracts import records, schemas
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.transcript_store import TranscriptStore
from ftm_core.storage.base import Storage
from ftm_core.storage.tables import COMPRESSION
from ftm_core.transcripts.call_sentences import Sentence

FIRMS_PER_CHUNK = 200


@dataclass(frozen=True)
class Call:
    """One earnings call and its sentences in spoken order."""

    transcript_id: str
    earnings_call_date: dt.date
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True)
class FirmTranscripts:
    """All calls of one firm in a quarter, with the identifiers that are known of it."""

    firm_id: str
    firm_name: str
    calls: tuple[Call, ...]
    ticker: str | None = None
    permno: int | None = None
    gvkey: str | None = None
    link_date: dt.date | None = None


def sentence_id(firm_id: str, transcript_id: str, position: int) -> str:
    """The id that a sentence keeps through every later table."""
    return f"{firm_id}_{transcript_id}_{position:04d}"


class ChunkWriter:
    """Takes firms one by one and commits a chunk whenever ``firms_per_chunk`` are together.

    A chunk appears whole or not at all, and the manifest, which ``finish`` writes after all of
    them, says that the quarter is whole. One row group is one firm, so that a reader can take a
    firm alone. At most one chunk is held in memory, compressed.
    """

    def __init__(
        self,
        storage: Storage,
        quarter: Quarter,
        *,
        run_id: str,
        firms_per_chunk: int = FIRMS_PER_CHUNK,
    ) -> None:
        self._storage = storage
        self._store = TranscriptStore(storage, quarter)
        self._quarter = quarter
        self._run_id = run_id
        self._firms_per_chunk = firms_per_chunk
        self._chunks: list[records.ChunkRecord] = []
        self._firm_to_chunk: dict[str, int] = {}
        self._calls: set[str] = set()
        self._firms_without_permno = 0
        self._open = _OpenChunk(run_id)

    @classmethod
    def resume(
        cls,
        storage: Storage,
        quarter: Quarter,
        *,
        run_id: str,
        firms_per_chunk: int = FIRMS_PER_CHUNK,
    ) -> ChunkWriter:
        """Resume after the chunks that the same ``run_id`` has committed.

        Chunks of another run, damaged ones and all that follow one are removed, as is a manifest:
        the quarter is whole again only after ``finish``.
        """
        writer = cls(storage, quarter, run_id=run_id, firms_per_chunk=firms_per_chunk)
        store = writer._store
        store.delete_manifest()
        stale = store.chunk_keys()
        while stale and stale[0] == store.chunk_key(len(writer._chunks)):
            if not writer._adopt(stale[0]):
                break
            del stale[0]
        for key in stale:
            storage.delete(key)
        return writer

    @property
    def committed_firm_ids(self) -> frozenset[str]:
        """Firms in chunks that are already in storage: they need not be added again."""
        committed = len(self._chunks)
        return frozenset(firm for firm, chunk in self._firm_to_chunk.items() if chunk < committed)

    def add_firm(self, firm: FirmTranscripts) -> None:
        """Add all calls of a firm; commits the chunk when this fills it.

        Raises InputError when the firm has no sentence, was added before, has a call outside the
        quarter, or a sentence id would not be unique.
        """
        self._check(firm)
        rows = _table(firm, self._quarter, run_id=self._run_id)
        self._open.add(rows)
        self._firm_to_chunk[firm.firm_id] = len(self._chunks)
        self._calls.update(_call_name(firm.firm_id, call.transcript_id) for call in firm.calls)
        self._firms_without_permno += firm.permno is None
        if self._open.n_firms == self._firms_per_chunk:
            self._commit()

    def finish(
        self, *, source: str, source_sha256: str, n_rejected_rows: int = 0
    ) -> records.Manifest:
        """Commit what is left and write the manifest; raises InputError when there is no firm."""
        if self._open.n_firms:
            self._commit()
        if not self._chunks:
            raise InputError(
                f"The source {source}",
                f"holds no transcript of {self._quarter}",
                "Check the dates of the calls in the source.",
            )
        manifest = records.Manifest(
            quarter=str(self._quarter),
            source=source,
            source_sha256=source_sha256,
            n_firms=len(self._firm_to_chunk),
            n_calls=len(self._calls),
            n_sentences=sum(chunk.n_sentences for chunk in self._chunks),
            n_rejected_rows=n_rejected_rows,
            n_firms_without_permno=self._firms_without_permno,
            chunks=tuple(self._chunks),
            firm_to_chunk=self._firm_to_chunk,
            created=records.utc_now(),
        )
        self._store.write_manifest(manifest)
        return manifest

    def _check(self, firm: FirmTranscripts) -> None:
        where = f"The firm {firm.firm_id}"
        if firm.firm_id in self._firm_to_chunk:
            raise InputError(where, "was added before", "Add all of a firm's calls at once.")
        if not firm.calls:
            raise InputError(where, "has no call", "Leave out firms without calls.")
        names = set()
        for call in firm.calls:
            name = _call_name(firm.firm_id, call.transcript_id)
            place = f"The call {call.transcript_id} of firm {firm.firm_id}"
            if name in self._calls or name in names:
                raise InputError(
                    place,
                    "would give sentence ids that are in use",
                    "Give each call a transcript_id of its own.",
                )
            names.add(name)
            if not call.sentences:
                raise InputError(place, "has no sentence", "Leave out empty calls.")
            if not self._quarter.contains(call.earnings_call_date):
                raise InputError(
                    place,
                    f"took place on {call.earnings_call_date}, not in {self._quarter}",
                    "Ingest it into its own quarter.",
                )
            if len({sentence.position for sentence in call.sentences}) != len(call.sentences):
                raise InputError(
                    place, "has two sentences at one position", "Number its sentences again."
                )

    def _commit(self) -> None:
        key = self._store.chunk_key(len(self._chunks))
        data = self._open.close()
        self._storage.write(key, data)
        self._chunks.append(
            records.ChunkRecord(
                key=key,
                sha256=hashlib.sha256(data).hexdigest(),
                n_firms=self._open.n_firms,
                n_sentences=self._open.n_sentences,
            )
        )
        self._open = _OpenChunk(self._run_id)

    def _adopt(self, key: str) -> bool:
        """Take over a committed chunk of this run; False when it is of another or damaged."""
        data = self._storage.read(key)
        try:
            file = pq.ParquetFile(pa.BufferReader(data))
            if schemas.metadata_of(file.schema_arrow, where=key).run_id != self._run_id:
                return False
            table = file.read(columns=["firm_id", "transcript_id", "permno"])
        except (pa.ArrowInvalid, OSError, InputError):
            return False
        rows = table.group_by(["firm_id", "transcript_id", "permno"]).aggregate([]).to_pylist()
        firms = {row["firm_id"]: row["permno"] for row in rows}
        self._firm_to_chunk.update(dict.fromkeys(firms, len(self._chunks)))
        self._calls.update(_call_name(row["firm_id"], row["transcript_id"]) for row in rows)
        self._firms_without_permno += sum(permno is None for permno in firms.values())
        self._chunks.append(
            records.ChunkRecord(
                key=key,
                sha256=hashlib.sha256(data).hexdigest(),
                n_firms=len(firms),
                n_sentences=table.num_rows,
            )
        )
        return True


class _OpenChunk:
    """A chunk being filled, as compressed Parquet in memory."""

    def __init__(self, run_id: str) -> None:
        self._buffer = io.BytesIO()
        stamped = schemas.TRANSCRIPTS.with_metadata(
            {schemas.VERSION_KEY: schemas.SCHEMA_VERSION.encode(), schemas.RUN_KEY: run_id.encode()}
        )
        # A reader finds a firm's row group by the statistics of firm_id; others would only
        # lengthen the footer, which has an entry for every column of every firm.
        self._writer = pq.ParquetWriter(
            self._buffer, stamped, compression=COMPRESSION, write_statistics=["firm_id"]
        )
        self.n_firms = 0
        self.n_sentences = 0

    def add(self, rows: pa.Table) -> None:
        self._writer.write_table(rows)
        self.n_firms += 1
        self.n_sentences += rows.num_rows

    def close(self) -> bytes:
        self._writer.close()
        return self._buffer.getvalue()


def _call_name(firm_id: str, transcript_id: str) -> str:
    """What all sentence ids of a call begin with."""
    return f"{firm_id}_{transcript_id}"


def _table(firm: FirmTranscripts, quarter: Quarter, *, run_id: str) -> pa.Table:
    """Rows of one firm, ordered by call date, transcript and position."""
    calls = sorted(firm.calls, key=lambda call: (call.earnings_call_date, call.transcript_id))
    spoken = [
        (call, sorted(call.sentences, key=lambda sentence: sentence.position)) for call in calls
    ]
    n_rows = sum(len(sentences) for _, sentences in spoken)
    positions = [sentence.position for _, sentences in spoken for sentence in sentences]
    of_call = [len(sentences) for _, sentences in spoken]
    # By column: a quarter has millions of sentences, and a dict for each costs more than its text.
    constant = {
        "firm_id": firm.firm_id,
        "firm_name": firm.firm_name,
        "ticker": firm.ticker,
        "permno": firm.permno,
        "gvkey": firm.gvkey,
        "link_date": firm.link_date,
        "quarter": str(quarter),
    }
    columns: dict[str, list[Any]] = {name: [value] * n_rows for name, value in constant.items()}
    columns |= {
        "transcript_id": _repeated([call.transcript_id for call in calls], of_call),
        "earnings_call_date": _repeated([call.earnings_call_date for call in calls], of_call),
        "sentence_id": [
            sentence_id(firm.firm_id, call.transcript_id, sentence.position)
            for call, sentences in spoken
            for sentence in sentences
        ],
        "raw_text": [sentence.text for _, sentences in spoken for sentence in sentences],
        "speaker_type": [
            sentence.speaker_type for _, sentences in spoken for sentence in sentences
        ],
        "position": positions,
    }
    try:
        table = pa.Table.from_arrays(
            [pa.array(columns[field.name], type=field.type) for field in schemas.TRANSCRIPTS],
            schema=schemas.TRANSCRIPTS,
        )
    except (pa.ArrowException, UnicodeEncodeError) as error:
        raise InputError(
            f"The firm {firm.firm_id}",
            f"cannot be stored ({error})",
            "Correct its values in the source.",
        ) from error
    return schemas.stamp(table, schemas.TRANSCRIPTS, run_id=run_id, where=f"firm {firm.firm_id}")


def _repeated(values: Sequence[Any], times: Sequence[int]) -> list[Any]:
    """Each value as many times as its call has sentences."""
    return [value for value, count in zip(values, times, strict=True) for _ in range(count)]
