"""The JSON records kept beside the tables: manifest, batches, checkpoints, failures, identity."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ftm_core.contracts.errors import InputError

_Record = TypeVar("_Record")
_Class = TypeVar("_Class", bound=type)


@dataclass_transform(frozen_default=True)
def record(kind: _Class) -> _Class:
    """Make a frozen dataclass that refuses unknown fields and values of the wrong type."""
    return dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))(kind)  # type: ignore[return-value]


def utc_now() -> str:
    """Now as ISO 8601 in UTC, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


@record
class ChunkRecord:
    """One chunk of transcripts: its key, size and SHA-256."""

    key: str
    sha256: str
    n_firms: int
    n_sentences: int


@record
class Manifest:
    """A quarter's ingested transcripts: counts, chunks and the chunk each firm is in."""

    quarter: str
    source: str
    source_sha256: str
    n_firms: int
    n_calls: int
    n_sentences: int
    n_rejected_rows: int
    n_firms_without_permno: int
    chunks: tuple[ChunkRecord, ...]
    firm_to_chunk: dict[str, int]
    created: str


@record
class Batch:
    """Firms that one map job works through, in order."""

    batch_id: str
    quarter: str
    firm_ids: tuple[str, ...]


@record
class Part:
    """One pair of map output files and the firms whose rows they hold."""

    number: int
    firm_ids: tuple[str, ...]
    n_topics: int
    n_sentences: int


@record
class Checkpoint:
    """What a batch has finished: only parts listed here count as output."""

    batch_id: str
    quarter: str
    run_id: str
    completed_firm_ids: tuple[str, ...]
    parts: tuple[Part, ...]
    timestamp: str


@record
class Failure:
    """One firm (or one of its topics) that failed, and why."""

    firm_id: str
    error_type: str
    error_message: str
    attempts: int
    timestamp: str
    topic_id: str | None = None


@record
class FailuresManifest:
    """All recorded failures of a batch."""

    batch_id: str
    quarter: str
    n_failures: int
    failures: tuple[Failure, ...]
    timestamp: str


@record
class LeaseOwner:
    """The run that owns a quarter's lease: enough to name it and to check whether it is alive."""

    run_name: str
    host: str
    pid: int
    process_started: float
    heartbeat: str
    # Containers may share a host's name, and each has a process 1.
    process_namespace: str = ""


@record
class RunIdentity:
    """What a quarter's output is made from, and who owns the lease on it.

    Other inputs give another fingerprint, and need ``--restart``.
    """

    run_id: str
    quarter: str
    fingerprint: str
    inputs: dict[str, Any]
    started: str
    finished: str | None
    owner: LeaseOwner | None


@record
class ReduceState:
    """Written when all tables of a quarter are complete: what they were made from."""

    run_id: str
    map_output: str
    n_topics: int
    n_topics_in_themes: int
    n_themes: int
    timestamp: str


@record
class StageTiming:
    """Seconds that one stage of a run took."""

    stage: str
    seconds: float


@record
class Timings:
    """Seconds by stage and peak memory of the quarter's last run."""

    run_name: str
    stages: tuple[StageTiming, ...]
    peak_memory_mib: float


def to_json(value: Any) -> bytes:
    """Serialise a record (or a list of them) as indented UTF-8 JSON."""
    plain = (
        [dataclasses.asdict(item) for item in value]
        if isinstance(value, list | tuple)
        else dataclasses.asdict(value)
    )
    return (json.dumps(plain, indent=1, ensure_ascii=False) + "\n").encode()


def from_json(kind: type[_Record], data: bytes, *, where: str) -> _Record:
    """Read one record; raises InputError naming ``where`` when it is torn or not of ``kind``."""
    try:
        return TypeAdapter(kind).validate_json(data)
    except ValidationError as error:
        raise _unreadable(where, error) from error


def list_from_json(kind: type[_Record], data: bytes, *, where: str) -> list[_Record]:
    """Read a JSON array of records; raises InputError naming ``where`` and the item."""
    try:
        return TypeAdapter(list[kind]).validate_json(data)  # type: ignore[valid-type]
    except ValidationError as error:
        raise _unreadable(where, error) from error


def _unreadable(where: str, error: ValidationError) -> InputError:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(step) for step in first["loc"])
    return InputError(
        f"The file {where}",
        f"is not a valid record ({f'{place}: ' if place else ''}{first['msg']})",
        "It is damaged or was made by another version: restore it, or start the quarter again "
        "with --restart.",
    )
