"""Coherence, as gensim finds it, and diversity worked out by hand."""

from __future__ import annotations

import random

import pytest
from gensim.corpora import Dictionary
from gensim.models import CoherenceModel

from ftm_core.quality.coherence import WORDS_MEASURED, CallWords, Kind, diversity


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


@pytest.mark.parametrize("kind", ["c_npmi", "c_v"])
@pytest.mark.parametrize("seed", range(3))
def test_coherence_has_the_values_of_gensim(kind: Kind, seed: int) -> None:
    """Calls shorter and longer than a window, with words that are said again within it."""
    chance = random.Random(seed)
    vocabulary = [f"word{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    texts = [chance.choices(vocabulary, k=chance.choice([1, 9, 10, 70, 300])) for _ in range(12)]
    groups = [chance.sample(vocabulary[:20], chance.randint(2, 9)) for _ in range(15)]
    words = CallWords()
    for number, text in enumerate(texts):
        words.add(f"T{number}", " ".join(text))

    said = {word for text in texts for word in text}
    judged = [[word for word in group if word in said] for group in groups]
    model = CoherenceModel(
        topics=judged, texts=texts, dictionary=Dictionary(texts), coherence=kind,
        topn=WORDS_MEASURED, processes=1,
    )  # fmt: skip

    found = words.coherence(groups, kind)
    assert found == pytest.approx(model.get_coherence_per_topic(), abs=1e-12)


def test_diversity_is_the_distinct_share() -> None:
    assert diversity([["freight", "cost"], ["prices", "cost"]]) == 0.75
    assert diversity([]) is None
