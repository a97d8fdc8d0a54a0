"""The share of words with substance."""

from __future__ import annotations

import pytest

from ftm_core.text.substance import share_of_content_words


@pytest.mark.parametrize(
    "text",
    [
        "We feel pretty good about where we are with what's left.",
        "And so that’s what we’re dealing with, <UNK>.",
        "Approximately 2 billion, and 5 percent higher than in the first quarter.",
        "",
    ],
)
def test_what_could_be_said_of_anything_names_next_to_nothing(text: str) -> None:
    assert share_of_content_words([text]) < 0.15


def test_words_of_substance_count_among_all_words() -> None:
    # Freight, rates, fell and ocean of nine words.
    assert share_of_content_words(
        ["Freight rates fell", "by 5 percent on the ocean."]
    ) == pytest.approx(4 / 9)


def test_wording_of_numbers_has_no_substance() -> None:
    values = "In Q4 it increased to 3.5 million, up 12% compared to 3.1 million on average."

    assert share_of_content_words([values]) == 0
    assert share_of_content_words([values.replace("it", "freight")]) > 0


@pytest.mark.parametrize(
    "courtesy",
    [
        "I would like to thank our store managers and dealers.",
        "We look forward to seeing shareholders at the investor day.",
        "I'm pleased to welcome our chief accountant.",
        "Let me turn it over to our treasurer for the segments.",
    ],
)
def test_words_of_a_courtesy_have_no_substance(courtesy: str) -> None:
    freight = "Ocean freight cost carriers dearly."

    assert share_of_content_words([courtesy]) == 0
    assert 0 < share_of_content_words([courtesy, freight]) < share_of_content_words([freight])


def test_to_look_forward_to_a_year_is_no_courtesy() -> None:
    assert share_of_content_words(["We look forward to 2018 with freight contracts signed."]) > 0
