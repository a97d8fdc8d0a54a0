"""How the two modes make texts: what is accepted, asked again, and selected in the end."""

from __future__ import annotations

import json

import pytest

from ftm_core.contracts import events
from ftm_core.contracts.errors import LlmRequestError
from ftm_core.contracts.settings import BUNDLED_LLM, AnswerMode, LlmSettings
from ftm_core.llm.item_texts import ThemeText, TopicText, theme_text, title_problems, topic_text
from ftm_core.text.grounding import SourceVocabulary
from ftm_core.themes.descriptions import describe_themes
from ftm_core.themes.theme_evidence import ThemeEvidence
from tests.fakes.llm_server import MODEL, FakeLlmServer, completion

KEYWORDS = ("freight rate", "ocean", "cost")
SENTENCES = (
    "And so freight rates on the ocean cost us 4.5% of our sales in Ohio this year.",
    "We expect that the freight rate for the rest of the year is going to come down a bit.",
)
GROUNDED = "Ocean freight cost 4.5% of sales."
INVENTED = "Ocean freight rose by 20% in Chile."
FIRST = "Freight rates on the ocean cost us 4.5% of our sales in Ohio this year."


def summary(text: str) -> str:
    return json.dumps({"summary": text})


async def topic(*answers: str, mode: AnswerMode = "write") -> tuple[TopicText, list[str]]:
    server = FakeLlmServer()
    server.replies = [completion(text) for text in answers]
    async with server.client() as client:
        text = await topic_text(KEYWORDS, SENTENCES, client.ask, mode=mode, max_tokens=80)
    assert server.replies == []
    return text, server.users


async def test_write_keeps_a_grounded_summary() -> None:
    text, asked = await topic(summary(GROUNDED))
    assert text == TopicText(GROUNDED, "write", MODEL)
    assert len(asked) == 1


async def test_write_names_the_unsupported_parts_and_asks_again() -> None:
    text, asked = await topic(summary(INVENTED), summary(GROUNDED))
    assert text == TopicText(GROUNDED, "write", MODEL)
    assert "do not say '20'" in asked[1]
    assert "do not say 'chile'" in asked[1]


@pytest.mark.parametrize("second", [summary(INVENTED), "no JSON", summary("freight, ocean, cost")])
async def test_write_twice_unsupported_is_selected(second: str) -> None:
    text, asked = await topic(summary(INVENTED), second, "1")
    assert text == TopicText(FIRST, "select", MODEL)
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (f"{GROUNDED} {GROUNDED} {GROUNDED}", GROUNDED),
        (f"{GROUNDED} It is in Ohio. It expects less.", f"{GROUNDED} It is in Ohio."),
    ],
)
async def test_write_keeps_two_different_sentences(written: str, kept: str) -> None:
    """A small model goes round in circles after its point."""
    text, _ = await topic(summary(written))
    assert (text.summary, text.mode) == (kept, "write")


async def test_what_is_cut_away_needs_no_support() -> None:
    text, asked = await topic(summary(f"{GROUNDED} It is in Ohio. {INVENTED}"))
    assert (text.summary, len(asked)) == (f"{GROUNDED} It is in Ohio.", 1)


async def test_select_takes_the_chosen_sentence_verbatim() -> None:
    text, _ = await topic("2", mode="select")
    assert text == TopicText(SENTENCES[1], "select", MODEL)


@pytest.mark.parametrize("reply", ["7", "the first one", "0"])
async def test_select_fails_where_no_candidate_is_chosen(reply: str) -> None:
    with pytest.raises(LlmRequestError, match="chooses none of the 2 candidates"):
        await topic(reply, reply, mode="select")


async def test_select_asks_again_with_more_room_where_words_come_first() -> None:
    """A server without structured output may begin with words, which two tokens cut short."""
    text, asked = await topic("The sentence", "The sentence that says it best is 2.", mode="select")
    assert text == TopicText(SENTENCES[1], "select", MODEL)
    assert len(asked) == 2


async def theme(*answers: str, mode: AnswerMode = "write", taken: str = "") -> ThemeText:
    server = FakeLlmServer()
    server.replies = [completion(text) for text in answers]
    async with server.client() as client:
        return await theme_text(
            KEYWORDS,
            SENTENCES,
            client.ask,
            mode=mode,
            max_tokens=160,
            taken=frozenset([taken]) if taken else frozenset(),
        )


def titled(title: str, description: str = "Companies say what ocean freight costs them.") -> str:
    return json.dumps({"title": title, "description": description})


async def test_write_names_a_theme_in_one_request() -> None:
    text = await theme(titled("ocean freight rates."))
    assert text == ThemeText(
        "Ocean freight rates", "Companies say what ocean freight costs them.", "write"
    )


async def test_a_sound_title_stays_where_the_description_is_selected() -> None:
    text = await theme(titled("Freight", INVENTED), titled("Ocean freight", INVENTED))
    assert (text.name, text.mode) == ("Ocean freight", "select")
    assert text.description == f"{FIRST} {SENTENCES[1]}"


async def test_a_sound_description_stays_where_the_title_is_selected() -> None:
    text = await theme(titled("Theft in Chile"), titled("Theft in Peru"), "1")
    assert text.name.lower() in SENTENCES[0] + SENTENCES[1]
    assert text.description == "Companies say what ocean freight costs them."


async def test_title_and_description_are_never_of_two_answers() -> None:
    text = await theme(titled("Theft in Chile"), titled("Freight", INVENTED))
    assert text == ThemeText("Freight", f"{FIRST} {SENTENCES[1]}", "select")


async def test_a_whole_second_answer_replaces_the_first() -> None:
    text = await theme(titled("Freight", INVENTED), titled("Ocean freight"))
    assert text.name == "Ocean freight"


async def test_write_falls_back_to_a_spoken_phrase() -> None:
    text = await theme(titled("Theft in Chile", INVENTED), titled("Theft", INVENTED), "1")
    assert text.mode == "select"
    assert text.name.lower() in SENTENCES[0] + SENTENCES[1]
    assert text.description == f"{FIRST} {SENTENCES[1]}"


async def test_sentences_without_a_phrase_leave_the_keywords() -> None:
    """Not one word of these sentences could name a thing."""
    server = FakeLlmServer()
    server.replies = [completion("2")]
    async with server.client() as client:
        sentences = ("It won't.", "And that will be as well.")
        text = await theme_text(KEYWORDS, sentences, client.ask, mode="select", max_tokens=160)
    assert (text.name, text.mode) == ("Ocean", "select")


async def test_select_offers_no_title_that_is_taken() -> None:
    first = await theme("1", mode="select")
    other = await theme("1", mode="select", taken=first.name.lower())
    assert other.name != first.name


@pytest.mark.parametrize(
    ("title", "n_problems"),
    [
        ("Ocean freight rates", 0),
        ("Ocean Freight Rates", 0),
        ("Freight rates in Chile", 1),
        ("Freight rates of 20%", 1),
        ("Freight And LNG Rates", 1),
        ("Theft", 1),
        ("Freight rates on the ocean that cost us a lot of money", 1),
        ("", 2),
    ],
)
def test_problems_of_a_title(title: str, n_problems: int) -> None:
    assert len(title_problems(title, KEYWORDS, SourceVocabulary(SENTENCES))) == n_problems


async def test_themes_of_one_title_are_named_apart() -> None:
    server = FakeLlmServer()
    themes = [ThemeEvidence(f"theme_2023Q1_00{n}", KEYWORDS, SENTENCES) for n in range(3)]
    llm = LlmSettings(model_name=BUNDLED_LLM, answer_mode="select")
    async with server.client() as client:
        texts = await describe_themes(themes, client, llm=llm, listener=events.ignore)
    names = [text.name for text in texts if isinstance(text, ThemeText)]
    assert len(names) == 3
    assert len(set(names)) > 1


def test_auto_selects_with_the_bundled_model_alone() -> None:
    assert LlmSettings(model_name=BUNDLED_LLM).resolved_answer_mode == "select"
    assert LlmSettings().resolved_answer_mode == "write"
    assert LlmSettings(answer_mode="select").resolved_answer_mode == "select"
