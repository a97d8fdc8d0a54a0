"""Arrow schemas of every table, how rows become a table, and how a reader checks its version."""

from __future__ import annotations

import datetime as dt
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ftm_core.contracts.errors import InputError

SCHEMA_VERSION = "2"
VERSION_KEY = b"ftm.schema_version"
RUN_KEY = b"ftm.run_id"


def _field(name: str, kind: pa.DataType, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable)


_TEXT = pa.string()
_INT = pa.int32()
_DATE = pa.date32()
_STRINGS = pa.list_(pa.field("element", pa.string(), nullable=False))
_VECTOR = pa.list_(pa.field("element", pa.float32(), nullable=False))

TRANSCRIPTS = pa.schema(
    [
        _field("firm_id", _TEXT),
        _field("firm_name", _TEXT),
        _field("ticker", _TEXT, nullable=True),
        _field("permno", pa.int64(), nullable=True),
        _field("gvkey", _TEXT, nullable=True),
        _field("link_date", _DATE, nullable=True),
        _field("transcript_id", _TEXT),
        _field("earnings_call_date", _DATE),
        _field("sentence_id", _TEXT),
        _field("raw_text", _TEXT),
        _field("speaker_type", _TEXT),
        _field("position", _INT),
        _field("quarter", _TEXT),
    ]
)

FIRM_TOPICS = pa.schema(
    [
        _field("firm_id", _TEXT),
        _field("firm_name", _TEXT),
        _field("quarter", _TEXT),
        _field("permno", pa.int64(), nullable=True),
        _field("gvkey", _TEXT, nullable=True),
        _field("earnings_call_date", _DATE),
        _field("topic_id", _TEXT),
        _field("local_topic_id", _INT),
        _field("representation", _TEXT),
        _field("summary", _TEXT),
        _field("naming_method", _TEXT),
        # How the summary came about: written by the LLM, or selected from the topic's sentences.
        _field("summary_mode", _TEXT),
        _field("keywords", _STRINGS),
        _field("n_sentences", _INT),
        _field("sentence_ids", _STRINGS),
        # Texts of the first of ``sentence_ids``, the most representative ones.
        _field("leading_sentences", _STRINGS),
        _field("processing_timestamp", pa.timestamp("us", tz="UTC")),
        _field("llm_model", _TEXT),
        _field("prompt_version", _TEXT),
        # The mean of the topic's sentence vectors, of length 1: where the report's map places it.
        _field("vector", _VECTOR),
    ]
)

_SENTENCE_FIELDS = [
    _field("sentence_id", _TEXT),
    _field("firm_id", _TEXT),
    _field("permno", pa.int64(), nullable=True),
    _field("transcript_id", _TEXT),
    _field("earnings_call_date", _DATE),
    _field("raw_text", _TEXT),
    _field("speaker_type", _TEXT),
    _field("position", _INT),
    _field("local_topic_id", _INT),
    _field("is_small_talk", pa.bool_()),
    _field("quarter", _TEXT),
]

# Map output. ``vector`` is one signed byte a dimension (ftm_core.topics.compact_vectors), null for
# small talk, which gets no vector.
MAP_SENTENCES = pa.schema([*_SENTENCE_FIELDS, _field("vector", pa.binary(), nullable=True)])

SENTENCES = pa.schema([*_SENTENCE_FIELDS, _field("theme_id", _TEXT, nullable=True)])

THEMES = pa.schema(
    [
        _field("theme_id", _TEXT),
        _field("name", _TEXT),
        _field("label", _TEXT),
        _field("description", _TEXT),
        _field("keywords", _STRINGS),
        _field("kind", _TEXT),
        _field("group_id", _INT),
        _field("group_name", _TEXT),
        _field("n_firms", _INT),
        _field("n_topics", _INT),
        _field("n_sentences", _INT),
        _field("quarter", _TEXT),
    ]
)

# Where each theme lies among the sentences, in the order of THEMES: links quarters.
THEME_DIRECTIONS = pa.schema(
    [_field("theme_id", _TEXT), _field("direction", _VECTOR), _field("quarter", _TEXT)]
)

THEME_CONTRIBUTIONS = pa.schema(
    [
        _field("theme_id", _TEXT),
        _field("firm_id", _TEXT),
        _field("firm_name", _TEXT),
        _field("permno", pa.int64(), nullable=True),
        _field("gvkey", _TEXT, nullable=True),
        _field("earnings_call_date", _DATE),
        _field("topic_id", _TEXT),
        _field("n_sentences", _INT),
        _field("quarter", _TEXT),
    ]
)

# What an event study joins: how much of one call is about one theme. Every sentence of the call in
# the theme counts, with or without a topic; ``share`` is of the sentences that are not small talk.
THEME_EXPOSURES = pa.schema(
    [
        _field("theme_id", _TEXT),
        _field("firm_id", _TEXT),
        _field("firm_name", _TEXT),
        _field("permno", pa.int64(), nullable=True),
        _field("gvkey", _TEXT, nullable=True),
        _field("transcript_id", _TEXT),
        _field("earnings_call_date", _DATE),
        _field("n_sentences", _INT),
        _field("share", pa.float64()),
        _field("leading_sentence_ids", _STRINGS),
        _field("quarter", _TEXT),
    ]
)

# Which theme of which quarter is which theme of the panel; rows are only ever added.
PANEL_THEMES = pa.schema(
    [
        _field("panel_theme_id", _TEXT),
        _field("theme_id", _TEXT),
        _field("quarter", _TEXT),
        _field("name", _TEXT),
        _field("similarity", pa.float64(), nullable=True),
        _field("direction", _VECTOR),
        _field("run_id", _TEXT),
    ]
)

FIRMS = pa.schema(
    [
        _field("firm_id", _TEXT),
        _field("firm_name", _TEXT),
        _field("ticker", _TEXT, nullable=True),
        _field("gvkey", _TEXT, nullable=True),
        _field("permno", pa.int64(), nullable=True),
        _field("link_date", _DATE, nullable=True),
        _field("earnings_call_date", _DATE),
        _field("quarter", _TEXT),
        _field("n_sentences", _INT),
        _field("n_topics", _INT),
    ]
)

# All but the vector, which only the reduce has a use for.
TOPIC_COLUMNS = tuple(name for name in FIRM_TOPICS.names if name != "vector")
TOPICS = pa.schema(
    [*map(FIRM_TOPICS.field, TOPIC_COLUMNS), _field("theme_id", _TEXT, nullable=True)]
)

_SENTENCE_STRUCT = pa.struct(
    [
        _field("sentence_id", _TEXT),
        _field("text", _TEXT),
        _field("speaker_type", _TEXT),
        _field("position", _INT),
    ]
)

THEMES_FOR_SENTIMENT = pa.schema(
    [
        _field("theme_id", _TEXT),
        _field("theme_name", _TEXT),
        _field("theme_description", _TEXT, nullable=True),
        _field("theme_keywords", _STRINGS),
        _field("firm_id", _TEXT),
        _field("firm_name", _TEXT),
        _field("permno", pa.int64()),
        _field("gvkey", _TEXT, nullable=True),
        _field("earnings_call_date", _DATE),
        _field("link_date", _DATE, nullable=True),
        _field("topic_id", _TEXT),
        _field("topic_summary", _TEXT, nullable=True),
        _field("sentences", pa.list_(pa.field("element", _SENTENCE_STRUCT, nullable=False))),
        _field("n_sentences", _INT),
        _field("quarter", _TEXT),
    ]
)


@dataclass(frozen=True)
class TableMetadata:
    """What the Parquet metadata of one of our tables says of its origin."""

    schema_version: str
    run_id: str


def table_from_rows(
    rows: Iterable[Mapping[str, Any]], schema: pa.Schema, *, run_id: str, where: str
) -> pa.Table:
    """Build a table that meets ``schema`` to the letter, stamped with version and run.

    Raises InputError naming ``where`` and the column when a value has the wrong type, a required
    value is null, or a row lacks or adds a column.
    """
    materialised = list(rows)
    names = set(schema.names)
    for number, row in enumerate(materialised):
        if set(row) != names:
            missing, extra = sorted(names - set(row)), sorted(set(row) - names)
            raise InputError(
                f"The table {where}",
                f"has other columns than its schema in row {number} "
                f"(missing {missing}, unknown {extra})",
                "Pass exactly the columns of the table's schema.",
            )
    arrays = []
    for field in schema:
        values = [row[field.name] for row in materialised]
        try:
            _require_kind(values, field.type)
            arrays.append(pa.array(values, type=field.type))
        except (pa.ArrowException, OverflowError, TypeError) as error:
            raise InputError(
                f"The column {field.name} of {where}",
                f"has a value that is not {field.type} ({error})",
                "Correct the value in the source.",
            ) from error
    return stamp(pa.Table.from_arrays(arrays, schema=schema), schema, run_id=run_id, where=where)


def _require_kind(values: Iterable[Any], kind: pa.DataType) -> None:
    """Raise TypeError for what Arrow would convert in silence.

    Examples are 1.5 to 1, a text to a list of its letters, and a text to bytes.
    """
    wanted: type | tuple[type, ...]
    if pa.types.is_integer(kind):
        wanted = numbers.Integral
    elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        wanted = dt.date
    elif pa.types.is_list(kind):
        wanted = (list, tuple)
    elif pa.types.is_binary(kind):
        wanted = bytes
    else:
        return
    for value in values:
        if value is not None and (isinstance(value, bool) or not isinstance(value, wanted)):
            raise TypeError(f"{value!r} is {type(value).__name__}")


def stamp(table: pa.Table, schema: pa.Schema, *, run_id: str, where: str) -> pa.Table:
    """Check ``table`` against ``schema`` and put version and run into its metadata."""
    check_columns(table, schema, where=where)
    for field in schema:
        if not field.nullable and table.column(field.name).null_count:
            raise InputError(
                f"The column {field.name} of {where}",
                f"is required, but has null values ({table.column(field.name).null_count})",
                "Give every row a value.",
            )
    return table.cast(schema).replace_schema_metadata(
        {VERSION_KEY: SCHEMA_VERSION.encode(), RUN_KEY: run_id.encode()}
    )


def check_columns(table: pa.Table, schema: pa.Schema, *, where: str) -> None:
    """Raise InputError unless ``table`` has the columns and types of ``schema``, in its order."""
    if table.schema.names != schema.names:
        raise InputError(
            f"The table {where}",
            f"has the columns {table.schema.names}, but {schema.names} are expected",
            "Produce the table again with this version of ftm.",
        )
    for field in schema:
        actual = table.schema.field(field.name).type
        if actual != field.type:
            raise InputError(
                f"The column {field.name} of {where}",
                f"is of type {actual}, but {field.type} is expected",
                "Produce the table again with this version of ftm.",
            )


def metadata_of(schema: pa.Schema, *, where: str) -> TableMetadata:
    """Read version and run from a table's metadata.

    Raises InputError when they are absent (not one of our tables) or of another version (the
    reader is too old or the table is).
    """
    metadata = schema.metadata or {}
    if VERSION_KEY not in metadata or RUN_KEY not in metadata:
        raise InputError(
            f"The table {where}",
            "has no ftm.schema_version and ftm.run_id in its metadata",
            "It was not written by ftm, or another tool rewrote it: produce it again.",
        )
    version = metadata[VERSION_KEY].decode()
    if version != SCHEMA_VERSION:
        raise InputError(
            f"The table {where}",
            f"has schema version {version}, but this ftm reads {SCHEMA_VERSION}",
            "Produce it again with this ftm, or read it with the ftm that wrote it.",
        )
    return TableMetadata(version, metadata[RUN_KEY].decode())
