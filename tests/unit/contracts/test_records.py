"""Records: read back as written; torn, foreign or mistyped JSON refused by file and place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftm_core.contracts import records
from ftm_core.contracts.errors import InputError

TEXT = st.text(max_size=20)
NUMBER = st.integers(0, 2**31)
FIRMS = st.lists(TEXT, max_size=4).map(tuple)

PARTS = st.builds(records.Part, NUMBER, FIRMS, NUMBER, NUMBER)
FAILURES = st.builds(records.Failure, TEXT, TEXT, TEXT, NUMBER, TEXT, st.none() | TEXT)
CHUNKS = st.builds(records.ChunkRecord, TEXT, TEXT, NUMBER, NUMBER)
OWNERS = st.builds(
    records.LeaseOwner, TEXT, TEXT, NUMBER, st.floats(0, 2e9, allow_nan=False), TEXT, TEXT
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ANY_RECORD = st.one_of(
    st.builds(records.Batch, TEXT, TEXT, FIRMS),
    st.builds(
        records.Checkpoint, TEXT, TEXT, TEXT, FIRMS, st.lists(PARTS, max_size=3).map(tuple), TEXT
    ),
    st.builds(
        records.FailuresManifest, TEXT, TEXT, NUMBER,
        st.lists(FAILURES, max_size=3).map(tuple), TEXT,
    ),
    st.builds(
        records.RunIdentity, TEXT, TEXT, TEXT, st.dictionaries(TEXT, JSON, max_size=3), TEXT,
        st.none() | TEXT, st.none() | OWNERS,
    ),
    st.builds(
        records.Manifest, TEXT, TEXT, TEXT, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER,
        st.lists(CHUNKS, max_size=3).map(tuple), st.dictionaries(TEXT, NUMBER, max_size=3), TEXT,
    ),
)  # fmt: skip


@given(ANY_RECORD)
def test_a_record_is_read_back_as_it_was(record: Any) -> None:
    assert records.from_json(type(record), records.to_json(record), where="r.json") == record


@given(st.lists(st.builds(records.Batch, TEXT, TEXT, FIRMS), max_size=4))
def test_a_list_is_a_plain_json_array(batches: list[records.Batch]) -> None:
    data = records.to_json(batches)

    # The distributed Map reads the plan as it is.
    assert [item["batch_id"] for item in json.loads(data)] == [b.batch_id for b in batches]
    assert records.list_from_json(records.Batch, data, where="batches.json") == batches


@given(ANY_RECORD, st.data())
def test_torn_json_is_refused_by_name(record: Any, data: st.DataObject) -> None:
    whole = records.to_json(record)
    cut = data.draw(st.integers(0, len(whole.rstrip()) - 1))

    with pytest.raises(InputError) as caught:
        records.from_json(type(record), whole[:cut], where="progress/2023Q1/r.json")
    assert caught.value.where == "The file progress/2023Q1/r.json"
    assert "--restart" in caught.value.hint


@given(ANY_RECORD, TEXT)
def test_unknown_fields_are_refused_by_name(record: Any, name: str) -> None:
    plain = json.loads(records.to_json(record))
    if name in plain:
        return
    plain[name] = 1

    with pytest.raises(InputError, match="not a valid record"):
        records.from_json(type(record), json.dumps(plain).encode(), where="r.json")


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"", ""),
        (b"null", ""),
        (b"[]", ""),
        (b"\xff\xfe", ""),
        (b'{"batch_id": "b", "quarter": "q"}', "firm_ids"),
        (b'{"batch_id": 1, "quarter": "q", "firm_ids": []}', "batch_id"),
        (b'{"batch_id": "b", "quarter": "q", "firm_ids": ["a", 2]}', "firm_ids.1"),
        (b'{"batch_id": "b", "quarter": "q", "firm_ids": null}', "firm_ids"),
    ],
)
def test_the_place_of_a_fault_is_named(data: bytes, place: str) -> None:
    with pytest.raises(InputError) as caught:
        records.from_json(records.Batch, data, where="b.json")
    assert caught.value.where == "The file b.json"
    assert place in caught.value.cause


def test_the_item_of_a_list_is_named() -> None:
    data = b'[{"batch_id": "b", "quarter": "q", "firm_ids": []}, {"batch_id": "b"}]'

    with pytest.raises(InputError, match=r"b\.json .*1\.quarter"):
        records.list_from_json(records.Batch, data, where="b.json")


def test_records_do_not_change() -> None:
    batch = records.Batch("b", "2023Q1", ("F0",))

    with pytest.raises(AttributeError):
        batch.quarter = "2023Q2"  # type: ignore[misc]


def test_now_is_in_utc_to_the_second() -> None:
    assert records.utc_now().endswith("+00:00")
    assert "." not in records.utc_now()
