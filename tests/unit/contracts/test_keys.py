"""Keys: the exact names that buckets already hold and downstream joins depend on."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftm_core.contracts import keys
from ftm_core.contracts.quarters import Quarter
from ftm_core.storage.base import checked_key

Q = Quarter(2023, 1)
BATCH = "2023Q1_batch_0007"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (keys.transcripts_chunk(Q, 3), "prefetch/transcripts/quarter=2023Q1/chunk_0003.parquet"),
        (keys.transcripts_manifest(Q), "prefetch/transcripts/quarter=2023Q1/manifest.json"),
        (keys.run_identity(Q), "progress/2023Q1/run.json"),
        (keys.batches(Q), "progress/2023Q1/batches.json"),
        (keys.batch_id(Q, 7), BATCH),
        (keys.checkpoint(Q, BATCH), f"progress/2023Q1/{BATCH}_checkpoint.json"),
        (keys.failures(Q, BATCH), f"progress/2023Q1/{BATCH}_failures.json"),
        (
            keys.firm_topics_part(Q, BATCH, 2),
            f"intermediate/firm-topics/quarter=2023Q1/{BATCH}_part_0002.parquet",
        ),
        (
            keys.sentences_part(Q, BATCH, 2),
            f"intermediate/sentences/quarter=2023Q1/{BATCH}_part_0002.parquet",
        ),
        (keys.themes(Q), "processed/themes/quarter=2023Q1/themes.parquet"),
        (
            keys.theme_contributions(Q),
            "processed/themes/quarter=2023Q1/theme_contributions.parquet",
        ),
        (keys.processed_table("firms", Q), "processed/firms/quarter=2023Q1/firms.parquet"),
        (
            keys.sentiment_ready(Q),
            "sentiment-ready/quarter=2023Q1/themes_for_sentiment.parquet",
        ),
    ],
)
def test_names_are_exact(made: str, expected: str) -> None:
    assert made == expected


def all_keys(quarter: Quarter) -> dict[str, str]:
    """The result of every key function for one quarter."""
    fill = {"quarter": quarter, "number": 1, "batch": "batch", "table": "firms"}
    made = {}
    for name, function in inspect.getmembers(keys, inspect.isfunction):
        wanted = inspect.signature(function).parameters
        if function.__module__ == keys.__name__ and set(wanted) <= set(fill):
            made[name] = function(**{parameter: fill[parameter] for parameter in wanted})
    return made


def test_every_key_can_be_held_by_every_storage_and_is_its_own() -> None:
    made = all_keys(Q)
    assert len(made) > 20
    for name, key in made.items():
        checked_key(f"{key}x" if name.endswith("prefix") else key)
    assert len(set(made.values())) == len(made)


def test_no_key_of_one_quarter_lies_in_another() -> None:
    ours, theirs = all_keys(Q), all_keys(Quarter(2023, 2))
    # The panel is of all quarters: its key is the only one that names none.
    assert ours.pop("panel_themes") == theirs.pop("panel_themes")
    for name, key in ours.items():
        assert str(Q) in key, name
        assert not any(other.startswith(key) for other in theirs.values())


@given(st.sets(st.builds(Quarter, st.integers(1, 9999), st.integers(1, 4)), max_size=5))
def test_quarters_are_found_in_keys(quarters: set[Quarter]) -> None:
    listed = [keys.themes(quarter) for quarter in quarters] * 2 + ["progress/2001Q1/run.json", "x"]

    assert keys.quarters_in(listed) == sorted(quarters)
