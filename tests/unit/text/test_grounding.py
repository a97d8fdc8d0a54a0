"""Numbers and names of a summary against its sentences, and theme names against each other."""

from __future__ import annotations

import pytest

from ftm_core.quality.duplicates import duplicate_names
from ftm_core.text.grounding import SourceVocabulary, claims

SOURCES = SourceVocabulary(
    [
        "Freight in Ohio cost $1,000, up 4.5% on Asia-Pacific routes.",
        "AI helps in two ports of America.",
    ]
)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("The cost in Ohio was 1000 and rose 4.50%.", []),
        ("The cost in Texas rose 7%.", ["7", "texas"]),
        ("Costs rose. Customers of Ohio paid.", []),
        ("They ship to Asia with AI.", []),
        ("They use AWS.", ["aws"]),
        ("It was 45%.", ["45"]),
        ("AI-led work helps 2 American ports, not 3.", ["3"]),
        ('It answers the question "What of American ports?"', []),
        ("They sail from Amsterdam.", ["amsterdam"]),
    ],
)
def test_what_no_sentence_says_is_named(text: str, missing: list[str]) -> None:
    assert SOURCES.ungrounded(text) == missing


def test_sources_one_after_another_know_what_any_of_them_knows() -> None:
    missing = SOURCES.lacking(claims("The cost in Texas and Ohio rose 7%."))
    assert missing == {"texas", "7"}
    assert SourceVocabulary(["Texas 7"]).lacking(missing) == set()


def test_names_that_share_enough_words_are_duplicates() -> None:
    names = ["Freight Costs Fall", "freight costs fall.", "Freight Costs Rise", "Hiring"]
    assert duplicate_names(names, 0.8) == [(0, 1)]
    assert duplicate_names(names, 0.5) == [(0, 1), (0, 2), (1, 2)]
