"""The sentences of a call: who said each, and where in the call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ftm_core.text.sentences import split


class Sentence(NamedTuple):
    """One sentence of a call: who said it, and its place in the call, counted from 0."""

    text: str
    speaker_type: str
    position: int


def split_turns(turns: Iterable[tuple[str, str]]) -> tuple[Sentence, ...]:
    """Sentences of a whole call from its turns, each ``(speaker_type, text)``, in spoken order."""
    return number_turns((speaker, split(text)) for speaker, text in turns)


def number_turns(turns: Iterable[tuple[str, Sequence[str]]]) -> tuple[Sentence, ...]:
    """Sentences of a whole call from its turns, each ``(speaker_type, its sentences)``."""
    spoken = ((speaker, sentence) for speaker, sentences in turns for sentence in sentences)
    return tuple(
        Sentence(text, speaker, position) for position, (speaker, text) in enumerate(spoken)
    )
