"""Which quarters a data location has."""

from __future__ import annotations

from ftm_core.contracts import keys
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.storage import Storage


def quarters_with_transcripts(storage: Storage) -> list[Quarter]:
    """Quarters whose transcripts are ingested, oldest first."""
    found = storage.list("prefetch/transcripts/")
    return keys.quarters_in([key for key in found if key.endswith("/manifest.json")])


def quarters_with_themes(storage: Storage) -> list[Quarter]:
    """Quarters that have a table of themes, oldest first."""
    return keys.quarters_in(list(storage.list("processed/themes/")))


def quarters_with_runs(storage: Storage) -> list[Quarter]:
    """Quarters with a run, finished or not, oldest first."""
    found = set()
    for key in storage.list("progress/"):
        name = key.removeprefix("progress/").partition("/")[0]
        try:
            found.add(Quarter.parse(name))
        except InputError:
            # Another tool's file beside ours.
            continue
    return sorted(found)
