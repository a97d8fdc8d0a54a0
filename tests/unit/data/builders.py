"""Small parts from which the tests of runs and progress are built."""

from __future__ import annotations

import datetime as dt
from typing import Any

from ftm_core.contracts import schemas
from ftm_core.contracts.records import Batch, ChunkRecord, Failure, Manifest, utc_now
from ftm_core.data.checkpoints import FinishedFirm

DAY = dt.date(2023, 2, 1)


def manifest(sha256: str = "a" * 64) -> Manifest:
    return Manifest(
        quarter="2023Q1",
        source="made up",
        source_sha256="0" * 64,
        n_firms=1,
        n_calls=1,
        n_sentences=2,
        n_rejected_rows=0,
        n_firms_without_permno=0,
        chunks=(ChunkRecord("chunk_0000.parquet", sha256, 1, 2),),
        firm_to_chunk={"F0": 0},
        created=utc_now(),
    )


def batch(*firm_ids: str, batch_id: str = "2023Q1_batch_0000") -> Batch:
    return Batch(batch_id, "2023Q1", firm_ids)


def finished_firm(firm_id: str, n_topics: int = 2, *, failed_topics: int = 0) -> FinishedFirm:
    """A firm with topics 0, 1, ... of which the last ``failed_topics`` have no summary."""
    return FinishedFirm(
        firm_id,
        tuple(topic_row(firm_id, number) for number in range(n_topics - failed_topics)),
        schemas.table_from_rows(
            [sentence_row(firm_id, number) for number in range(3)],
            schemas.MAP_SENTENCES,
            run_id="worker",
            where=firm_id,
        ),
        tuple(
            failure(firm_id, topic_id=f"{firm_id}_{number}")
            for number in range(n_topics - failed_topics, n_topics)
        ),
    )


def failure(firm_id: str, *, topic_id: str | None = None, message: str = "400") -> Failure:
    return Failure(firm_id, "LlmRequestError", message, 1, utc_now(), topic_id)


def topic_row(firm_id: str, number: int) -> dict[str, Any]:
    return {
        "firm_id": firm_id,
        "firm_name": f"Firm {firm_id}",
        "quarter": "2023Q1",
        "permno": None,
        "gvkey": None,
        "earnings_call_date": DAY,
        "topic_id": f"{firm_id}_{number}",
        "local_topic_id": number,
        "representation": "words",
        "summary": "A summary.",
        "naming_method": "llm",
        "summary_mode": "write",
        "keywords": ["words"],
        "n_sentences": 1,
        "sentence_ids": [f"{firm_id}_T_0000"],
        "leading_sentences": ["Freight rose."],
        "processing_timestamp": dt.datetime(2023, 5, 1, tzinfo=dt.UTC),
        "llm_model": "model",
        "prompt_version": "1",
        "vector": [1.0, 0.0],
    }


def sentence_row(firm_id: str, position: int) -> dict[str, Any]:
    return {
        "sentence_id": f"{firm_id}_T_{position:04d}",
        "firm_id": firm_id,
        "permno": None,
        "transcript_id": "T",
        "earnings_call_date": DAY,
        "raw_text": "A sentence.",
        "speaker_type": "CEO",
        "position": position,
        "local_topic_id": 0,
        "is_small_talk": False,
        "quarter": "2023Q1",
        "vector": bytes(4),
    }
