"""Which of the LLM's answers becomes a theme's name."""

from __future__ import annotations

import pytest

from ftm_core.contracts import events
from ftm_core.themes.descriptions import DescribedTheme, describe_themes
from tests.fakes.llm_server import FakeLlmServer, completion

KEYWORDS = ("year", "freight", "ocean")
SUMMARIES = ["The company says that contracts with shipping lines cost less."]
DESCRIPTION = "The companies say that freight on the ocean costs them less than a year ago."


@pytest.mark.parametrize(
    ("titles", "name"),
    [
        (["Freight Contracts"], "Freight Contracts"),
        (["Poised to capitalize", "Luxury freight", "Ocean and freight"], "Ocean and freight"),
        # None is good: the one with most of the matter stands, not the last.
        (["Poised to win", "Luxury freight in Chile", "Freight", "The world"], "Freight"),
    ],
)
async def test_a_theme_is_named_by_the_first_title_that_names_its_matter(
    titles: list[str], name: str
) -> None:
    server = FakeLlmServer()
    server.replies = [completion(text) for text in (DESCRIPTION, *titles)]
    async with server.client() as client:
        described = await describe_themes(
            [("theme_2023Q1_001", KEYWORDS, SUMMARIES)],
            client,
            max_tokens=160,
            listener=events.ignore,
        )

    assert described == [DescribedTheme(name, DESCRIPTION)]
    assert len(server.users) == 1 + len(titles)
