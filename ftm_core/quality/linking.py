"""Link themes of successive quarters by their directions: continued, merged, gone, split, born."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from ftm_core.contracts.quarters import Quarter
from ftm_core.data.panel import Directions, cosines, match_themes, unit_directions
from ftm_core.data.quarter_store import QuarterStore
from ftm_core.storage import Storage

Kind = Literal["continued", "merged", "gone", "split", "born"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Theme:
    """What linking sees of a theme; ``direction`` is a unit vector in the embedding space.

    ``name`` is the name that the theme had in the first of the quarters linked.
    """

    theme_id: str
    name: str
    description: str
    keywords: tuple[str, ...]
    n_firms: int
    direction: Directions = dataclasses.field(compare=False, repr=False)

    def as_json(self) -> dict[str, Any]:
        """The theme without its direction."""
        names = (item.name for item in dataclasses.fields(self) if item.name != "direction")
        return {name: getattr(self, name) for name in names}


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

    def as_json(self) -> dict[str, Any]:
        """The documented JSON shape of a link."""
        return {
            "kind": self.kind,
            "before": self.before and self.before.as_json(),
            "after": self.after and self.after.as_json(),
            "similarity": self.similarity,
            "growth": self.growth,
        }


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
        return {
            "earlier": self.earlier,
            "later": self.later,
            "links": [link.as_json() for link in self.links],
        }


def follow(storage: Storage, quarters: Sequence[Quarter], threshold: float) -> list[Step]:
    """Link each quarter of ``quarters`` to the next; raises InputError when one is not finished."""
    return link_in_turn({quarter: read_themes(storage, quarter) for quarter in quarters}, threshold)


def link_in_turn(themes: Mapping[Quarter, Sequence[Theme]], threshold: float) -> list[Step]:
    """Link each quarter's themes to those of the next in ``themes``.

    A theme that continues keeps the name of the quarter in which it began.
    """
    steps: list[Step] = []
    names: dict[str, str] = {}
    for (earlier, before), (later, after) in itertools.pairwise(themes.items()):
        links = link([_named(theme, names) for theme in before], after, threshold)
        names = {
            found.after.theme_id: found.before.name
            for found in links
            if found.kind == "continued" and found.before and found.after
        }
        renamed = [
            dataclasses.replace(found, after=found.after and _named(found.after, names))
            for found in links
        ]
        steps.append(Step(str(earlier), str(later), tuple(renamed)))
    return steps


def _named(theme: Theme, names: Mapping[str, str]) -> Theme:
    return dataclasses.replace(theme, name=names.get(theme.theme_id, theme.name))


def read_themes(storage: Storage, quarter: Quarter) -> list[Theme]:
    """A finished quarter's themes; raises InputError when it was not run to the end."""
    store = QuarterStore(storage, quarter)
    rows = store.table("themes").to_pylist()
    directions = store.table("theme_directions")
    units = unit_directions(directions["direction"])
    place = {theme_id: row for row, theme_id in enumerate(directions["theme_id"].to_pylist())}
    return [
        Theme(
            row["theme_id"],
            row["name"],
            row["description"],
            tuple(row["keywords"]),
            row["n_firms"],
            units[place[row["theme_id"]]],
        )
        for row in rows
    ]


def link(before: Sequence[Theme], after: Sequence[Theme], threshold: float) -> list[Link]:
    """What became of each theme: continued, merged, gone, then split and born.

    Themes continue as in a panel (``match_themes``): one to one, the most similar pairs first, with
    a cosine of ``threshold`` at least. An earlier theme left over that is similar enough to a later
    one has merged into it; a later theme left over that is similar enough to an earlier one has
    split from it. The result does not depend on the order of themes.
    """
    before = sorted(before, key=lambda theme: theme.theme_id)
    after = sorted(after, key=lambda theme: theme.theme_id)
    similarity = cosines(_directions(before), _directions(after))
    rows = {theme.theme_id: row for row, theme in enumerate(before)}
    matches = match_themes(_directions(after), _directions(before), list(rows), threshold)
    pairs = {rows[match[0]]: column for column, match in enumerate(matches) if match}
    continued, merged, gone = [], [], []
    for row, theme in enumerate(before):
        column = pairs.get(row, int(similarity[row].argmax()) if after else 0)
        similar = float(similarity[row, column]) if after else -1.0
        if row in pairs:
            growth = after[column].n_firms - theme.n_firms
            continued.append(Link("continued", theme, after[column], similar, growth))
        elif similar >= threshold:
            merged.append(Link("merged", theme, after[column], similar, None))
        else:
            gone.append(Link("gone", theme, None, None, None))
    taken = set(pairs.values())
    split, born = [], []
    for column, theme in enumerate(after):
        if column in taken:
            continue
        row = int(similarity[:, column].argmax()) if before else 0
        similar = float(similarity[row, column]) if before else -1.0
        if similar >= threshold:
            split.append(Link("split", before[row], theme, similar, None))
        else:
            born.append(Link("born", None, theme, None, None))
    return [*continued, *merged, *gone, *split, *born]


def _directions(themes: Sequence[Theme]) -> Directions:
    if not themes:
        return np.zeros((0, 0), np.float32)
    return np.stack([theme.direction for theme in themes])
