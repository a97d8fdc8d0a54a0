"""Put a quarter's finished chunks into storage, and find what is there already."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from ftm_core.contracts import records
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.lease import refuse_if_running
from ftm_core.data.transcript_store import TranscriptStore
from ftm_core.storage.base import Storage

_BLOCK = 1024 * 1024


def existing_manifests(
    storage: Storage, quarters: Collection[Quarter], checksum: str, *, replace: bool
) -> dict[str, records.Manifest]:
    """Manifests of the quarters that were ingested from this very content.

    Raises InputError for one from other content, or with a chunk missing, without ``replace``.
    """
    # A replaced quarter's manifest may be damaged: that is one reason to replace it.
    if replace:
        return {}
    found = {}
    for quarter in sorted(quarters):
        existing = TranscriptStore(storage, quarter).find_manifest()
        if existing is not None:
            _refuse_other_content(existing, checksum, storage, quarter)
            found[str(quarter)] = existing
    return found


def publish(
    storage: Storage,
    made: Storage,
    quarter: Quarter,
    manifest: records.Manifest,
    rejects: Sequence[Path],
) -> None:
    """Copy the chunks in ``made``, then the files of rejects as one, and last the manifest.

    Raises RunRefusedError while a run works on the quarter.
    """
    # Reading the source takes its time, and a run may have begun meanwhile.
    refuse_if_running(storage, quarter)
    store = TranscriptStore(storage, quarter)
    store.clear()
    for chunk in manifest.chunks:
        storage.write(chunk.key, made.read(chunk.key))
    if manifest.n_rejected_rows:
        with store.open_rejects() as target:
            for number, path in enumerate(rejects):
                with path.open("rb") as file:
                    if number:
                        # Only the first file's header is kept.
                        file.readline()
                    while block := file.read(_BLOCK):
                        target.write(block)
    store.write_manifest(manifest)


def _refuse_other_content(
    existing: records.Manifest, checksum: str, storage: Storage, quarter: Quarter
) -> None:
    """Raise InputError unless the quarter is whole and came from this very content."""
    where = f"The quarter {quarter} in {storage.uri}"
    if existing.source_sha256 != checksum:
        raise InputError(
            where,
            f"was ingested from {existing.source} on {existing.created}, with other content",
            "Add --replace to remove it and ingest this source instead.",
        )
    for chunk in existing.chunks:
        if not storage.exists(chunk.key):
            raise InputError(
                f"The file {storage.describe(chunk.key)}",
                "is missing, though the manifest names it",
                "Add --replace to ingest the quarter again.",
            )
