"""Coherence by gensim on calls of a few words, and diversity worked out by hand."""

from __future__ import annotations

import pytest

from ftm_core.quality.coherence import CallWords, diversity


def spoken() -> CallWords:
    words = CallWords()
    for number in range(8):
        words.add(f"A{number}", "The ocean freight fell.")
        words.add(f"B{number}", "Hiring and wages.")
    return words


@pytest.mark.parametrize("kind", ["c_npmi", "c_v"])
def test_words_said_together_cohere_and_others_do_not(kind: str) -> None:
    together, apart = spoken().coherence([["ocean freight", "fell"], ["freight", "wages"]], kind)
    assert together == pytest.approx(1.0, abs=1e-6)
    assert apart is not None
    assert apart < 0.1


def test_npmi_of_words_that_never_meet_is_at_its_lower_end() -> None:
    (apart,) = spoken().coherence([["freight", "wages"]], "c_npmi")
    assert apart == pytest.approx(-1.0, abs=0.1)


def test_words_are_counted_across_sentences_of_a_call_in_order() -> None:
    words = CallWords()
    for number in range(4):
        words.add(f"T{number}", "Freight fell.")
        words.add(f"T{number}", "Wages rose.")
        words.add(f"U{number}", "Dividends.")
    (near,) = words.coherence([["freight", "wages"]], "c_npmi")
    assert near == pytest.approx(1.0, abs=1e-6)


def test_what_has_not_two_words_of_the_calls_is_not_judged() -> None:
    assert spoken().coherence([["freight", "zebra"], [], ["the"]], "c_v") == [None, None, None]
    assert CallWords().coherence([["freight", "ocean"]], "c_v") == [None]


def test_diversity_is_the_distinct_share() -> None:
    assert diversity([["freight", "cost"], ["prices", "cost"]]) == 0.75
    assert diversity([]) is None
