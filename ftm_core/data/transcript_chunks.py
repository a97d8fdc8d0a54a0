"""Read a quarter's transcripts firm by firm, opening each chunk once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from ftm_core.contracts import keys, records, schemas
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.json_records import read_record
from ftm_core.storage.base import Storage

_AGAIN = "Ingest the quarter again with --replace."


def find_manifest(storage: Storage, quarter: Quarter) -> records.Manifest | None:
    """The quarter's manifest, or None when the quarter is not (wholly) ingested."""
    return read_record(storage, keys.transcripts_manifest(quarter), records.Manifest)


def read_manifest(storage: Storage, quarter: Quarter) -> records.Manifest:
    """The manifest of an ingested quarter.

    Raises InputError when the quarter is not ingested, or its manifest is damaged or is of
    another quarter.
    """
    manifest = find_manifest(storage, quarter)
    if manifest is None:
        raise InputError(
            f"The quarter {quarter} in {storage.uri}",
            "has no ingested transcripts",
            f"Run `ftm ingest SOURCE --quarter {quarter}` first.",
        )
    if manifest.quarter != str(quarter):
        raise InputError(
            f"The quarter {quarter} in {storage.uri}",
            f"has the manifest of {manifest.quarter}",
            _AGAIN,
        )
    return manifest


def missing_chunks(storage: Storage, manifest: records.Manifest) -> list[str]:
    """Keys of the chunks that the manifest names and that are not there."""
    there = set(storage.list(keys.transcripts_prefix(Quarter.parse(manifest.quarter))))
    return [chunk.key for chunk in manifest.chunks if chunk.key not in there]


def iterate_firms(
    storage: Storage,
    manifest: records.Manifest,
    firm_ids: Iterable[str],
    columns: Sequence[str] | None = None,
) -> Iterator[tuple[str, pa.Table]]:
    """Yield each wanted firm once with its sentences, ordered by call date, call and position.

    Firms come chunk by chunk, within a chunk in the order asked for. Each chunk is read from
    storage once, its SHA-256 is checked against the manifest, and only the wanted firms' row
    groups are unpacked: memory holds one packed chunk and one firm. Raises InputError naming an
    unknown firm before anything is read, or naming a chunk that is damaged or not the
    manifest's.
    """
    wanted: dict[int, list[str]] = {}
    for firm_id in dict.fromkeys(firm_ids):
        chunk = manifest.firm_to_chunk.get(firm_id)
        if chunk is None or not 0 <= chunk < len(manifest.chunks):
            raise InputError(
                f"The firm {firm_id}", f"is not in the transcripts of {manifest.quarter}", _AGAIN
            )
        wanted.setdefault(chunk, []).append(firm_id)
    for number in sorted(wanted):
        yield from _firms_of_chunk(storage, manifest.chunks[number], wanted[number], columns)


def _firms_of_chunk(
    storage: Storage,
    chunk: records.ChunkRecord,
    firm_ids: Sequence[str],
    columns: Sequence[str] | None,
) -> Iterator[tuple[str, pa.Table]]:
    where = storage.describe(chunk.key)
    data = storage.read(chunk.key)
    if hashlib.sha256(data).hexdigest() != chunk.sha256:
        raise InputError(
            f"The file {where}", "does not have the checksum that the manifest gives it", _AGAIN
        )
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        schemas.metadata_of(file.schema_arrow, where=where)
        schemas.check_columns(file.schema_arrow.empty_table(), schemas.TRANSCRIPTS, where=where)
        groups = _row_groups_by_firm(file)
        for firm_id in firm_ids:
            if firm_id not in groups:
                raise InputError(f"The file {where}", f"does not hold the firm {firm_id}", _AGAIN)
            chosen = list(columns) if columns is not None else None
            yield firm_id, file.read_row_groups(groups[firm_id], columns=chosen)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"The file {where}", f"is not a readable Parquet file ({error})", _AGAIN
        ) from error


def _row_groups_by_firm(file: pq.ParquetFile) -> dict[str, list[int]]:
    """Which row groups hold each firm, by the statistics of ``firm_id``."""
    found: dict[str, list[int]] = {}
    column = schemas.TRANSCRIPTS.get_field_index("firm_id")
    for number in range(file.num_row_groups):
        statistics = file.metadata.row_group(number).column(column).statistics
        if statistics is not None and statistics.has_min_max:
            found.setdefault(statistics.min, []).append(number)
    return found
