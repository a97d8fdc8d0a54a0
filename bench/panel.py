"""Which themes of MAEC 2016Q3 continue in 2017Q1, by the cosine of their directions.

Run from the project root after ``python -m bench.themes``, which leaves the themes of both quarters
in ``--cache``: ``python -m bench.panel --cache FOLDER``. Prints how many themes match one to one at
each threshold, and every pair with its cosine, labels and a leading sentence of each, to be read.
"""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path

from ftm_core.contracts.settings import SAME_THEME
from ftm_core.data.panel import match_themes
from ftm_core.themes.theme_finding import FoundThemes

EARLIER, LATER = "2016Q3", "2017Q1"
THRESHOLDS = (0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8)


def found_in(quarter: str, cache: Path) -> FoundThemes:
    """The themes that ``bench.themes`` found in the quarter by its first seed."""
    with (cache / f"{quarter}_themes.pickle").open("rb") as file:
        found = pickle.load(file)
    assert isinstance(found, FoundThemes)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path(".bench-cache/themes"))
    parser.add_argument("--least", type=float, default=min(THRESHOLDS), help="lowest cosine read")
    given = parser.parse_args()
    before, after = found_in(EARLIER, given.cache), found_in(LATER, given.cache)
    ids = [str(place) for place in range(len(before.themes))]
    print(f"{len(before.themes)} themes of {EARLIER}, {len(after.themes)} of {LATER}")
    for least in THRESHOLDS:
        matched = match_themes(after.directions, before.directions, ids, least)
        print(f"cosine of at least {least}: {sum(one is not None for one in matched)} pairs")
    matched = match_themes(after.directions, before.directions, ids, given.least)
    pairs = [(match[1], int(match[0]), place) for place, match in enumerate(matched) if match]
    for cosine, old, new in sorted(pairs):
        mark = "same" if cosine >= SAME_THEME else "new"
        print(f"{cosine:.3f} {mark:4}  {before.themes[old].label}  |  {after.themes[new].label}")
        for theme in (before.themes[old], after.themes[new]):
            print(f"              {theme.leading_sentences[0][:140]}")


if __name__ == "__main__":
    main()
