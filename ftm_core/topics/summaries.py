"""Make the rows of the map output: each topic of a firm with its text."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pyarrow as pa

from ftm_core.contracts.errors import LlmRequestError
from ftm_core.contracts.records import Failure, utc_now
from ftm_core.contracts.settings import LlmSettings
from ftm_core.data.checkpoints import FinishedFirm
from ftm_core.llm.client import LlmClient
from ftm_core.llm.item_texts import topic_text
from ftm_core.row_code import row_code_version
from ftm_core.topics.find_topics import FirmTopics, TopicDraft

REPRESENTATION_SEPARATOR = ", "
NAMED_BY_LLM = "llm"
# Texts kept with each topic, so that a reader need not join its sentences.
LEADING_SENTENCES = 3


async def summarize_firm(
    model: FirmTopics, sentences: pa.Table, client: LlmClient, *, quarter: str, llm: LlmSettings
) -> FinishedFirm:
    """Rows of one firm, its topics summarized side by side.

    A topic whose request the server refuses, or answers unusably, becomes a recorded failure of
    that topic alone. LlmUnavailableError passes through: it is no fault of the firm.
    """
    outcomes = await asyncio.gather(
        *(_topic_row(model.firm_id, topic, client, quarter, llm) for topic in model.topics)
    )
    return FinishedFirm(
        firm_id=model.firm_id,
        topic_rows=tuple(item for item in outcomes if not isinstance(item, Failure)),
        sentences=model.sentence_rows(sentences),
        failed_topics=tuple(item for item in outcomes if isinstance(item, Failure)),
    )


async def _topic_row(
    firm_id: str, topic: TopicDraft, client: LlmClient, quarter: str, llm: LlmSettings
) -> dict[str, Any] | Failure:
    try:
        text = await topic_text(
            topic.keywords,
            topic.leading_texts,
            client.ask,
            mode=llm.resolved_answer_mode,
            max_tokens=llm.summary_max_tokens,
        )
    except LlmRequestError as error:
        return Failure(
            firm_id=firm_id,
            error_type=type(error).__name__,
            error_message=str(error),
            attempts=1,
            timestamp=utc_now(),
            topic_id=topic.topic_id,
        )
    return {
        "firm_id": firm_id,
        "firm_name": topic.firm_name,
        "quarter": quarter,
        "permno": topic.permno,
        "gvkey": topic.gvkey,
        "earnings_call_date": topic.earnings_call_date,
        "topic_id": topic.topic_id,
        "local_topic_id": topic.local_topic_id,
        "representation": REPRESENTATION_SEPARATOR.join(topic.keywords),
        "summary": text.summary,
        "naming_method": NAMED_BY_LLM,
        "summary_mode": text.mode,
        "keywords": list(topic.keywords),
        "n_sentences": len(topic.sentence_ids),
        "sentence_ids": list(topic.sentence_ids),
        "leading_sentences": list(topic.leading_texts[:LEADING_SENTENCES]),
        "processing_timestamp": dt.datetime.now(dt.UTC),
        "llm_model": text.model,
        "prompt_version": row_code_version(),
        "vector": list(topic.vector),
    }
