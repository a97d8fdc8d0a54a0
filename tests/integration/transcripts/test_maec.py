"""Ingest of real calls: two quarters of MAEC, as they are."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ftm_core.contracts.quarters import Quarter
from ftm_core.data.transcript_chunks import iterate_firms, read_manifest
from ftm_core.storage.local import LocalStorage
from ftm_core.text.sentences import LONGEST_SENTENCE
from ftm_core.text.small_talk import is_small_talk
from ftm_core.transcripts.ingest import ingest
from tests.fakes.needs import skip_or_fail

# Four published lines (three and one) have more than 1,000 characters, and are split.
COUNTS = {"2017Q1": (371, 371, 34_086), "2016Q3": (437, 438, 43_216)}
N_PUBLISHED = {"2017Q1": 34_058, "2016Q3": 43_211}


@pytest.fixture(scope="session")
def maec() -> Path:
    """The folder of MAEC data: FTM_MAEC_DIR, else shared/data/maec beside the project."""
    beside = Path(__file__).parents[4] / "shared" / "data" / "maec"
    folder = Path(os.environ.get("FTM_MAEC_DIR", beside))
    if not (folder / "2017Q1.parquet").is_file():
        skip_or_fail(f"no MAEC data in {folder}; name its folder by FTM_MAEC_DIR")
    return folder


@pytest.mark.parametrize("name", COUNTS)
def test_every_published_sentence_is_ingested(maec: Path, tmp_path: Path, name: str) -> None:
    quarter, storage = Quarter.parse(name), LocalStorage(tmp_path)
    source = maec / f"{name}.parquet"
    manifest = ingest(source, quarter, storage).manifest
    counts = (manifest.n_firms, manifest.n_calls, manifest.n_sentences)
    assert counts == COUNTS[name]
    assert manifest.n_rejected_rows == 0
    # No speaker, name or identifier is published, and none is invented.
    assert manifest.n_firms_without_permno == manifest.n_firms
    published = {
        (row["transcript_id"], row["position"]): " ".join(row["text"].split())
        for row in pq.read_table(source).to_pylist()
    }
    assert len(published) == N_PUBLISHED[name]
    overlong = {call for (call, _), text in published.items() if len(text) > LONGEST_SENTENCE}
    stored = {
        (row["transcript_id"], row["position"]): row
        for _, table in iterate_firms(
            storage, read_manifest(storage, quarter), list(manifest.firm_to_chunk)
        )
        for row in table.to_pylist()
    }
    texts = {place: row["raw_text"] for place, row in stored.items()}
    assert {place: text for place, text in texts.items() if place[0] not in overlong} == {
        place: text for place, text in published.items() if place[0] not in overlong
    }
    # A call with such a line is numbered through: no letter of it is lost.
    for call in overlong:
        assert _letters(texts, call) == _letters(published, call)
    assert max(map(len, texts.values())) <= LONGEST_SENTENCE
    assert {row["speaker_type"] for row in stored.values()} == {"Unknown"}
    assert all(row["permno"] is row["gvkey"] is None for row in stored.values())


def _letters(texts: dict[tuple[str, int], str], call: str) -> str:
    """All a call says, without spaces."""
    places = sorted(place for place in texts if place[0] == call)
    return "".join("".join(texts[place].split()) for place in places)


def test_folder_as_published_gives_rows_of_the_parquet_file(maec: Path, tmp_path: Path) -> None:
    quarter = Quarter(2017, 1)
    rows = pq.read_table(maec / "2017Q1.parquet").slice(0, 3000).to_pylist()
    # Positions of one published call count its lines, so whole calls can be written back.
    last = rows[-1]["transcript_id"]
    for row in rows:
        if row["transcript_id"] != last:
            folder = tmp_path / "published" / row["transcript_id"]
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "text.txt").open("a", encoding="utf-8") as file:
                file.write(" ".join(row["text"].split()) + "\n")
    storage = LocalStorage(tmp_path / "data")
    manifest = ingest(tmp_path / "published", quarter, storage).manifest
    overlong = {row["transcript_id"] for row in rows if len(row["text"]) > LONGEST_SENTENCE}
    wanted = [row for row in rows if row["transcript_id"] not in {last, *overlong}]
    assert manifest.n_rejected_rows == 0
    texts = {
        row["sentence_id"]: row["raw_text"]
        for _, table in iterate_firms(storage, manifest, list(manifest.firm_to_chunk))
        for row in table.to_pylist()
        if row["transcript_id"] not in overlong
    }
    assert texts == {
        f"{row['ticker']}_{row['transcript_id']}_{row['position']:04d}": " ".join(
            row["text"].split()
        )
        for row in wanted
    }


def test_small_talk_is_a_tenth_of_real_calls_without_numbers(maec: Path) -> None:
    texts = pq.read_table(maec / "2017Q1.parquet").column("text").to_pylist()[::5]
    aside = [text for text in texts if is_small_talk(text, "Unknown")]
    assert 0.05 < len(aside) / len(texts) < 0.15
    assert not [text for text in aside if "$" in text or "%" in text]
