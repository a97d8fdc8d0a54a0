"""How well and how fast sentence splitters take calls apart, on hand-labeled turns.

    python -m bench.sentence_splitting

``tests/data/call_sentences.csv`` holds turns in the style of earnings calls, written for this
project, a row a sentence. Each splitter gets the turns as one text and is scored on the places
where it breaks them. pysbd, spaCy, NLTK, nupunkt and wtpsplit-lite take part where they are
installed; none may download a model.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path

from bench.measuring import report

LABELED = Path(__file__).parents[1] / "tests" / "data" / "call_sentences.csv"
REPEATS = 20
Split = Callable[[str], Iterable[str]]


def labeled_turns(path: Path = LABELED) -> list[list[str]]:
    """The sentences of each turn."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        [row["sentence"] for row in group] for _, group in groupby(rows, key=lambda r: r["turn"])
    ]


def boundaries(pieces: Iterable[str]) -> set[int]:
    """Where pieces end, counted in letters that are not spaces; the last end is none."""
    ends: list[int] = []
    place = 0
    for piece in pieces:
        letters = len("".join(piece.split()))
        place += letters
        if letters:
            ends.append(place)
    return set(ends[:-1])


def score(split: Split, turns: list[list[str]], *, repeats: int = REPEATS) -> dict[str, float]:
    """Precision, recall and F1 over all boundaries, and turns per second."""
    right = found = wanted = exact = 0
    for sentences in turns:
        true, given = boundaries(sentences), boundaries(split(" ".join(sentences)))
        right += len(true & given)
        found += len(given)
        wanted += len(true)
        exact += true == given
    texts = [" ".join(sentences) for sentences in turns]
    began = time.process_time()
    for _ in range(repeats):
        for text in texts:
            list(split(text))
    seconds = time.process_time() - began
    precision, recall = right / max(1, found), right / wanted
    return {
        "boundaries": wanted,
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "F1": round(2 * precision * recall / max(1e-9, precision + recall), 4),
        "turns without an error": round(exact / len(turns), 4),
        "turns per second of CPU": round(repeats * len(texts) / max(seconds, 1e-9)),
    }


def splitters() -> dict[str, Split]:
    """Every splitter that is installed and needs no download."""
    found: dict[str, Split] = {}
    try:
        from ftm_core.text.sentences import split

        found["ftm (sentencex, corrected)"] = split
    except ImportError:
        pass
    try:
        import sentencex

        found["sentencex"] = lambda text: list(sentencex.segment("en", text))
    except ImportError:
        pass
    try:
        import pysbd

        segmenter = pysbd.Segmenter(language="en", clean=False)
        found["pysbd"] = segmenter.segment
    except ImportError:
        pass
    try:
        import spacy

        nlp = spacy.blank("en")
        nlp.add_pipe("sentencizer")
        found["spaCy sentencizer"] = lambda text: [span.text for span in nlp(text).sents]
    except ImportError:
        pass
    try:
        from nltk.tokenize.punkt import PunktSentenceTokenizer

        # Without the trained model, which is a download, punkt knows no abbreviation.
        found["NLTK punkt, untrained"] = PunktSentenceTokenizer().tokenize
    except ImportError:
        pass
    try:
        import nupunkt

        found["nupunkt"] = nupunkt.sent_tokenize
    except ImportError:
        pass
    return found


def main() -> None:
    """Score every splitter and report."""
    turns = labeled_turns()
    for name, split in splitters().items():
        report(f"sentence_splitting {name}", score(split, turns))


if __name__ == "__main__":
    main()
