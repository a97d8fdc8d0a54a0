"""Read what the theme level sees of each topic: its texts and its leading sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ftm_core.contracts import schemas
from ftm_core.contracts.errors import InputError
from ftm_core.data.map_output import MapOutput, iterate_sentences
from ftm_core.storage import Storage, tables
from ftm_core.themes.theme_model import SENTENCES_PER_TOPIC, TopicPoint
from ftm_core.topics.embedding import Vectors

_COLUMNS = ("topic_id", "firm_id", "summary", "keywords")


def read_points(storage: Storage, output: MapOutput, topics: pa.Table) -> list[TopicPoint]:
    """The points of ``topics`` (rows of FIRM_TOPICS), in their order.

    Of the sentences only the leading ones are kept, read part by part. Raises InputError when a
    sentence that a topic names is not in the map output.
    """
    leading = pc.list_slice(topics["sentence_ids"], 0, SENTENCES_PER_TOPIC)
    texts = _texts(storage, output, pc.list_flatten(leading).combine_chunks())
    points = []
    for row, named in zip(topics.select(_COLUMNS).to_pylist(), leading.to_pylist(), strict=True):
        try:
            sentences = tuple(texts[name] for name in named)
        except KeyError as error:
            raise InputError(
                f"topic {row['topic_id']}",
                f"names sentence {error}, which is not in the map output",
                f"Run `ftm run --quarter {output.quarter} --restart`.",
            ) from None
        points.append(
            TopicPoint(
                row["topic_id"], row["firm_id"], row["summary"], tuple(row["keywords"]), sentences
            )
        )
    return points


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
            f"topic {missing}",
            "is not in the map output",
            f"Run `ftm run --quarter {output.quarter} --restart`.",
        )
    return read_vectors(found.take(places))


def _texts(storage: Storage, output: MapOutput, wanted: pa.Array) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in iterate_sentences(storage, output):
        kept = part.filter(pc.is_in(part["sentence_id"], value_set=wanted))
        found.update(
            zip(kept["sentence_id"].to_pylist(), kept["raw_text"].to_pylist(), strict=True)
        )
    return found
