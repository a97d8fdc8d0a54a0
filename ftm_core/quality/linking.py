"""Link themes of successive quarters by their words: continued, merged, gone, split, born."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from ftm_core.contracts import keys, schemas
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.data import lease
from ftm_core.data.finished import open_finished
from ftm_core.storage import Storage
from ftm_core.storage.tables import read_table
from ftm_core.text.stems import stem
from ftm_core.text.tokens import KEYWORD_PATTERN

# More quarters than this in one range are a slip of the pen.
MOST_QUARTERS = 200
_RANGE = re.compile(r"(\S+?)\.\.(\S+)")

Kind = Literal["continued", "merged", "gone", "split", "born"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Theme:
    """What linking sees of a theme."""

    theme_id: str
    name: str
    description: str
    keywords: tuple[str, ...]
    n_firms: int


@dataclass(frozen=True)
class Link:
    """What became of one theme from a quarter to the next.

    A merged theme names the theme it went into, which another theme continues as; a split one the
    theme it came from, which continues as another. ``growth`` is the change in the number of firms,
    of continued themes alone.
    """

    kind: Kind
    before: Theme | None
    after: Theme | None
    similarity: float | None
    growth: int | None


@dataclass(frozen=True)
class Step:
    """All links from one quarter to the next."""

    earlier: str
    later: str
    links: tuple[Link, ...]

    def count(self, kind: Kind) -> int:
        """How many links are of that kind."""
        return sum(link.kind == kind for link in self.links)

    def as_json(self) -> dict[str, Any]:
        """The documented JSON shape (docs/reference/quality.md)."""
        return dataclasses.asdict(self)


def parse_range(text: str) -> list[Quarter]:
    """Quarters of a range such as ``2016Q3..2017Q1``, both ends included; two at least."""
    match = _RANGE.fullmatch(text)
    if match is None:
        raise InputError(
            f"quarters {text!r}",
            "are no range",
            "Write the first and the last with two dots between, such as 2016Q3..2017Q1.",
        )
    first, last = Quarter.parse(match.group(1)), Quarter.parse(match.group(2))
    if first >= last:
        raise InputError(f"quarters {text!r}", "do not go forward", "Write the earlier one first.")
    found = [first]
    while found[-1] < last:
        found.append(found[-1].next())
        if len(found) > MOST_QUARTERS:
            raise InputError(
                f"quarters {text!r}", f"are more than {MOST_QUARTERS}", "Ask for fewer."
            )
    return found


def with_a_run(storage: Storage, quarters: Sequence[Quarter]) -> list[Quarter]:
    """``quarters`` less those between the first and the last that were never run."""
    ends = (quarters[0], quarters[-1])
    return [
        quarter
        for quarter in quarters
        if quarter in ends or lease.read_identity(storage, quarter) is not None
    ]


def follow(storage: Storage, quarters: Sequence[Quarter], threshold: float) -> list[Step]:
    """Link each quarter of ``quarters`` to the next; raises InputError when one is not finished."""
    return link_in_turn({quarter: read_themes(storage, quarter) for quarter in quarters}, threshold)


def link_in_turn(themes: Mapping[Quarter, Sequence[Theme]], threshold: float) -> list[Step]:
    """Link each quarter's themes to those of the next in ``themes``."""
    return [
        Step(str(earlier), str(later), tuple(link(before, after, threshold)))
        for (earlier, before), (later, after) in itertools.pairwise(themes.items())
    ]


def read_themes(storage: Storage, quarter: Quarter) -> list[Theme]:
    """A finished quarter's themes; raises InputError when it was not run to the end."""
    run_id = open_finished(storage, quarter).identity.run_id
    rows = read_table(storage, keys.themes(quarter), schemas.THEMES, run_id=run_id).to_pylist()
    return [_theme(row) for row in rows]


def _theme(row: Mapping[str, Any]) -> Theme:
    return Theme(
        row["theme_id"], row["name"], row["description"], tuple(row["keywords"]), row["n_firms"]
    )


def similarities(before: Sequence[Theme], after: Sequence[Theme]) -> np.ndarray:
    """Cosine of TF-IDF vectors, the mean of that of keywords and that of names and descriptions.

    Any form of a word is the word. Words are weighted by the themes of these two quarters, so that
    other quarters asked for do not matter; rounded, so that no last bit decides.
    """
    if not before or not after:
        return np.zeros((len(before), len(after)))
    by_keywords = _cosines([" ".join(theme.keywords) for theme in (*before, *after)], len(before))
    by_text = _cosines(
        [f"{theme.name} {theme.description}" for theme in (*before, *after)], len(before)
    )
    found: np.ndarray = ((by_keywords + by_text) / 2).round(9)
    return found


def _cosines(texts: Sequence[str], n_before: int) -> np.ndarray:
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(stop_words="english", token_pattern=KEYWORD_PATTERN).build_analyzer()
    vectorizer = TfidfVectorizer(analyzer=lambda text: [stem(word) for word in words(text)])
    try:
        vectors = vectorizer.fit_transform(texts)
    except ValueError:
        # Not one word in any text: nothing is similar.
        return np.zeros((n_before, len(texts) - n_before))
    cosines: np.ndarray = (vectors[:n_before] @ vectors[n_before:].T).toarray()
    return cosines


def link(before: Sequence[Theme], after: Sequence[Theme], threshold: float) -> list[Link]:
    """What became of each theme: continued, merged, gone, then split and born.

    The assignment is one to one and of the largest total similarity; pairs below ``threshold``
    are none. An earlier theme left over that is similar enough to a later one has merged into it;
    a later theme left over that is similar enough to an earlier one has split from it.
    The result does not depend on the order of themes.
    """
    from scipy.optimize import linear_sum_assignment

    before = sorted(before, key=lambda theme: theme.theme_id)
    after = sorted(after, key=lambda theme: theme.theme_id)
    found = similarities(before, after)
    # What is below the threshold must not draw a theme from a pair that is above.
    worth = np.where(found >= threshold, found, 0.0)
    pairs = {
        int(row): int(column)
        for row, column in zip(*linear_sum_assignment(worth, maximize=True), strict=True)
        if worth[row, column] > 0
    }
    continued, merged, gone = [], [], []
    for row, theme in enumerate(before):
        column = pairs.get(row, int(worth[row].argmax()) if after else 0)
        similar = float(worth[row, column]) if after else 0.0
        if row in pairs:
            growth = after[column].n_firms - theme.n_firms
            continued.append(Link("continued", theme, after[column], similar, growth))
        elif similar > 0:
            merged.append(Link("merged", theme, after[column], similar, None))
        else:
            gone.append(Link("gone", theme, None, None, None))
    taken = set(pairs.values())
    split, born = [], []
    for column, theme in enumerate(after):
        if column in taken:
            continue
        row = int(worth[:, column].argmax()) if before else 0
        similar = float(worth[row, column]) if before else 0.0
        if similar > 0:
            split.append(Link("split", before[row], theme, similar, None))
        else:
            born.append(Link("born", None, theme, None, None))
    return [*continued, *merged, *gone, *split, *born]
