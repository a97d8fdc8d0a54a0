"""Which of the LLM's answers becomes a topic's summary."""

from __future__ import annotations

import datetime as dt

import pytest

from ftm_core.contracts import schemas
from ftm_core.topics.firm_model import FirmModel, TopicDraft
from ftm_core.topics.summaries import summarise_firm
from tests.fakes.llm_server import FakeLlmServer, completion

TOPIC = TopicDraft(
    topic_id="F1_0",
    local_topic_id=0,
    earnings_call_date=dt.date(2023, 2, 1),
    firm_name="Larkfield Stores",
    permno=None,
    gvkey=None,
    keywords=("freight",),
    sentence_ids=("F1_T1_0001",),
    leading_texts=("Freight cost us 4.5% of sales in Ohio.",),
    vector=(1.0,),
)
GROUNDED = "The company says that freight cost 4.5% of its sales."
INVENTED = "The company says that freight rose by 20% in Chile."
CAREFUL = "The company says what its freight cost as a share of sales."


OF_THE_TASK = "The sentence is a good example of how to say a thing."


async def summary_given(*answers: str) -> tuple[str, int]:
    """The summary, and how many questions it took."""
    server = FakeLlmServer()
    server.replies = [completion(answer) for answer in answers]
    model = FirmModel("F1", (TOPIC,), (), n_set_aside=0)
    async with server.client() as client:
        firm = await summarise_firm(
            model, schemas.SENTENCES.empty_table(), client, quarter="2023Q1", max_tokens=80
        )
    return firm.topic_rows[0]["summary"], len(server.users)


@pytest.mark.parametrize(
    ("answers", "summary"),
    [
        ([GROUNDED], GROUNDED),
        ([INVENTED, CAREFUL], CAREFUL),
        # A second answer that is no better, or no sentence, does not replace the first.
        ([INVENTED, INVENTED.replace("20", "30")], INVENTED),
        ([INVENTED, "No."], INVENTED),
        ([INVENTED, "freight"], INVENTED),
    ],
)
async def test_a_summary_that_invents_a_number_or_name_is_asked_for_once_more(
    answers: list[str], summary: str
) -> None:
    assert await summary_given(*answers) == (summary, len(answers))


@pytest.mark.parametrize(
    ("answers", "summary"),
    [
        ([OF_THE_TASK, GROUNDED], GROUNDED),
        (["No.", OF_THE_TASK, GROUNDED], GROUNDED),
        ([OF_THE_TASK, OF_THE_TASK, "No.", CAREFUL], CAREFUL),
        # Where the model says nothing else, the first sentence stays.
        ([OF_THE_TASK, f"{OF_THE_TASK} Or so.", "No.", f"{OF_THE_TASK} So."], OF_THE_TASK),
    ],
)
async def test_an_answer_about_the_task_is_no_summary_where_there_is_another(
    answers: list[str], summary: str
) -> None:
    assert await summary_given(*answers) == (summary, len(answers))
