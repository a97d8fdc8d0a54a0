"""Check the files of a quarter: whole, of this schema version and run, and nothing beside them."""

from __future__ import annotations

import hashlib

import pyarrow as pa

from ftm_core.checks.result import Check, CheckCounter
from ftm_core.contracts import schemas
from ftm_core.contracts.errors import InputError, ObjectMissingError
from ftm_core.data.database import Source
from ftm_core.data.quarter_store import QuarterStore
from ftm_core.storage.tables import read_run_id, stream_table

PARTS = ("firm_topics", "map_sentences")
_PIECE = 1 << 20


def check_transcripts(store: QuarterStore) -> tuple[Source, Check]:
    """Check that the transcripts are those that the run was made from; and what can be read."""
    counter = CheckCounter(
        "same-input", "input", "The transcripts are those that the run was made from", "chunks"
    )
    recorded = store.run.inputs["transcripts"]
    chunks = store.manifest.chunks
    sound = []
    for number, chunk in enumerate(chunks):
        same = recorded[number : number + 1] == [chunk.sha256]
        fault = "" if same else "was ingested again since the run"
        try:
            if _sha256(store, chunk.key) != chunk.sha256:
                fault = "does not have the checksum that the manifest gives it"
            else:
                _read_all(store, chunk.key, schemas.TRANSCRIPTS)
                sound.append(chunk.key)
        except (InputError, ObjectMissingError) as error:
            fault = error.cause
        counter.record(not fault, f"{chunk.key}: {fault}")
    if len(recorded) > len(chunks):
        counter.record(False, f"the run had {len(recorded)} chunks, now there are {len(chunks)}")
    return Source(schemas.TRANSCRIPTS, tuple(sound)), counter.check()


def check_tables(
    store: QuarterStore, tables: tuple[str, ...]
) -> tuple[dict[str, Source], list[Check]]:
    """Read every file of the tables once. The sources hold those that can be read."""
    files = CheckCounter(
        "table-files", "files", "Every table is there, whole and of this schema version", "files"
    )
    runs = CheckCounter("run-ids", "files", "Every table was written by this run", "files")
    run_id = store.finished.identity.run_id
    sources = {}
    for name in (*PARTS, *tables):
        schema, listed = store.objects(name)
        sound = []
        for key in listed:
            try:
                _read_all(store, key, schema)
                written_by = read_run_id(store.storage, key)
            except (InputError, ObjectMissingError) as error:
                files.record(False, f"{key}: {error.cause}")
                continue
            files.record(True)
            runs.record(written_by == run_id, f"{key}: is of run {written_by}")
            sound.append(key)
        sources[name] = Source(schema, tuple(sound))
    return sources, [files.check(), runs.check(), *_folders(store, tables)]


def _folders(store: QuarterStore, tables: tuple[str, ...]) -> list[Check]:
    """Readers take whole folders, so a second file in one would double its rows."""
    parts = CheckCounter(
        "part-files", "map", "The folders hold the checkpoints' parts and nothing else", "files"
    )
    for key, problem in store.inspect_folders(PARTS).items():
        parts.record(problem is None, f"{key} {problem}")
    folders = CheckCounter(
        "table-folders", "tables", "Folders of tables hold their tables alone", "files"
    )
    for key, problem in store.inspect_folders(tables).items():
        # A table that is missing is a finding of table-files.
        if problem != "is missing":
            folders.record(problem is None, f"{key} {problem}")
    return [parts.check(), folders.check()]


def _read_all(store: QuarterStore, key: str, schema: pa.Schema) -> None:
    """Read every page of a file, so that its checksums are compared."""
    try:
        for _ in stream_table(store.storage, key, schema):
            pass
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"The table {store.storage.describe(key)}",
            f"is not a readable Parquet file ({error})",
            "Restore it, or produce it again.",
        ) from error


def _sha256(store: QuarterStore, key: str) -> str:
    digest = hashlib.sha256()
    with store.storage.open_input(key) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
