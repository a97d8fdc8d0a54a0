"""How much of what is said names a matter."""

from __future__ import annotations

import pytest

from ftm_core.transcripts.substance import share_of_matter


@pytest.mark.parametrize(
    "text",
    [
        "We feel pretty good about where we are with what's left.",
        "And so that’s what we’re dealing with, <UNK>.",
        "",
    ],
)
def test_what_could_be_said_of_anything_names_next_to_nothing(text: str) -> None:
    assert share_of_matter([text]) < 0.15


def test_words_of_a_matter_and_numbers_count_among_all_words() -> None:
    # Freight, rates, fell, 5, percent, ocean of nine words.
    assert share_of_matter(["Freight rates fell", "by 5 percent on the ocean."]) == pytest.approx(
        6 / 9
    )
