"""Every key that ftm reads or writes, relative to a data folder or bucket."""

from __future__ import annotations

import re

from ftm_core.contracts.quarters import Quarter

_QUARTER_FOLDER = re.compile(r"quarter=([0-9]{4}Q[1-4])/")

PROCESSED_TABLES = ("firms", "sentences", "topics")


def transcripts_prefix(quarter: Quarter) -> str:
    """Folder of a quarter's ingested transcripts."""
    return f"prefetch/transcripts/quarter={quarter}/"


def transcripts_chunk(quarter: Quarter, number: int) -> str:
    """One chunk of transcripts, about 200 firms."""
    return f"{transcripts_prefix(quarter)}chunk_{number:04d}.parquet"


def transcripts_manifest(quarter: Quarter) -> str:
    """Counts, checksums and the firm-to-chunk map of a quarter's transcripts."""
    return f"{transcripts_prefix(quarter)}manifest.json"


def transcripts_rejects(quarter: Quarter) -> str:
    """Rows of the source that were not ingested, each with its reason."""
    return f"{transcripts_prefix(quarter)}rejects.csv"


def transcripts_source_state(quarter: Quarter) -> str:
    """The inputs of an unfinished fetch from WRDS, so that it resumes with the same ones."""
    return f"{transcripts_prefix(quarter)}wrds_state.json"


def transcripts_unmatched(quarter: Quarter) -> str:
    """Firms that no link of a links file gave a permno, each with the reason."""
    return f"{transcripts_prefix(quarter)}unmatched_identifiers.csv"


def progress_prefix(quarter: Quarter) -> str:
    """Folder of a quarter's run identity, plan, checkpoints and failures."""
    return f"progress/{quarter}/"


def run_identity(quarter: Quarter) -> str:
    """What the quarter's run was made from, and who owns it."""
    return f"{progress_prefix(quarter)}run.json"


def run_timings(quarter: Quarter) -> str:
    """Seconds and peak memory by stage of the quarter's last run."""
    return f"{progress_prefix(quarter)}timings.json"


def batches(quarter: Quarter) -> str:
    """The plan: a JSON array of batches, read by the distributed Map as it is."""
    return f"{progress_prefix(quarter)}batches.json"


def batch_id(quarter: Quarter, number: int) -> str:
    """Name of the quarter's batch with that number."""
    return f"{quarter}_batch_{number:04d}"


def checkpoint(quarter: Quarter, batch: str) -> str:
    """Firms and parts that one batch has finished."""
    return f"{progress_prefix(quarter)}{batch}_checkpoint.json"


def failures(quarter: Quarter, batch: str) -> str:
    """Firms and topics of one batch that failed, with their reasons."""
    return f"{progress_prefix(quarter)}{batch}_failures.json"


def theme_failures(quarter: Quarter) -> str:
    """Themes whose description failed, with their reasons."""
    return f"{progress_prefix(quarter)}themes_failures.json"


def reduce_state(quarter: Quarter) -> str:
    """Fingerprint of the map output that the quarter's themes were made from."""
    return f"{progress_prefix(quarter)}reduce.json"


def answers_prefix(quarter: Quarter) -> str:
    """Folder of the LLM answers kept for a quarter."""
    return f"progress/{quarter}/answers/"


def firm_topics_prefix(quarter: Quarter) -> str:
    """Folder of the map output, one row a topic."""
    return f"intermediate/firm-topics/quarter={quarter}/"


def firm_topics_part(quarter: Quarter, batch: str, number: int) -> str:
    """One part of the map output."""
    return f"{firm_topics_prefix(quarter)}{batch}_part_{number:04d}.parquet"


def sentences_prefix(quarter: Quarter) -> str:
    """Folder of the sentences with their local topics."""
    return f"intermediate/sentences/quarter={quarter}/"


def sentences_part(quarter: Quarter, batch: str, number: int) -> str:
    """One part of the sentences with their local topics."""
    return f"{sentences_prefix(quarter)}{batch}_part_{number:04d}.parquet"


def themes_prefix(quarter: Quarter) -> str:
    """Folder of the reduce output."""
    return f"processed/themes/quarter={quarter}/"


def themes(quarter: Quarter) -> str:
    """The quarter's themes."""
    return f"{themes_prefix(quarter)}themes.parquet"


def theme_contributions(quarter: Quarter) -> str:
    """Which topic of which firm stands in which theme."""
    return f"{themes_prefix(quarter)}theme_contributions.parquet"


def theme_exposures(quarter: Quarter) -> str:
    """How much of each call is about each theme."""
    return f"{themes_prefix(quarter)}theme_exposures.parquet"


def theme_directions(quarter: Quarter) -> str:
    """Where each theme lies among the sentences."""
    return f"{themes_prefix(quarter)}theme_directions.parquet"


def processed_table(table: str, quarter: Quarter) -> str:
    """One of the quarter's tables: ``firms``, ``sentences`` or ``topics``."""
    return f"processed/{table}/quarter={quarter}/{table}.parquet"


def panel_themes() -> str:
    """Which theme of which quarter is which theme of the panel."""
    return "processed/panel/panel_themes.parquet"


def sentiment_ready(quarter: Quarter) -> str:
    """Theme by firm by topic with its sentences nested, for sentiment scoring."""
    return f"sentiment-ready/quarter={quarter}/themes_for_sentiment.parquet"


def quarters_in(keys: list[str]) -> list[Quarter]:
    """Quarters that appear as ``quarter=Q/`` in any of ``keys``, oldest first."""
    found = {match.group(1) for key in keys if (match := _QUARTER_FOLDER.search(key))}
    return sorted(Quarter.parse(text) for text in found)
