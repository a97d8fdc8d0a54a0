"""What one topic model makes of texts and vectors."""

from __future__ import annotations

import numpy as np
import pytest
from bertopic import BERTopic

from ftm_core.contracts.settings import FirmTopicSettings
from ftm_core.topics import topic_model
from ftm_core.topics.topic_model import NO_TOPIC, fit_topics

PARAMETERS = FirmTopicSettings(sentences_per_topic=12)
SUBJECTS = {
    "freight": "Ocean freight and trucking rates fell on lane {n}",
    "hiring": "We hired welders and wages rose in plant {n}",
    "currency": "The stronger dollar cut translated revenue by {n} points",
}


def texts_about(subjects: dict[str, str], per_subject: int) -> list[str]:
    return [text.format(n=n) for text in subjects.values() for n in range(per_subject)]


def vectors_about(n_subjects: int, per_subject: int, dimensions: int = 32) -> np.ndarray:
    """Tight bundles around orthogonal directions, one a subject."""
    generator = np.random.default_rng(7)
    rows = np.repeat(np.eye(dimensions)[:n_subjects], per_subject, axis=0)
    rows = rows + generator.normal(0, 0.02, rows.shape)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_each_subject_becomes_one_topic_with_its_own_keywords() -> None:
    fitted = fit_topics(texts_about(SUBJECTS, 12), vectors_about(3, 12), PARAMETERS)

    blocks = [set(fitted.labels[start : start + 12]) for start in (0, 12, 24)]
    assert all(len(block) == 1 for block in blocks)
    assert len(set.union(*blocks)) == 3
    keywords = {" ".join(words) for words in fitted.keywords.values()}
    assert any("freight" in words for words in keywords)
    assert any("welders" in words for words in keywords)
    assert any("dollar" in words for words in keywords)


def test_a_word_of_one_topic_alone_may_be_its_keyword() -> None:
    """min_df counts sentences, not topics: freight is said in one topic only."""
    fitted = fit_topics(texts_about(SUBJECTS, 12), vectors_about(3, 12), PARAMETERS)

    owner = fitted.labels[0]
    said = {topic: set(" ".join(words).split()) for topic, words in fitted.keywords.items()}
    assert "freight" in said.pop(int(owner))
    assert all("freight" not in words for words in said.values())


def test_keywords_carry_no_call_fillers_and_no_masks() -> None:
    texts = [f"Yeah, we're going to think about <UNK> freight number {n}" for n in range(12)]
    texts += [f"Yeah, that's kind of the wages question {n}" for n in range(12)]

    fitted = fit_topics(texts, vectors_about(2, 12), PARAMETERS)

    said = {word for words in fitted.keywords.values() for word in words}
    assert said
    assert not said & {"number", "question"}
    assert not said & {"yeah", "re", "going", "think", "unk", "kind"}


def test_equal_input_gives_equal_topics() -> None:
    texts, vectors = texts_about(SUBJECTS, 10), vectors_about(3, 10)

    first, second = (fit_topics(texts, vectors, PARAMETERS) for _ in range(2))

    assert (first.labels == second.labels).all()
    assert first.keywords == second.keywords


def test_leaving_out_what_bertopic_does_beside_changes_no_topic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts, vectors = texts_about(SUBJECTS, 12), vectors_about(3, 12)
    ours = fit_topics(texts, vectors, PARAMETERS)
    monkeypatch.setattr(topic_model, "_TopicModel", BERTopic)

    plain = fit_topics(texts, vectors, PARAMETERS)

    assert (ours.labels == plain.labels).all()
    assert ours.keywords == plain.keywords


def test_fault_18_sentence_far_from_all_others_has_no_topic() -> None:
    generator = np.random.default_rng(1)
    stray = generator.normal(0, 1, (6, 32))
    stray = (stray / np.linalg.norm(stray, axis=1, keepdims=True)).astype(np.float32)
    vectors = np.vstack([vectors_about(3, 20), stray])
    texts = texts_about(SUBJECTS, 20) + [f"Unrelated remark {n} on something" for n in range(6)]

    fitted = fit_topics(texts, vectors, PARAMETERS)

    assert NO_TOPIC in set(fitted.labels)


@pytest.mark.parametrize("n_texts", [0, 1, 2, 5, 6, 7, 8, 12, 16])
def test_few_texts_never_crash(n_texts: int) -> None:
    texts = [f"Ocean freight rates fell on lane {n}" for n in range(n_texts)]
    vectors = vectors_about(1, n_texts) if n_texts else np.zeros((0, 32), np.float32)

    fitted = fit_topics(texts, vectors, PARAMETERS)

    assert len(fitted.labels) == n_texts


def test_texts_without_a_word_have_no_topic() -> None:
    fitted = fit_topics(["... 4.5 % !"] * 30, vectors_about(3, 10), PARAMETERS)

    assert set(fitted.labels) == {NO_TOPIC}
    assert fitted.keywords == {}


def test_identical_sentences_are_no_trouble() -> None:
    texts = ["Freight rates fell."] * 40
    vectors = np.repeat(vectors_about(1, 1), 40, axis=0)

    fitted = fit_topics(texts, vectors, PARAMETERS)

    assert len(fitted.labels) == 40


def test_texts_that_share_one_word_are_described_by_the_others() -> None:
    """One word at min_df 2 is not enough for c-TF-IDF; all words are."""
    texts = [f"{word} freight" for word in ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")]

    fitted = fit_topics(texts, vectors_about(2, 3), PARAMETERS)

    assert len(fitted.labels) == 6


def test_texts_of_one_word_have_no_topic() -> None:
    fitted = fit_topics(["freight"] * 24, vectors_about(3, 8), PARAMETERS)

    assert set(fitted.labels) == {NO_TOPIC}
