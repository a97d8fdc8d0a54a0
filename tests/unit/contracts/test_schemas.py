"""Schemas: rows that fit make a stamped table; rows and tables that do not are refused by name."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftm_core.contracts import schemas
from ftm_core.contracts.errors import InputError

ALL = {name: value for name, value in vars(schemas).items() if isinstance(value, pa.Schema)}


def values(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Values of an Arrow type."""
    if pa.types.is_string(kind):
        return st.text(max_size=10)
    if pa.types.is_boolean(kind):
        return st.booleans()
    if pa.types.is_binary(kind):
        return st.binary(max_size=8)
    if pa.types.is_int32(kind):
        return st.integers(-(2**31), 2**31 - 1)
    if pa.types.is_int64(kind):
        return st.integers(-(2**63), 2**63 - 1)
    if pa.types.is_float32(kind):
        return st.floats(width=32, allow_nan=False)
    if pa.types.is_float64(kind):
        return st.floats(allow_nan=False)
    if pa.types.is_date32(kind):
        return st.dates()
    if pa.types.is_timestamp(kind):
        return st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(2200, 1, 1)).map(
            lambda moment: moment.replace(tzinfo=dt.UTC)
        )
    if pa.types.is_list(kind):
        return st.lists(values(kind.value_type), max_size=3)
    assert pa.types.is_struct(kind), kind
    return st.fixed_dictionaries({field.name: values(field.type) for field in kind})


def rows(schema: pa.Schema) -> st.SearchStrategy[dict[str, Any]]:
    """Rows that fit a schema, with nulls where it allows them."""
    return st.fixed_dictionaries(
        {
            field.name: (st.none() | values(field.type)) if field.nullable else values(field.type)
            for field in schema
        }
    )


@pytest.mark.parametrize("name", sorted(ALL))
@settings(max_examples=20)
@given(data=st.data())
def test_rows_that_fit_come_back_unchanged(name: str, data: st.DataObject) -> None:
    schema = ALL[name]
    given_rows = data.draw(st.lists(rows(schema), max_size=4))

    table = schemas.table_from_rows(given_rows, schema, run_id="run-1", where="t")

    assert table.to_pylist() == given_rows
    assert table.schema.equals(schema)
    metadata = schemas.metadata_of(table.schema, where="t")
    assert (metadata.schema_version, metadata.run_id) == (schemas.SCHEMA_VERSION, "run-1")
    schemas.check_columns(table, schema, where="t")


@pytest.mark.parametrize("name", sorted(ALL))
@settings(max_examples=20)
@given(data=st.data())
def test_a_null_in_a_required_column_is_refused(name: str, data: st.DataObject) -> None:
    schema = ALL[name]
    good = data.draw(st.lists(rows(schema), min_size=1, max_size=3))
    column = data.draw(st.sampled_from([field.name for field in schema if not field.nullable]))
    bad = data.draw(st.sampled_from(good))
    bad[column] = None

    with pytest.raises(
        InputError, match=rf"The column {column} of file is required, but has null values \(1\)"
    ):
        schemas.table_from_rows(good, schema, run_id="r", where="file")


@pytest.mark.parametrize("name", sorted(ALL))
@settings(max_examples=20)
@given(data=st.data())
def test_a_missing_or_unknown_column_is_refused(name: str, data: st.DataObject) -> None:
    schema = ALL[name]
    good = data.draw(rows(schema))
    column = data.draw(st.sampled_from(schema.names))
    lacking = {key: value for key, value in good.items() if key != column}

    with pytest.raises(InputError, match=rf"The table file .* in row 1 .*missing \['{column}'\]"):
        schemas.table_from_rows([good, lacking], schema, run_id="r", where="file")
    with pytest.raises(InputError, match=r"The table file .* in row 0 .*unknown \['no_such'\]"):
        schemas.table_from_rows([{**good, "no_such": 1}], schema, run_id="r", where="file")


class Odd:
    """A value of no Arrow type."""


WRONG: dict[str, list[Any]] = {
    "string": [1, b"\xff", 1.5, ["a"], dt.date(2023, 1, 1), Odd()],
    "int32": ["1", 1.5, True, 2**31, [1], dt.date(2023, 1, 1), Odd()],
    "int64": ["1", 1.5, 2**63, [1], Odd()],
    "date32[day]": ["2023-01-01", 1.5, [1], Odd()],
    "timestamp[us, tz=UTC]": ["2023-01-01", 1, [1], Odd()],
    "list<element: string not null>": ["text", [1], 1, {"a": 1}, Odd()],
}


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, wrong in WRONG.items() for value in wrong]
)
def test_a_value_of_another_type_is_refused(kind: str, value: object) -> None:
    field = next(field for field in schemas.FIRM_TOPICS if str(field.type) == kind)
    schema = pa.schema([field])

    with pytest.raises(
        InputError, match=f"The column {field.name} of file has a value that is not"
    ):
        schemas.table_from_rows([{field.name: value}], schema, run_id="r", where="file")


@pytest.mark.parametrize("value", ["text", 1, [1], True])
def test_a_value_that_is_no_bytes_is_refused(value: object) -> None:
    schema = pa.schema([schemas.MAP_SENTENCES.field("vector")])
    with pytest.raises(
        InputError, match="The column vector of file has a value that is not binary"
    ):
        schemas.table_from_rows([{"vector": value}], schema, run_id="r", where="file")


def themes() -> pa.Table:
    row = {"theme_id": "t", "name": "n", "label": "l", "description": "d", "keywords": ["k"],
           "kind": "subject", "group_id": 0, "group_name": "g", "n_firms": 2, "n_topics": 1,
           "n_sentences": 3, "quarter": "2023Q1"}  # fmt: skip
    return schemas.table_from_rows([row], schemas.THEMES, run_id="r", where="t")


def test_a_table_with_other_columns_or_types_is_refused() -> None:
    table = themes()
    for changed, message in (
        (table.drop_columns(["name"]), "has the columns"),
        (table.select([*table.column_names[::-1]]), "has the columns"),
        (table.append_column("more", pa.array([1])), "has the columns"),
        (
            table.set_column(table.column_names.index("n_topics"), "n_topics", pa.array([1.0])),
            "The column n_topics of file is of type double",
        ),
    ):
        with pytest.raises(InputError, match=message):
            schemas.check_columns(changed, schemas.THEMES, where="file")
        with pytest.raises(InputError, match=message):
            schemas.stamp(changed, schemas.THEMES, run_id="r", where="file")


def test_a_table_of_another_version_or_maker_is_refused() -> None:
    schema = themes().schema
    newer = schema.with_metadata({**schema.metadata, schemas.VERSION_KEY: b"99"})

    with pytest.raises(
        InputError, match=f"has schema version 99, but this ftm reads {schemas.SCHEMA_VERSION}"
    ):
        schemas.metadata_of(newer, where="file")
    for key in (schemas.VERSION_KEY, schemas.RUN_KEY):
        left = {name: value for name, value in schema.metadata.items() if name != key}
        with pytest.raises(InputError, match="not written by ftm"):
            schemas.metadata_of(schema.with_metadata(left), where="file")
    with pytest.raises(InputError, match="not written by ftm"):
        schemas.metadata_of(schema.remove_metadata(), where="file")
