"""All sentences of a quarter in one fixed order, with the vectors of those that are no small talk.

The map writes parts in the order in which firms were finished. Themes must not depend on that, so
sentences are ordered by firm, call and position before anything is computed from them. They pass
from the job to its worker process through files that the worker maps into memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ftm_core.data.part_copies import PartCopies
from ftm_core.topics import compact_vectors
from ftm_core.topics.compact_vectors import Bytes

# Rows whose vectors are expanded to floats at a time.
BLOCK = 16_384
_COLUMNS = (
    "sentence_id",
    "firm_id",
    "transcript_id",
    "earnings_call_date",
    "raw_text",
    "position",
    "local_topic_id",
    "is_small_talk",
)
_TABLE, _VECTORS = "sentences.arrow", "vectors.bin"
_ROW = "vector_row"


@dataclass(frozen=True)
class QuarterSentences:
    """Sentences in rows, ordered by firm, call and position.

    ``kept`` names the rows that are no small talk; ``vectors`` holds theirs, of shape
    (len(kept), dimensions), one signed byte a dimension.
    """

    table: pa.Table
    kept: npt.NDArray[np.int64]
    vectors: Bytes

    def codes(self, column: str) -> npt.NDArray[np.int64]:
        """The kept rows' values of a text column as numbers, equal for equal values."""
        encoded = self.table[column].combine_chunks().dictionary_encode()
        return np.asarray(encoded.indices, np.int64)[self.kept]

    def blocks(self) -> Iterator[slice]:
        """Ranges of the kept rows, BLOCK at a time."""
        for start in range(0, len(self.kept), BLOCK):
            yield slice(start, min(start + BLOCK, len(self.kept)))


def write_sentences(copies: PartCopies) -> int:
    """Collect the sentences of a run into files in its folder; returns the number of sentences."""
    folder = copies.folder
    parts: list[pa.Table] = []
    n_vectors = 0
    with (folder / _VECTORS).open("wb") as file:
        for part in copies.sentences():
            vectors = compact_vectors.from_arrow(part["vector"])
            file.write(vectors.tobytes())
            has_vector = part["vector"].is_valid().to_numpy()
            rows = np.where(has_vector, n_vectors + np.cumsum(has_vector) - 1, -1)
            n_vectors += len(vectors)
            parts.append(part.select(_COLUMNS).append_column(_ROW, pa.array(rows, pa.int64())))
    if not parts:
        return 0
    table = pa.concat_tables([part.replace_schema_metadata(None) for part in parts])
    by = [(name, "ascending") for name in ("firm_id", "transcript_id", "position")]
    table = table.sort_by(by).combine_chunks()
    with pa.OSFile(str(folder / _TABLE), "wb") as sink, pa.ipc.new_file(sink, table.schema) as out:
        out.write_table(table)
    return int(table.num_rows)


def read_sentences(folder: Path) -> QuarterSentences:
    """Read what ``write_sentences`` wrote; the files must stay while the result is used."""
    table = pa.ipc.open_file(pa.memory_map(str(folder / _TABLE))).read_all()
    rows = table[_ROW].to_numpy()
    kept = np.flatnonzero(rows >= 0)
    if not len(kept):
        return QuarterSentences(table, kept, np.zeros((0, 0), np.int8))
    flat = np.memmap(folder / _VECTORS, np.int8, "r")
    vectors = np.asarray(flat.reshape(len(kept), -1)[rows[kept]])
    return QuarterSentences(table, kept, vectors)
