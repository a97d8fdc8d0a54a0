"""The plan of a quarter: its firms cut into batches, written where the distributed Map reads it."""

from __future__ import annotations

from ftm_core.contracts import keys
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.records import Batch, Manifest, to_json
from ftm_core.data.json_records import read_records
from ftm_core.storage import Storage


def batch_id(quarter: Quarter, number: int) -> str:
    """Name of the quarter's batch with that number."""
    return keys.batch_id(quarter, number)


def plan_batches(manifest: Manifest, batch_size: int, max_firms: int | None = None) -> list[Batch]:
    """Cut the firms into batches, in the order of the chunks, so that a batch reads few chunks."""
    quarter = Quarter.parse(manifest.quarter)
    firms = sorted(manifest.firm_to_chunk, key=lambda firm: (manifest.firm_to_chunk[firm], firm))
    firms = firms[:max_firms]
    return [
        Batch(batch_id(quarter, number), manifest.quarter, tuple(firms[start:][:batch_size]))
        for number, start in enumerate(range(0, len(firms), batch_size))
    ]


def write_plan(storage: Storage, quarter: Quarter, batches: list[Batch]) -> None:
    """Write the plan."""
    storage.write(keys.batches(quarter), to_json(batches))


def read_plan(storage: Storage, quarter: Quarter) -> list[Batch] | None:
    """The plan, or None when the quarter has none yet."""
    return read_records(storage, keys.batches(quarter), Batch)
