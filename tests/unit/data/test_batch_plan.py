"""The plan of a quarter."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ftm_core.contracts.records import Manifest
from ftm_core.data.batch_plan import plan_batches


def manifest(n_firms: int, firms_per_chunk: int) -> Manifest:
    return Manifest(
        quarter="2023Q1",
        source="made for this test",
        source_sha256="0" * 64,
        n_firms=n_firms,
        n_calls=n_firms,
        n_sentences=n_firms,
        n_rejected_rows=0,
        n_firms_without_permno=0,
        chunks=(),
        firm_to_chunk={f"F{n:05d}": n // firms_per_chunk for n in range(n_firms)},
        created="2023-04-01T00:00:00+00:00",
    )


@given(st.integers(0, 500), st.integers(1, 200), st.integers(1, 300))
def test_every_firm_is_in_exactly_one_batch_of_at_most_the_size(
    n_firms: int, firms_per_chunk: int, batch_size: int
) -> None:
    batches = plan_batches(manifest(n_firms, firms_per_chunk), batch_size)

    planned = [firm for batch in batches for firm in batch.firm_ids]
    assert sorted(planned) == sorted(f"F{n:05d}" for n in range(n_firms))
    assert len(set(planned)) == n_firms
    assert all(0 < len(batch.firm_ids) <= batch_size for batch in batches)
    assert [batch.batch_id for batch in batches] == [
        f"2023Q1_batch_{n:04d}" for n in range(len(batches))
    ]


def test_max_firms_takes_the_first_ones() -> None:
    batches = plan_batches(manifest(30, 10), batch_size=7, max_firms=12)

    assert sum(len(batch.firm_ids) for batch in batches) == 12
