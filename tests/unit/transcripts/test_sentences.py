"""Splitting of spoken text: call language stays whole, and no word is lost."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.sentence_splitting import labeled_turns, score
from ftm_core.text.sentences import split
from ftm_core.transcripts.call_sentences import Sentence, split_turns


@pytest.mark.parametrize(
    "sentences",
    [
        ["Acme Inc. sold $1.4 billion in the U.S. market.", "We grew 3.5% year over year."],
        ["Thank you, Dr. Jones.", "Mr. Smith and John A. Smith will speak next."],
        ['He said, "We are pleased. Demand is strong."', "What about margins?", "They rose!"],
        ["In the U.K. and the U.S.", "Our Latin America unit was flat."],
        ["Sales were up vs. last year's $2.5 million.", "EBITDA was $0.35 per share (from $.30)."],
        ["We expect approx. 5 percent growth.", "The call ends at 5 p.m. Eastern Time."],
        ["Apple Co. Ltd. and Foo Ltd. are partners.", "It is fine... I think."],
        ["1. Price comes first.", "2. Volume comes second."],
        ["Please visit www. acme.com or www.acme.com/ir.", "Thank you."],
        ["Our website, www. acme.com, has it.", "WWW. Acme.com does, too."],
        ["The plant in Ft. Worth is open.", "Vol. 2 is out.", "It weighs 9 lbs. less."],
        ["We paid approx. half of it.", "Smith v. Jones is over.", "We ran 10 ft.", "We won."],
    ],
)
def test_call_language_is_split_at_sentence_ends_only(sentences: list[str]) -> None:
    assert split(" ".join(sentences)) == sentences


def test_paragraphs_end_a_sentence_and_spaces_are_normalised() -> None:
    assert split("  Costs\tfell  again.\n\nSo did prices\n\nRates rose. ") == [
        "Costs fell again.",
        "So did prices",
        "Rates rose.",
    ]


def test_blank_text_has_no_sentence() -> None:
    assert split("") == split(" \n\n ") == []


ANY_TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=200)
# What the splitter has rules for, among letters and spaces of several bytes.
INITIALS_AND_SPACES = st.text(alphabet="ILJa.é’“日\n \x85\xa0\u2009\u2028\u3000", max_size=20)


@given(ANY_TEXT | INITIALS_AND_SPACES)
@example("He and I\xa0. We agreed.")
def test_no_word_is_lost_and_no_sentence_is_blank(text: str) -> None:
    sentences = split(text)
    assert "".join("".join(sentences).split()) == "".join(text.split())
    assert all(sentence.strip() == sentence and sentence for sentence in sentences)


def test_turns_are_numbered_through_the_call() -> None:
    assert split_turns([("CEO", "Sales rose. Costs fell."), ("Analyst", "Why?")]) == (
        Sentence("Sales rose.", "CEO", 0),
        Sentence("Costs fell.", "CEO", 1),
        Sentence("Why?", "Analyst", 2),
    )


@pytest.mark.parametrize(
    "sentences",
    [
        ["In fiscal '21 sales rose 5%.", "Margins fell.", "Our customers' demand rose."],
        ["Last one for me.", "Jennifer?"],
        ["It hit Hurricane Ida.", "Results fell."],
        ["Pricing is an art.", "It's hard."],
        ["Yeah, no.", "That's right."],
        ["Our No. 1 priority is cash.", "No. 2 is growth."],
    ],
)
def test_apostrophes_and_short_words_hide_no_end(sentences: list[str]) -> None:
    assert split(" ".join(sentences)) == sentences


def test_a_quotation_without_end_is_split_past_its_limit() -> None:
    said = ["He said \u201cwe grow every day and everywhere.", *["We sold more again."] * 80]
    assert split(" ".join(said)) == said


def test_hand_labeled_boundaries_are_found_almost_all() -> None:
    """The bench compares other splitters on the same boundaries; the best of them reaches 0.982."""
    found = score(split, labeled_turns(), repeats=0)
    assert found["boundaries"] >= 500
    assert found["F1"] >= 0.995
