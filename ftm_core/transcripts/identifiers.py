"""Which gvkey and permno a firm has on a day: the one set of link rules.

A link gives a permno when its type is LU or LC, it is marked primary (P or C), and the day lies
within its dates, both ends included. An end that is open, or written as a day of the year 9999,
means today. Where several links are valid at once, one is chosen by ``_rank``, so that a firm
never appears twice. A source that does not name types or primary marks is taken at its word.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ftm_core.contracts.errors import InputError

LINK_TYPES = ("LC", "LU")
PRIMARY_MARKS = ("P", "C")
_OPEN_YEAR = 9999
_GVKEY = re.compile(r"^(\d{1,6})(?:\.0+)?$")


@dataclass(frozen=True)
class Link:
    """One row that may give a firm a gvkey and a permno, with the dates it holds for.

    The gvkey holds from ``gvkey_start`` to ``gvkey_end``, the permno from ``start`` to ``end``;
    None is open. ``kind`` and ``primary`` are CRSP's ``linktype`` and ``linkprim``, None where
    the source has no such column.
    """

    gvkey: str | None
    permno: int | None
    start: dt.date | None = None
    end: dt.date | None = None
    kind: str | None = None
    primary: str | None = None
    gvkey_start: dt.date | None = None
    gvkey_end: dt.date | None = None


@dataclass(frozen=True)
class Identifiers:
    """What a firm is linked to; ``link_date`` is the first day of the link that was chosen."""

    gvkey: str | None = None
    permno: int | None = None
    link_date: dt.date | None = None


@dataclass(frozen=True)
class Resolution:
    """The identifiers that were chosen, and whether other valid links had to be discarded."""

    identifiers: Identifiers
    ambiguous: bool


UNLINKED = Resolution(Identifiers(), ambiguous=False)


def resolve(links: Iterable[Link], day: dt.date, *, today: dt.date) -> Resolution:
    """Identifiers on one day; UNLINKED where no link is valid then."""
    valid: dict[Identifiers, tuple[object, ...]] = {}
    for link in links:
        if not _within(day, link.gvkey_start, link.gvkey_end, today):
            continue
        found = _identifiers(link, day, today)
        if found.gvkey is None and found.permno is None:
            continue
        rank = _rank(link, found)
        if found not in valid or rank < valid[found]:
            valid[found] = rank
    if not valid:
        return UNLINKED
    # Ranks of different identifiers differ, so the order of the source never decides.
    chosen = min(valid, key=lambda found: valid[found])
    rivals = {(found.gvkey, found.permno) for found in valid if found.permno is not None}
    return Resolution(chosen, ambiguous=len(rivals) > 1)


def resolve_firm(
    links: Iterable[Link], call_days: Iterable[dt.date], *, today: dt.date
) -> Resolution:
    """Identifiers of a firm with one or more calls in a quarter.

    The latest call that has a permno on its own day decides; failing that, the latest that has a
    gvkey. A firm whose calls lead to different permnos is ambiguous.
    """
    rows = list(links)
    by_call = [resolve(rows, day, today=today) for day in sorted(set(call_days), reverse=True)]
    linked = [found for found in by_call if found.identifiers.permno is not None]
    partly = [found for found in by_call if found.identifiers.gvkey is not None]
    chosen = next(iter([*linked, *partly]), UNLINKED)
    permnos = {found.identifiers.permno for found in linked}
    return Resolution(
        chosen.identifiers, ambiguous=len(permnos) > 1 or any(found.ambiguous for found in by_call)
    )


def normal_gvkey(text: str, *, where: str) -> str:
    """A gvkey as six digits; raises InputError when ``text`` is not one."""
    match = _GVKEY.match(text.strip())
    if match is None:
        raise InputError(
            where,
            f"has the invalid gvkey {text!r}",
            "A gvkey has up to six digits, for example 001690.",
        )
    return match.group(1).zfill(6)


def _identifiers(link: Link, day: dt.date, today: dt.date) -> Identifiers:
    """What one link gives on ``day``: permno and gvkey, or the gvkey alone."""
    usable = (
        link.permno is not None
        and (link.kind is None or link.kind in LINK_TYPES)
        and (link.primary is None or link.primary in PRIMARY_MARKS)
        and _within(day, link.start, link.end, today)
    )
    if usable:
        return Identifiers(link.gvkey, link.permno, link.start)
    return Identifiers(link.gvkey)


def _rank(link: Link, found: Identifiers) -> tuple[object, ...]:
    """The stated order, lowest first, of links that are valid on the same day.

    With a permno before without; primary by Compustat (P) before primary assigned by CRSP (C);
    researched (LC) before unresearched (LU); the later start of the link; the later start of the
    gvkey; the smaller gvkey; the smaller permno.
    """
    linked = found.permno is not None
    return (
        not linked,
        _place(PRIMARY_MARKS, link.primary) if linked else 0,
        _place(LINK_TYPES, link.kind) if linked else 0,
        -_ordinal(link.start) if linked else 0,
        -_ordinal(link.gvkey_start),
        found.gvkey or "~",
        found.permno or 0,
    )


def _place(order: tuple[str, ...], value: str | None) -> int:
    return order.index(value) if value in order else len(order)


def _ordinal(day: dt.date | None) -> int:
    return day.toordinal() if day is not None else 0


def _within(day: dt.date, start: dt.date | None, end: dt.date | None, today: dt.date) -> bool:
    last = today if end is None or end.year == _OPEN_YEAR else end
    return (start is None or start <= day) and day <= last
