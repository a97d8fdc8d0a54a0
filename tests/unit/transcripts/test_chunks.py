"""Writing and reading chunks: whole quarters only, each chunk opened once, damage named."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from ftm_core.contracts import keys, records, schemas
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.transcript_chunks import iterate_firms, read_manifest
from ftm_core.data.transcript_store import TranscriptStore
from ftm_core.storage.local import LocalStorage
from ftm_core.storage.tables import read_table
from ftm_core.transcripts.call_sentences import Sentence
from ftm_core.transcripts.chunks import Call, ChunkWriter, FirmTranscripts

QUARTER = Quarter(2023, 1)


class CountingStorage(LocalStorage):
    """A local folder that counts how often each object is opened or read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.opened: dict[str, int] = {}

    def read(self, key: str) -> bytes:
        self.opened[key] = self.opened.get(key, 0) + 1
        return super().read(key)

    def open_input(self, key: str) -> Any:
        self.opened[key] = self.opened.get(key, 0) + 1
        return super().open_input(key)


def make_call(name: str, day: dt.date = dt.date(2023, 2, 1), *texts: str) -> Call:
    spoken = texts or (f"{name} sold more.", f"{name} hired staff.")
    sentences = tuple(Sentence(text, "CEO", number) for number, text in enumerate(spoken))
    return Call(name, day, sentences)


def make_firm(number: int, *calls: Call, permno: int | None = None) -> FirmTranscripts:
    firm_id = f"F{number}"
    return FirmTranscripts(
        firm_id, f"Firm {number}", calls or (make_call(f"T{number}"),), permno=permno
    )


def write_quarter(storage: LocalStorage, count: int, per_chunk: int) -> records.Manifest:
    writer = ChunkWriter(storage, QUARTER, run_id="run", firms_per_chunk=per_chunk)
    for number in range(count):
        writer.add_firm(make_firm(number, permno=number or None))
    return writer.finish(source="made up", source_sha256="0" * 64)


def test_manifest_counts_what_the_chunks_hold(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    manifest = write_quarter(storage, 7, 3)
    assert [chunk.n_firms for chunk in manifest.chunks] == [3, 3, 1]
    assert (manifest.n_firms, manifest.n_calls, manifest.n_sentences) == (7, 7, 14)
    assert manifest.n_firms_without_permno == 1
    assert read_manifest(storage, QUARTER) == manifest
    for chunk in manifest.chunks:
        table = read_table(storage, chunk.key, schemas.TRANSCRIPTS, run_id="run")
        assert table.num_rows == chunk.n_sentences


def test_sentences_keep_call_order_and_get_stable_ids(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    writer = ChunkWriter(storage, QUARTER, run_id="run")
    late = make_call("LATE", dt.date(2023, 3, 31))
    early = make_call("EARLY", dt.date(2023, 1, 1))
    writer.add_firm(make_firm(1, late, early))
    manifest = writer.finish(source="made up", source_sha256="0" * 64)
    [(firm_id, table)] = iterate_firms(storage, manifest, ["F1"])
    assert firm_id == "F1"
    assert table.column("sentence_id").to_pylist() == [
        "F1_EARLY_0000",
        "F1_EARLY_0001",
        "F1_LATE_0000",
        "F1_LATE_0001",
    ]


def test_without_finish_the_quarter_is_not_ingested(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    writer = ChunkWriter(storage, QUARTER, run_id="run", firms_per_chunk=1)
    writer.add_firm(make_firm(1))
    assert list(storage.list(keys.transcripts_prefix(QUARTER)))
    with pytest.raises(InputError, match="no ingested transcripts"):
        read_manifest(storage, QUARTER)


@pytest.mark.parametrize(
    ("firm", "reason"),
    [
        (FirmTranscripts("F", "Firm", ()), "no call"),
        (make_firm(1, Call("T", dt.date(2023, 2, 1), ())), "no sentence"),
        (make_firm(1, make_call("T", dt.date(2023, 4, 1))), "not in 2023Q1"),
        (make_firm(1, make_call("T"), make_call("T")), "in use"),
        (make_firm(0), "added before"),
        (FirmTranscripts("F0_T0", "Firm", (make_call("X"),)), "in use"),
    ],
)
def test_a_firm_that_breaks_the_contract_is_refused(
    tmp_path: Path, firm: FirmTranscripts, reason: str
) -> None:
    writer = ChunkWriter(LocalStorage(tmp_path), QUARTER, run_id="run")
    writer.add_firm(make_firm(0, make_call("T0"), make_call("T0_X")))
    with pytest.raises(InputError, match=reason):
        writer.add_firm(firm)


def test_resumed_writing_ends_in_the_same_chunks_as_straight(tmp_path: Path) -> None:
    straight = write_quarter(LocalStorage(tmp_path / "straight"), 7, 3)
    storage = LocalStorage(tmp_path / "resumed")
    # Given: a writer of this run died in its second chunk, and another run left a third one.
    stale = ChunkWriter(storage, QUARTER, run_id="another", firms_per_chunk=1)
    for number in range(3):
        stale.add_firm(make_firm(90 + number))
    died = ChunkWriter(storage, QUARTER, run_id="run", firms_per_chunk=3)
    for number in range(4):
        died.add_firm(make_firm(number, permno=number or None))
    # When: it is resumed, with only the firms that are not committed.
    writer = ChunkWriter.resume(storage, QUARTER, run_id="run", firms_per_chunk=3)
    assert writer.committed_firm_ids == {"F0", "F1", "F2"}
    for number in range(7):
        if f"F{number}" not in writer.committed_firm_ids:
            writer.add_firm(make_firm(number, permno=number or None))
    resumed = writer.finish(source="made up", source_sha256="0" * 64)
    # Then: same chunks to the byte, and nothing of the other run is left.
    assert resumed.chunks == straight.chunks
    assert resumed.firm_to_chunk == straight.firm_to_chunk
    assert resumed.n_firms_without_permno == straight.n_firms_without_permno
    assert len(list(storage.list(keys.transcripts_prefix(QUARTER)))) == 4


def test_resume_drops_a_damaged_chunk_and_all_after_it(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    write_quarter(storage, 6, 2)
    storage.write(keys.transcripts_chunk(QUARTER, 1), b"torn")
    writer = ChunkWriter.resume(storage, QUARTER, run_id="run", firms_per_chunk=2)
    assert writer.committed_firm_ids == {"F0", "F1"}
    assert list(storage.list(keys.transcripts_prefix(QUARTER))) == [
        keys.transcripts_chunk(QUARTER, 0)
    ]


def test_fault_14_chunk_is_opened_once_for_any_number_of_firms(tmp_path: Path) -> None:
    storage = CountingStorage(tmp_path)
    manifest = write_quarter(storage, 250, 200)
    storage.opened.clear()
    wanted = [f"F{number}" for number in reversed(range(250))]
    seen = [firm_id for firm_id, _ in iterate_firms(storage, manifest, wanted)]
    assert sorted(seen) == sorted(wanted)
    assert storage.opened == {chunk.key: 1 for chunk in manifest.chunks}


def test_fault_14_chunks_without_a_wanted_firm_are_not_opened(tmp_path: Path) -> None:
    storage = CountingStorage(tmp_path)
    manifest = write_quarter(storage, 9, 3)
    storage.opened.clear()
    chosen = list(iterate_firms(storage, manifest, ["F7", "F6", "F7"], columns=["raw_text"]))
    assert [firm_id for firm_id, _ in chosen] == ["F7", "F6"]
    assert chosen[0][1].column_names == ["raw_text"]
    assert chosen[0][1].column("raw_text").to_pylist() == ["T7 sold more.", "T7 hired staff."]
    assert storage.opened == {manifest.chunks[2].key: 1}


def test_a_damaged_chunk_is_named(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    manifest = write_quarter(storage, 3, 3)
    key = manifest.chunks[0].key
    data = bytearray(storage.read(key))
    data[len(data) // 2] ^= 0xFF
    storage.write(key, bytes(data))
    with pytest.raises(InputError, match=r"chunk_0000\.parquet.*checksum"):
        list(iterate_firms(storage, manifest, ["F1"]))


def test_an_unknown_firm_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    storage = CountingStorage(tmp_path)
    manifest = write_quarter(storage, 3, 3)
    storage.opened.clear()
    with pytest.raises(InputError, match="firm NOBODY"):
        list(iterate_firms(storage, manifest, ["F1", "NOBODY"]))
    assert not storage.opened


def test_clear_quarter_leaves_other_quarters_alone(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    write_quarter(storage, 3, 1)
    other = keys.transcripts_chunk(Quarter(2023, 2), 0)
    storage.write(other, b"kept")
    TranscriptStore(storage, QUARTER).clear()
    assert list(storage.list("prefetch/")) == [other]
