"""Local copies of a run's map output, so that each part is read from storage once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ftm_core.contracts import keys, schemas
from ftm_core.contracts.records import Checkpoint
from ftm_core.data.catalog import PARTED_TABLES
from ftm_core.data.map_output import MapOutput
from ftm_core.storage import Storage, tables


@dataclass(frozen=True)
class PartCopies:
    """Reads the parts of ``output``; what was read stays in ``folder``, less its vectors."""

    storage: Storage
    output: MapOutput
    folder: Path

    def fetch(self, key: str, schema: pa.Schema) -> pa.Table:
        """A whole part from storage; a copy without its vectors stays in the folder."""
        table = tables.read_table(self.storage, key, schema, run_id=self.output.run_id)
        plain = table.drop_columns(["vector"]).replace_schema_metadata(None)
        copy = self._copy(key)
        with pa.OSFile(str(copy), "wb") as sink, pa.ipc.new_file(sink, plain.schema) as out:
            out.write_table(plain)
        return table

    def read(self, key: str, schema: pa.Schema) -> pa.Table:
        """A part without its vectors: the copy, or the part itself when there is none yet."""
        copy = self._copy(key)
        if not copy.exists():
            self.fetch(key, schema)
        return pa.ipc.open_file(pa.memory_map(str(copy))).read_all()

    def of_batch(self, point: Checkpoint, name: str) -> list[pa.Table]:
        """The parts of ``map_sentences`` or ``firm_topics`` that a batch wrote, without vectors."""
        key_of = {"map_sentences": keys.sentences_part, "firm_topics": keys.firm_topics_part}[name]
        return [
            self.read(key_of(self.output.quarter, point.batch_id, part.number), PARTED_TABLES[name])
            for part in point.parts
        ]

    def sentences(self) -> Iterator[pa.Table]:
        """The parts of MAP_SENTENCES with their vectors, in order."""
        return (self.fetch(key, schemas.MAP_SENTENCES) for key in self.output.sentence_keys())

    def topics(self) -> pa.Table:
        """All topics without their vectors, ordered by firm and topic number."""
        parts = [self.read(key, schemas.FIRM_TOPICS) for key in self.output.topic_keys()]
        plain = pa.schema([field for field in schemas.FIRM_TOPICS if field.name != "vector"])
        return pa.concat_tables([plain.empty_table(), *parts]).sort_by(
            [("firm_id", "ascending"), ("local_topic_id", "ascending")]
        )

    def _copy(self, key: str) -> Path:
        return self.folder / f"{key.replace('/', '_')}.arrow"
