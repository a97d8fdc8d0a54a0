"""Ingest into a bucket gives what ingest into a folder gives, through a faltering store too."""

from __future__ import annotations

from pathlib import Path

from ftm_core.contracts import keys
from ftm_core.data.transcript_chunks import iterate_firms, read_manifest
from ftm_core.storage.local import LocalStorage
from ftm_core.transcripts.ingest import IngestOptions, ingest
from tests.fakes.s3_emulator import Fault, S3Emulator
from tests.fakes.transcript_corpora import QUARTER, sentence_row, write_corpus


def test_chunks_in_a_bucket_equal_those_in_a_folder(
    tmp_path: Path, s3_server: S3Emulator, bucket: str
) -> None:
    rows = [sentence_row(firm) for firm in range(1, 8)] + [sentence_row(9, raw_text="")]
    source = write_corpus(tmp_path / "calls.csv", rows)
    options = IngestOptions(firms_per_chunk=3, accept_rejects=True)
    storage = s3_server.storage(bucket, "research")
    s3_server.faults.append(Fault("PUT", times=2))
    in_bucket = ingest(source, QUARTER, storage, options).manifest
    in_folder = ingest(source, QUARTER, LocalStorage(tmp_path / "data"), options).manifest
    assert in_bucket.chunks == in_folder.chunks
    assert storage.exists(keys.transcripts_rejects(QUARTER))
    manifest = read_manifest(storage, QUARTER)
    firms = dict(iterate_firms(storage, manifest, ["F7", "F1"], columns=["firm_id"]))
    assert {firm: table.num_rows for firm, table in firms.items()} == {"F1": 1, "F7": 1}
    assert ingest(source, QUARTER, storage, options).already_ingested
