"""Read the vectors of topics from the map output, for the report's map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ftm_core.contracts import schemas
from ftm_core.contracts.errors import InputError
from ftm_core.data.map_output import MapOutput
from ftm_core.storage import Storage, tables
from ftm_core.topics.embedding import Vectors


def read_vectors(topics: pa.Table) -> Vectors:
    """The vectors of ``topics`` (rows of FIRM_TOPICS), of shape (topics, dimensions)."""
    flat = pc.list_flatten(topics["vector"]).to_numpy()
    return np.ascontiguousarray(flat.reshape(topics.num_rows, -1) if topics.num_rows else flat)


def vectors_of(storage: Storage, output: MapOutput, topic_ids: Sequence[str]) -> Vectors:
    """The vectors of some topics, in the order of their ids, read part by part.

    Raises InputError when one of them is not in the map output.
    """
    wanted = pa.array(topic_ids, pa.string())
    parts = tables.iterate_tables(
        storage,
        output.topic_keys(),
        schemas.FIRM_TOPICS,
        columns=["topic_id", "vector"],
        run_id=output.run_id,
    )
    kept = [part.filter(pc.is_in(part["topic_id"], value_set=wanted)) for part in parts]
    found = pa.concat_tables(kept) if kept else schemas.FIRM_TOPICS.empty_table()
    places = pc.index_in(wanted, value_set=found["topic_id"].combine_chunks())
    if places.null_count:
        missing = topic_ids[places.is_null().to_pylist().index(True)]
        raise InputError(
            f"The topic {missing}",
            "is not in the map output",
            f"Run `ftm run --quarter {output.quarter} --restart` to make both again.",
        )
    return read_vectors(found.take(places))
