"""What is asked for a theme's title, and which of the answers is taken."""

from __future__ import annotations

import pytest

from ftm_core.llm import titles

KEYWORDS = ("quarter", "rate", "freight rate", "ocean", "carriers", "carrier", "million")
SUMMARIES = [
    "The company says that contracts with shipping lines cost less.",
    "The company signed new contracts with carriers in Rotterdam.",
]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('Title: "Easing Freight Costs."', "Easing Freight Costs"),
        ("**Easing Freight Costs**\n\nThis theme is about", "Easing Freight Costs"),
        ("1. Easing Freight Costs", "Easing Freight Costs"),
    ],
)
def test_a_title_is_the_first_line_without_its_dress(answer: str, expected: str) -> None:
    assert titles.clean_title(answer) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            "The company is committed to improving its logistics operations and reducing costs",
            "Improving its logistics operations",
        ),
        (
            "Freight rates fell across ocean, rail and road while wages rose in the period",
            "Freight rates fell across ocean",
        ),
        (
            "Higher wages in the distribution network of the northern and western regions",
            "Higher wages in the distribution network",
        ),
        ("Rates of freight on sea and on land", "Rates of freight on sea and on land"),
        ("The Impact of Freight Rates: A New Era", "Freight Rates"),
        ("Freight pricing is a key driver", "Freight pricing"),
        ("FREIGHT FREIGHT FREIGHT RATES", "Freight rates"),
        ("The freight rates", "Freight rates"),
    ],
)
def test_a_sentence_in_place_of_a_title_is_brought_down_to_its_matter(
    answer: str, expected: str
) -> None:
    assert titles.clean_title(answer) == expected


def test_a_title_is_asked_for_from_keywords_that_tell_of_the_matter() -> None:
    assert titles.telling_keywords(KEYWORDS) == ["freight rate", "ocean", "carriers"]

    asked = [prompt.user for prompt in titles.theme_title_prompts("It is cheap.", KEYWORDS)]

    assert "It is cheap." in asked[0]
    assert "freight rate and ocean and carriers" in asked[3]
    assert not any("million" in user for user in asked)


def test_one_keyword_or_none_that_tells_still_gives_questions() -> None:
    for keywords in (["tax"], ["quarter", "year"]):
        prompts = titles.theme_title_prompts("It is cheap.", keywords)
        assert keywords[0] in prompts[1].user


@pytest.mark.parametrize(
    ("title", "good"),
    [
        ("Cheaper Freight Contracts", True),
        ("Freight Contracts", True),
        ("The carriers", False),
        ("Freight", False),
        ("A carrier, a freight, a carrier", False),
        ("Poised to capitalize", False),
        ("Freight to Chile", False),
        ("Freight to Rotterdam", False),
        ("Freight and freighting", False),
        ("Carrierless contracts", False),
        ("Freight 2024", False),
    ],
)
def test_a_good_title_names_the_matter_and_nothing_foreign(title: str, good: bool) -> None:
    assert titles.Judge(KEYWORDS, SUMMARIES).is_good(title) is good


def test_forms_of_a_word_are_known_and_longer_words_that_begin_alike_are_not() -> None:
    judge = titles.Judge(("investment", "pricing", "acquisitions"), SUMMARIES)

    assert judge.is_good("Investments and Prices")
    assert judge.score("Investigation of the Acquis")[0] < 0


def test_what_the_only_summary_says_is_not_foreign() -> None:
    assert titles.Judge(KEYWORDS, SUMMARIES[1:]).is_good("Freight to Rotterdam")


def test_of_titles_that_are_not_good_the_one_nearer_the_matter_scores_higher() -> None:
    judge = titles.Judge(KEYWORDS, SUMMARIES)
    ranked = ["Ocean freight", "Luxury freight", "The business", "Luxury hotels"]

    assert sorted(ranked, key=judge.score, reverse=True) == ranked
