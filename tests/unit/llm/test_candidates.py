"""What select offers: real sentences and phrases, word for word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ftm_core.llm.candidates import clean_sentence, phrase_candidates, sentence_candidates

SENTENCES = (
    "And, you know, our effective tax rate was 31.5% in the second quarter of the year.",
    "Yes.",
    "Was the effective tax rate higher because of the mix of earnings by state?",
    "The effective tax rate, I mean, that was primarily due to <UNK> in the first half.",
    "We repurchased shares for $20 million under the authority that the board gave us.",
)
_TEXTS = st.lists(
    st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=80), max_size=8
)


def test_sentences_that_read_well_and_hold_a_keyword_come_first() -> None:
    first, second, *_ = sentence_candidates(SENTENCES, ["tax rate"])
    assert first == "Our effective tax rate was 31.5% in the second quarter of the year."
    assert second == SENTENCES[4]


def test_phrases_are_spoken_names_of_the_subject() -> None:
    phrases = phrase_candidates(SENTENCES, ["tax rate", "tax", "rate"])
    assert phrases[0] == "effective tax rate"
    assert all(any(phrase in text for text in SENTENCES) for phrase in phrases)
    assert not any(phrase.endswith(("primarily", "repurchased")) for phrase in phrases)


@given(_TEXTS, st.lists(st.text(max_size=12), max_size=4))
def test_phrases_are_always_verbatim(sentences: list[str], keywords: list[str]) -> None:
    for phrase in phrase_candidates(sentences, keywords):
        assert any(phrase in text for text in sentences), phrase


def test_phrases_keep_to_one_side_of_an_apostrophe() -> None:
    """`evaluate` finds a title in the sentences as it stands."""
    said = "By combining MPS' capabilities with those at WestRock we will create value."
    phrases = phrase_candidates([said], ["combining", "mps", "capabilities"])
    assert "MPS" in " ".join(phrases)
    assert all(phrase in said for phrase in phrases)


@given(_TEXTS)
def test_sentences_are_always_verbatim_and_some(sentences: list[str]) -> None:
    spoken = [text for text in sentences if text.strip()]
    offered = sentence_candidates(sentences, ["tax"])
    assert bool(offered) == bool(spoken)
    assert set(offered) <= {clean_sentence(text) for text in spoken}


@given(st.text())
def test_cleaning_a_sentence_only_takes_words_away(text: str) -> None:
    cleaned = clean_sentence(text)
    rest = iter(text)
    assert all(letter in rest for letter in cleaned[1:] if not letter.isspace())
    assert clean_sentence("So, but, you know, rates fell.") == "Rates fell."
    assert clean_sentence("Right.") == "Right."
    assert clean_sentence(", so for Q3, margins fell.") == "For Q3, margins fell."
