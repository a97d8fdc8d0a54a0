"""Where a command works: the data folder or bucket it means."""

from __future__ import annotations

from pathlib import Path

from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.storage import Storage, open_storage

DEFAULT_DATA = "data"


def open_data(data: str | None) -> Storage:
    """Storage for ``--data``; a folder named ``data`` here when it is not given."""
    return open_storage(data or str(Path(DEFAULT_DATA)))


def latest_quarter(storage: Storage, prefix: str) -> Quarter:
    """The latest quarter with anything under ``prefix``; raises InputError when there is none."""
    from ftm_core.contracts import keys

    found = keys.quarters_in(list(storage.list(prefix)))
    if not found:
        raise InputError(
            storage.uri, "holds no quarter yet", "Run `ftm run --quarter Q` first, or name --data."
        )
    return found[-1]
