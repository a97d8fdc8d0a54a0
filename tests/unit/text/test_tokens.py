"""One tokenizer, one mask, and word lists that are data."""

from __future__ import annotations

from importlib import resources

import pytest

from ftm_core.text import lexicons
from ftm_core.text.grounding import SourceVocabulary
from ftm_core.text.small_talk import is_small_talk
from ftm_core.text.stems import stem
from ftm_core.text.substance import share_of_content_words
from ftm_core.text.tokens import MASK, WORD, uncontracted

LISTS = sorted(
    file.name.removesuffix(".txt")
    for file in (resources.files("ftm_core.text") / "lexicon").iterdir()
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's 1,250.5 units.", ["It's", "1,250.5", "units"]),
        ("AT&T and year-over-year M&A", ["AT&T", "and", "year-over-year", "M&A"]),
        ("the café’s 10-K (Q3)", ["the", "café’s", "10-K", "Q3"]),
        ("-- ... ' _", []),
    ],
)
def test_word_pattern_text_gives_words(text: str, words: list[str]) -> None:
    assert WORD.findall(text) == words


@pytest.mark.parametrize("mask", ["<UNK>", "<unk>", "<UNK>'s", "<UNK>’s", "<unk>'s"])
def test_mask_possessive_is_one_name_everywhere(mask: str) -> None:
    """A masked name leaves nothing behind, whether or not it owns something."""
    assert MASK.sub("", mask) == ""
    assert is_small_talk(f"Thanks, {mask}.", "CEO") == is_small_talk("Thanks, <UNK>.", "CEO")
    assert share_of_content_words([f"Freight {mask}"]) == 1.0


def test_uncontracted_word_loses_its_ending() -> None:
    assert [uncontracted(word) for word in ("what's", "they’ll", "its", "o'clock")] == [
        "what", "they", "its", "o'clock"
    ]  # fmt: skip


def test_stem_forms_of_a_word_are_equal() -> None:
    assert stem("Prices") == stem("pricing") == stem("price's")


@pytest.mark.parametrize("name", LISTS)
def test_lexicon_file_has_a_reason_and_sorted_words(name: str) -> None:
    lines = (
        (resources.files("ftm_core.text") / "lexicon" / f"{name}.txt")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    listed = [line for line in lines if not line.startswith("#")]

    assert lines[0].startswith("# ")
    assert listed == sorted(set(listed))
    assert all(word == word.strip().lower() and word for word in listed)
    assert lexicons.words(name) == frozenset(listed)


def test_lexicon_contracted_word_is_contained() -> None:
    assert lexicons.contains("keyword_filler", "think")
    assert lexicons.contains("keyword_filler", "thing's")
    assert not lexicons.contains("keyword_filler", "freight")


def test_sources_ampersand_name_must_occur() -> None:
    assert SourceVocabulary(["We signed with a carrier."]).ungrounded(
        "The firm signed with AT&T."
    ) == ["at&t"]
    assert (
        SourceVocabulary(["We signed with AT&T’s unit."]).ungrounded("It signed with AT&T.") == []
    )
