"""Small talk is set aside with its reason; anything with substance stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftm_core.text import small_talk
from ftm_core.text.small_talk import is_set_aside

SET_ASIDE = [
    ("Good morning, everyone.", small_talk.GREETING),
    (
        "Good afternoon, and welcome to Halvorsen's fourth quarter 2023 earnings conference call.",
        small_talk.GREETING,
    ),
    ("Thanks, <UNK>, and good morning.", small_talk.GREETING),
    ("Thank you.", small_talk.THANKS),
    (
        "Thank you for taking my question, and congrats on a great quarter.",
        small_talk.CONGRATULATION,
    ),
    (
        "Thanks, everyone, for joining us today and for your interest in Halvorsen.",
        small_talk.THANKS,
    ),
    ("Appreciate it.", small_talk.THANKS),
    ("That's helpful, thanks.", small_talk.THANKS),
    ("Have a great day.", small_talk.SIGN_OFF),
    ("That concludes our prepared remarks.", small_talk.SIGN_OFF),
    ("We look forward to speaking with you again next quarter.", small_talk.SIGN_OFF),
    ("Next question, please.", small_talk.QUESTIONS),
    ("That's a great question, <UNK>.", small_talk.QUESTIONS),
    ("I'll get back in the queue.", small_talk.QUESTIONS),
    ("Our next question comes from the line of Ann Lee with North Bank.", small_talk.INTRODUCTION),
    ("With me today are <UNK> <UNK>, our CEO, and <UNK> <UNK>, our CFO.", small_talk.INTRODUCTION),
    (
        "With that, I'll turn the call over to our CFO to review the results in more detail.",
        small_talk.HANDOVER,
    ),
    ("Operator, we're ready to open the call for questions.", small_talk.HANDOVER),
    (
        "Today's call contains forward-looking statements under the federal securities laws.",
        small_talk.BOILERPLATE,
    ),
    ("Actual results may differ materially from those projected.", small_talk.BOILERPLATE),
    ("A replay of this call will be available on our website.", small_talk.BOILERPLATE),
    (
        "Reconciliations to the nearest GAAP measure are in our press release.",
        small_talk.BOILERPLATE,
    ),
    ("Yes, that's right.", small_talk.ACKNOWLEDGEMENT),
    ("Okay.", small_talk.ACKNOWLEDGEMENT),
    ("<UNK>, you want to take that?", small_talk.FRAGMENT),
    ("...", small_talk.FRAGMENT),
    ("And so we feel good about that.", small_talk.FILLER),
    ("We feel pretty good about where we are with what's left.", small_talk.FILLER),
    ("We've already seen that play out.", small_talk.FILLER),
    ("I think we'll look at it over time, <UNK>.", small_talk.FILLER),
    ("Thank you. Good question.", small_talk.THANKS),
]

KEPT = [
    "Thanks to higher prices, revenue rose 4%.",
    "Thanks to higher prices, revenue rose.",
    "Thanks to our gross margin performance, operating income held up.",
    "Thank you, and how should we think about freight costs next year?",
    "Thanks. What drove the margin decline?",
    "Good morning, can you talk about hiring in Europe?",
    "Good morning. Demand in Asia was weak.",
    "That's a great question; pricing will carry most of it.",
    "To answer your question, we raised prices in March.",
    "Before I turn the call over to Ann, I want to stress that demand slowed.",
    "I'll turn it over to Ann, but note that freight rates fell.",
    "Our website sales grew faster than the stores.",
    "We welcome the new tariff rules.",
    "Wage inflation is a question for next year.",
    "We appreciate how hard the freight market has been on carriers.",
    "The operator of the terminal went bankrupt.",
    "Yes, China.",
    "Yes, about 3% for the year.",
    "No, we do not see a recession.",
    "It was a very strong quarter for cloud orders.",
    "We expect to hit the targets we gave in the press release.",
    "Our risk management program cut losses.",
    "Can you quantify the impact of currency?",
    "EBITDA.",
]


@pytest.mark.parametrize(("text", "reason"), SET_ASIDE)
def test_small_talk_is_set_aside_with_its_reason(text: str, reason: str) -> None:
    assert is_set_aside(text, "Unknown") == reason


@pytest.mark.parametrize("text", KEPT)
@pytest.mark.parametrize("speaker", ["Unknown", "Analyst", "CEO"])
def test_a_sentence_with_substance_stays(text: str, speaker: str) -> None:
    assert is_set_aside(text, speaker) is None


@pytest.mark.parametrize("speaker", ["Operator", "operator", " OPERATOR "])
def test_an_operator_is_set_aside_whatever_is_said(speaker: str) -> None:
    assert is_set_aside("Revenue rose 4%.", speaker) == small_talk.OPERATOR


@given(
    st.sampled_from(SET_ASIDE),
    st.sampled_from(["$3 million", "4%", "€2 billion", "40 basis points"]),
)
def test_a_figure_always_keeps_a_sentence(case: tuple[str, str], figure: str) -> None:
    text = case[0].rstrip(".?") + f", {figure}."
    assert is_set_aside(text, "Unknown") is None


@given(st.text(max_size=300))
def test_any_text_gets_an_answer(text: str) -> None:
    assert is_set_aside(text, "Unknown") is None or is_set_aside(text, "Unknown")
