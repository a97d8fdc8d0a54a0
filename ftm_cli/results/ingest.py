"""Results of the commands that ingest transcripts and identifiers."""

from __future__ import annotations

from ftm_cli.results.base import Result, RootResult
from ftm_core.transcripts.results import Preview, Reject


class QuarterResult(Result):
    """One quarter that was written, or was there already."""

    quarter: str
    already_ingested: bool
    firms: int
    firms_without_permno: int
    calls: int
    turns: int
    turns_by_speaker_type: dict[str, int]
    sentences: int
    chunks: int
    rejected_rows: int
    rejects_file: str | None
    source_sha256: str


class IngestResult(Result):
    """What ``ftm ingest --json`` prints; counts at the top are sums over the quarters."""

    quarter: str
    quarters: list[QuarterResult]
    data: str
    source: str
    already_ingested: bool
    layout: str
    form: str
    rows: int
    firms: int
    firms_without_permno: int
    calls: int
    turns: int
    sentences: int
    chunks: int
    rejected_rows: int
    rejects: tuple[Reject, ...]
    rejects_by_reason: dict[str, int]
    rejects_file: str | None
    rows_of_other_quarters: dict[str, int]
    values_left_empty: dict[str, int]
    skipped: dict[str, int]
    older_versions: int
    warnings: list[str]
    source_sha256: str
    seconds: float


class PreviewResult(RootResult[Preview]):
    """What ``ftm ingest --preview --json`` prints."""


class WrdsResult(Result):
    """What ``ftm ingest wrds --json`` prints."""

    quarter: str
    data: str
    source: str
    already_ingested: bool
    firms: int
    firms_resumed: int
    firms_without_permno: int
    firms_without_gvkey: int
    firms_with_rival_links: int
    calls: int
    calls_without_text: int
    older_versions_skipped: int
    components: int
    blank_components: int
    sentences: int
    chunks: int
    seconds: float
    peak_memory_mib: float
    source_sha256: str


class UnmatchedFirm(Result):
    """One firm that stays without permno."""

    firm_id: str
    firm_name: str
    ticker: str | None
    gvkey: str | None
    reason: str


class MergeIdentifiersResult(Result):
    """What ``ftm ingest merge-identifiers --json`` prints."""

    quarter: str
    data: str
    links_read: int
    firms: int
    firms_filled: int
    firms_complete_before: int
    firms_with_rival_links: int
    firms_without_permno: int
    unmatched_file: str | None
    unmatched: list[UnmatchedFirm]
