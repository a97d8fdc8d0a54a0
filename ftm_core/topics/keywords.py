"""Choose the keywords of a topic or theme from ranked candidates: distinctive, each said once."""

from __future__ import annotations

from collections.abc import Iterable

from ftm_core.text import lexicons
from ftm_core.text.stems import stem


def choose_keywords(ranked: Iterable[str], n_keywords: int) -> tuple[str, ...]:
    """At most ``n_keywords`` of the candidates, best first, none of which repeats another.

    A phrase takes the place of a chosen word that it contains ("gross margin" for "gross"), and
    what is within a chosen phrase is skipped ("margins"). A phrase that repeats a word is skipped.
    Candidates that could be said of anything are kept only where there is nothing else.
    """
    candidates = [word for word in ranked if word]
    distinctive = [word for word in candidates if not _is_filler(word)]
    chosen: list[tuple[str, frozenset[str]]] = []
    for keyword in distinctive or candidates:
        words = keyword.split()
        stems = frozenset(stem(word) for word in words)
        if len(stems) < len(words) or any(stems <= taken for _, taken in chosen):
            continue
        contained = [place for place, (_, taken) in enumerate(chosen) if taken < stems]
        if contained:
            chosen[contained[0]] = (keyword, stems)
            for place in reversed(contained[1:]):
                del chosen[place]
        else:
            chosen.append((keyword, stems))
    return tuple(keyword for keyword, _ in chosen[:n_keywords])


def _is_filler(keyword: str) -> bool:
    return all(lexicons.contains("keyword_filler", word) for word in keyword.split())
