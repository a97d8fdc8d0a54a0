"""Keywords name a topic without repeating themselves."""

from __future__ import annotations

from ftm_core.topics.keywords import choose_keywords


def test_keywords_phrase_replaces_its_words() -> None:
    chosen = choose_keywords(["gross", "margin", "gross margin", "margins", "mix"], 5)

    assert chosen == ("gross margin", "mix")


def test_keywords_repeated_word_is_skipped() -> None:
    assert choose_keywords(["million million", "freight"], 5) == ("freight",)


def test_keywords_forms_of_a_word_count_once() -> None:
    assert choose_keywords(["price", "prices", "pricing", "wage"], 5) == ("price", "wage")


def test_keywords_only_filler_is_kept() -> None:
    """Where nothing is distinctive, a keyword is better than none."""
    assert choose_keywords(["going", "able"], 5) != ()
