"""Themes through the quarters: chains of themes that continue one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ftm_core.contracts.quarters import Quarter
from ftm_core.data.finished import is_finished
from ftm_core.data.listing import quarters_with_themes
from ftm_core.quality.linking import Step, Theme, link_in_turn, read_themes
from ftm_core.storage import Storage

MOST_QUARTERS = 12


@dataclass(frozen=True)
class Chain:
    """One theme through the quarters; None where it was not."""

    themes: tuple[Theme | None, ...]

    @property
    def name(self) -> str:
        """The name it has in the last quarter that it is in."""
        return [theme.name for theme in self.themes if theme is not None][-1]

    @property
    def n_firms(self) -> tuple[int | None, ...]:
        """Firms by quarter."""
        return tuple(None if theme is None else theme.n_firms for theme in self.themes)

    @property
    def growth(self) -> int | None:
        """Change in firms from its first quarter to its last; None in one quarter alone."""
        firms = [count for count in self.n_firms if count is not None]
        return firms[-1] - firms[0] if len(firms) > 1 else None


@dataclass(frozen=True)
class Timeline:
    """The quarters with themes around one of them, and what became of the themes between them."""

    quarters: tuple[str, ...]
    n_quarters_found: int
    steps: tuple[Step, ...]
    chains: tuple[Chain, ...]


def read_timeline(storage: Storage, quarter: Quarter, threshold: float) -> Timeline | None:
    """The timeline around ``quarter``; quarters that no run has finished are skipped."""
    found = quarters_with_themes(storage)
    themes = {one: read_themes(storage, one) for one in found if is_finished(storage, one)}
    return timeline_around(quarter, themes, threshold)


def timeline_around(
    quarter: Quarter, themes: Mapping[Quarter, Sequence[Theme]], threshold: float
) -> Timeline | None:
    """Chains over at most MOST_QUARTERS of the quarters in ``themes``, ``quarter`` among them.

    None when it is the only one, or not among them. Largest chains first.
    """
    found = sorted(themes)
    if len(found) < 2 or quarter not in themes:
        return None
    first = max(0, min(found.index(quarter), len(found) - MOST_QUARTERS))
    shown = found[first : first + MOST_QUARTERS]
    steps = link_in_turn({one: themes[one] for one in shown}, threshold)
    return Timeline(tuple(map(str, shown)), len(found), tuple(steps), tuple(_chains(steps)))


def _chains(steps: Sequence[Step]) -> list[Chain]:
    began = {link.before.theme_id: link.before for link in steps[0].links if link.before}
    reaching: dict[str, list[Theme | None]] = {name: [theme] for name, theme in began.items()}
    chains = list(reaching.values())
    for place, step in enumerate(steps, 1):
        reached = {}
        for link in step.links:
            if link.after is None or link.kind == "merged":
                continue
            # A theme that split from another begins a chain: the other's own continues.
            if link.before is None or link.kind == "split":
                chain: list[Theme | None] = [None] * place
                chains.append(chain)
            else:
                chain = reaching[link.before.theme_id]
            chain.append(link.after)
            reached[link.after.theme_id] = chain
        reaching = reached
    length = len(steps) + 1
    made = [Chain((*chain, *[None] * (length - len(chain)))) for chain in chains]
    return sorted(made, key=lambda chain: (-max(n or 0 for n in chain.n_firms), chain.name))
