"""Ask the LLM for each topic's summary and make the rows of the map output."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pyarrow as pa

from ftm_core.contracts import schemas
from ftm_core.contracts.errors import LlmRequestError
from ftm_core.contracts.records import Failure, utc_now
from ftm_core.data.checkpoints import FinishedFirm
from ftm_core.llm import prompts
from ftm_core.llm.client import LlmClient
from ftm_core.llm.messages import Answer
from ftm_core.text.grounding import Sources
from ftm_core.topics.firm_model import FirmModel, TopicDraft

REPRESENTATION_SEPARATOR = ", "
NAMED_BY_LLM = "llm"


async def summarise_firm(
    model: FirmModel, sentences: pa.Table, client: LlmClient, *, quarter: str, max_tokens: int
) -> FinishedFirm:
    """Rows of one firm, its topics summarised side by side.

    A topic whose request the server refuses, or answers unusably, becomes a recorded failure of
    that topic alone. LlmUnavailableError passes through: it is no fault of the firm.
    """
    outcomes = await asyncio.gather(
        *(
            _summarise_topic(model.firm_id, topic, client, quarter, max_tokens)
            for topic in model.topics
        )
    )
    return FinishedFirm(
        firm_id=model.firm_id,
        topic_rows=tuple(item for item in outcomes if not isinstance(item, Failure)),
        sentences=_with_topics(sentences, model),
        failed_topics=tuple(item for item in outcomes if isinstance(item, Failure)),
    )


async def _summarise_topic(
    firm_id: str, topic: TopicDraft, client: LlmClient, quarter: str, max_tokens: int
) -> dict[str, Any] | Failure:
    representation = REPRESENTATION_SEPARATOR.join(topic.keywords)
    try:
        summary, answer = await _ask(topic, representation, client, max_tokens)
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
        "representation": representation,
        "summary": summary,
        "naming_method": NAMED_BY_LLM,
        "keywords": list(topic.keywords),
        "n_sentences": len(topic.sentence_ids),
        "sentence_ids": list(topic.sentence_ids),
        "processing_timestamp": dt.datetime.now(dt.UTC),
        "llm_model": answer.model,
        "prompt_version": prompts.PROMPT_VERSION,
        "vector": list(topic.vector),
    }


async def _ask(
    topic: TopicDraft, representation: str, client: LlmClient, max_tokens: int
) -> tuple[str, Answer]:
    """The summary of a topic and the answer it is from; LlmRequestError when none is a sentence.

    The first sentence that does not speak of the task is taken, or the first of all. When it speaks
    of it all the same, or states a number or a name that the topic's sentences do not, it is asked
    for once more without numbers and names; what there was stays unless the second is better.
    """
    sources = Sources([topic.firm_name, *topic.leading_texts])

    def is_summary(text: str) -> bool:
        return prompts.is_prose(text) and text != representation

    answers: list[Answer] = []
    found: list[tuple[str, Answer]] = []
    for prompt in prompts.topic_summary_prompts(topic.keywords, topic.leading_texts):
        answers.append(await client.complete(prompt, max_tokens=max_tokens))
        text = prompts.prose_of(answers[-1])
        if is_summary(text):
            found.append((text, answers[-1]))
            if not prompts.speaks_of_task(text):
                break
    if not found:
        raise LlmRequestError(
            f"topic {topic.topic_id}",
            f"none of {len(answers)} answers is a sentence (the last: {answers[-1].text[:80]!r})",
            "Use a stronger model, or raise LLM_SUMMARY_MAX_TOKENS.",
        )
    summary, answer = next((one for one in found if not prompts.speaks_of_task(one[0])), found[0])

    def is_poor(text: str) -> bool:
        return prompts.speaks_of_task(text) or bool(sources.ungrounded(text))

    if is_poor(summary):
        careful = prompts.careful_summary_prompt(topic.leading_texts)
        # Where this question cannot be answered the topic fails, though it has an answer: the next
        # run asks again, so that rows do not depend on a server's bad minute.
        second = await client.complete(careful, max_tokens=max_tokens)
        text = prompts.prose_of(second)
        if is_summary(text) and not is_poor(text):
            return text, second
    return summary, answer


def _with_topics(sentences: pa.Table, model: FirmModel) -> pa.Table:
    """The firm's sentences with the topic of each, as SENTENCES."""
    labels = pa.array(model.sentence_topics, pa.int32())
    return pa.table(
        [
            labels if name == "local_topic_id" else sentences[name].combine_chunks()
            for name in schemas.SENTENCES.names
        ],
        names=schemas.SENTENCES.names,
    )
